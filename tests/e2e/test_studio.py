"""The desk, asked directly: what happens when things are asked twice, at once, or at the wrong moment."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.errors import BadImage, NotNow, OverAllowance, UserFault
from bot.intake import DECODED_AT_ONCE, Attached, Order
from bot.jobs import Job, JobState
from bot.store.db import StoreError, Unanswered
from bot.waste import LATE_CANCELS
from cogs._answer import RESTARTING
from providers.child_wire import Answer
from tests.e2e.conftest import World, picture
from tests.helpers import AtHome, eventually
from tests.vendors.eigenai import EigenAIServer

Start = Callable[..., Awaitable[World]]


def order(world: World, number: int = 1) -> Order:
    async def read() -> bytes:
        return picture()

    return Order(
        id=number,
        guild_id=world.guild.id,
        channel_id=world.channel.id,
        user_id=world.alice.id,
        role_ids=(),
        prompt="zoom in",
        files={"image": Attached(1000, read)},
    )


async def booked(world: World, *, number: int = 1) -> Job:
    return await world.bot.tasks.detached(world.bot.booking.enqueue(order(world, number)), "order")


async def test_a_repeated_event_is_one_job(world: World, vendor: EigenAIServer) -> None:
    first = await booked(world)
    second = await booked(world)
    await world.video()
    assert first.id == second.id
    assert len(vendor.seen("submit")) == 1
    assert await world.quota() == "4 of 5 credits left today"


async def test_ten_at_once_against_an_allowance_of_three_are_three(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.intake.PREPARED", 10)
    world = await start(default_allowance=3)
    answers = await asyncio.gather(
        *(booked(world, number=number) for number in range(1, 11)), return_exceptions=True
    )
    assert sum(isinstance(answer, Job) for answer in answers) == 3
    assert sum(isinstance(answer, OverAllowance) for answer in answers) == 7
    assert await world.quota() == "0 of 3 credits left today"
    await world.video(3)
    kept = {path.name for path in world.bot.booking._files._folder.iterdir()}
    assert len(kept) == 3, "those that were refused leave nothing behind"


async def test_no_more_is_decoded_than_the_allowance_is_for(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await start(default_allowance=1)
    decoded: list[str] = []
    decode = AtHome.run

    async def counted(self: AtHome, task: str, *data: bytes, **options: Any) -> Answer:
        decoded.append(task)
        return await decode(self, task, *data, **options)

    monkeypatch.setattr(AtHome, "run", counted)
    await asyncio.gather(*(booked(world, number=number) for number in range(1, 6)), return_exceptions=True)
    assert decoded.count("bot.media._decode_picture:prepare") == 1


async def test_an_order_counts_in_the_window_in_which_it_is_booked(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await start(default_allowance=1)
    booking = world.bot.booking
    clock, other = booking._clock, order(world, 2)
    prepared = await booking._prepare(other)

    async def overnight() -> bytes:
        monkeypatch.setattr(clock, "_start", clock.now() + timedelta(days=1))
        await booking._book(other, replace(prepared, created_at=clock.now()))
        return picture()

    with pytest.raises(OverAllowance):
        await world.bot.booking.enqueue(replace(order(world), files={"image": Attached(1000, overnight)}))
    assert await world.quota() == "0 of 1 credit left today"


@pytest.mark.parametrize("name", ["image", "end_image", "audio_file"])
async def test_a_file_that_is_too_large_is_never_read(world: World, name: str) -> None:
    reads: list[str] = []

    async def read() -> bytes:
        reads.append(name)
        return picture()

    files = order(world).files | {name: Attached(60_000_000, read)}
    with pytest.raises(BadImage, match="60"):
        await world.bot.booking.enqueue(replace(order(world), files=files))
    assert reads == []


async def test_nothing_is_taken_while_the_bot_stops(world: World) -> None:
    world.bot.booking._engine.stopping.set()
    with pytest.raises(NotNow, match="being restarted"):
        await booked(world)


async def test_a_job_nobody_knows_cannot_be_cancelled(world: World) -> None:
    with pytest.raises(NotNow, match="do not know this job"):
        await world.bot.booking.cancel(404, world.guild.id, world.alice.id, bool)


async def test_what_is_being_posted_cannot_be_cancelled(world: World, vendor: EigenAIServer) -> None:
    vendor.finish_after(1000)
    await booked(world)
    await eventually(lambda: in_state(world, JobState.RUNNING))
    world.env.inject_error("POST", "/channels/*/messages", status=500, times=1000)
    vendor.finish_after(0)
    job = await eventually(lambda: in_state(world, JobState.DELIVERING))
    with pytest.raises(NotNow, match="Too late to cancel"):
        await world.bot.booking.cancel(job.id, world.guild.id, world.alice.id, bool)


async def test_a_cancel_that_meets_a_job_on_its_way_is_tried_again(
    world: World, vendor: EigenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.finish_after(1000)
    job = await booked(world)
    await eventually(lambda: in_state(world, JobState.RUNNING))
    get, stale = world.bot.booking._store.jobs.get, [replace(job, state=JobState.SUBMITTING)]

    async def late(job_id: int) -> Job | None:
        return stale.pop() if stale else await get(job_id)

    monkeypatch.setattr(world.bot.booking._store.jobs, "get", late)
    assert (
        await world.bot.booking.cancel(job.id, world.guild.id, world.alice.id, bool)
    ).state is JobState.CANCELLED


async def in_state(world: World, state: JobState) -> Job | None:
    job = await world.bot.booking._store.jobs.get(1)
    return job if job is not None and job.state is state else None


async def test_a_mistake_of_ours_gets_a_sentence_and_a_line_in_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(world.bot.booking, "standing", broken)
    reply = await world.alice.slash(world.channel, "quota")
    assert "Something went wrong on our side" in reply.response.content
    assert "never charged" in reply.response.content
    assert "secret detail" not in reply.response.content
    assert "quota failed" in caplog.text
    caplog.clear()


async def test_a_sentence_that_discord_would_not_take_is_cut(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wordy(*_: object) -> None:
        raise UserFault("x" * 3000)

    monkeypatch.setattr(world.bot.booking, "standing", wordy)
    reply = await world.alice.slash(world.channel, "quota")
    assert reply.response.content == "x" * 2000


async def test_an_order_cut_by_a_restart_says_so(world: World) -> None:
    intake = world.bot.booking._intake
    taken = [intake._decoding.take(number, number) for number in range(DECODED_AT_ONCE)]
    for place in taken:
        await place.__aenter__()
    asked = asyncio.create_task(world.animate())
    await eventually(lambda: world.bot.tasks._running)
    await world.bot.close()
    reply = await asked
    assert reply.response.content == RESTARTING


async def test_every_fault_says_what_was_charged(world: World) -> None:
    async def unreadable() -> bytes:
        return b"text"

    for asked in (
        replace(order(world), files={"image": Attached(10, unreadable)}),
        replace(order(world), files={"image": Attached(10**9, unreadable)}),
        replace(order(world), prompt=" "),
        replace(order(world), provider="nobody"),
        replace(order(world), options={"duration": 9}),
    ):
        with pytest.raises(UserFault, match=r"(?i)nothing was charged"):
            await world.bot.booking.enqueue(asked)


async def test_a_job_that_is_on_its_way_is_never_said_to_be_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_late(_: Job) -> None:
        world.bot.booking._wake()
        await eventually(lambda: past_the_queue(world))

    monkeypatch.setattr(world.bot.booking._engine, "open", too_late)
    assert (await booked(world)).state.is_open
    await world.video()
    assert await world.quota() == "4 of 5 credits left today"


async def past_the_queue(world: World) -> bool:
    job = await world.bot.booking._store.jobs.get(1)
    return job is not None and job.state is not JobState.QUEUED


async def test_pictures_that_do_not_come_keep_nobody_else_waiting(world: World) -> None:
    never = asyncio.Event()

    async def hang() -> bytes:
        await never.wait()
        return b""

    stuck = [
        asyncio.create_task(
            world.bot.booking.enqueue(
                replace(order(world, number), user_id=number, files={"image": Attached(25_000_000, hang)})
            )
        )
        for number in range(100, 104)
    ]
    async with asyncio.timeout(5):
        assert (await booked(world)).state.is_open
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)
    room = world.bot.booking._intake._room
    async with room.take(1, 1, 10**9), room.take(2, 2, 10**9):
        waiting = asyncio.create_task(booked(world, number=2))
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


async def test_a_file_larger_than_discord_stated_is_not_used(world: World) -> None:
    async def read() -> bytes:
        return bytes(60_000_000)

    with pytest.raises(BadImage, match="60"):
        await world.bot.booking.enqueue(replace(order(world), files={"image": Attached(1000, read)}))


@pytest.fixture
def lossy(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let bookings be written, or not, without an answer."""

    def arrange(*written: bool) -> None:
        reserve, script = world.bot.booking._store.accounts.reserve, list(written)

        async def unanswered(*values: Any) -> Any:
            if script:
                if script.pop(0):
                    await reserve(*values)
                raise Unanswered("cut")
            return await reserve(*values)

        monkeypatch.setattr(world.bot.booking._store.accounts, "reserve", unanswered)

    return arrange


@pytest.mark.parametrize("written", [[True], [False], [True, True], [False, True]])
async def test_a_booking_that_was_not_answered_is_found_or_made_once(
    world: World, vendor: EigenAIServer, lossy: Callable[..., None], written: list[bool]
) -> None:
    lossy(*written)
    await booked(world)
    await world.video()
    assert len(vendor.seen("submit")) == 1
    assert await world.quota() == "4 of 5 credits left today"


async def test_a_booking_that_nobody_can_find_is_not_called_off(
    world: World, lossy: Callable[..., None]
) -> None:
    lossy(*[False, False])
    with pytest.raises(NotNow, match="`/jobs list` shows") as no:
        await booked(world)
    assert "Nothing was charged" not in str(no.value)
    await booked(world, number=2)


async def test_a_booking_that_the_database_refuses_is_not_charged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> Any:
        raise StoreError("disk full")

    monkeypatch.setattr(world.bot.booking._store.accounts, "reserve", refuse)
    with pytest.raises(NotNow, match="Nothing was charged"):
        await booked(world)
    assert not list(world.bot.booking._files._folder.iterdir())


async def test_late_cancels_at_once_are_counted_one_by_one(start: Start, vendor: EigenAIServer) -> None:
    vendor.finish_after(1_000_000)
    world = await start(default_allowance=9, member_jobs=9)
    numbers = range(1, LATE_CANCELS + 4)
    for number in numbers:
        await booked(world, number=number)
    await eventually(lambda: len(vendor.seen("poll")) > 0 and len(vendor.seen("submit")) == len(numbers))
    booking, guild, alice = world.bot.booking, world.guild.id, world.alice.id
    answers = await asyncio.gather(
        *(booking.cancel(number, guild, alice, lambda _: False) for number in numbers), return_exceptions=True
    )
    assert sum(isinstance(answer, Job) for answer in answers) == LATE_CANCELS
    assert sum(isinstance(answer, NotNow) for answer in answers) == 3
