"""The runner: everything open is driven, nothing is promoted above its caps, and stopping is clean."""

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from errno import EIO
from itertools import pairwise
from typing import Any

import pytest

from bot.errors import Undelivered
from bot.jobs import AT_THE_PROVIDER, UNDER_WAY, Failure, Job, JobState
from bot.posting import Posted
from bot.store.db import StoreError
from bot.store.jobs import Jobs
from bot.store.queue import Caps
from providers.base import Pending
from providers.errors import Overloaded
from providers.specs import VideoRequest
from tests.bot.conftest import Hall, Make, Scripted
from tests.bot.engine.test_engine import in_state
from tests.helpers import eventually, on_both


async def states(hall: Hall, *job_ids: int) -> list[JobState]:
    return [(await hall.job(job_id)).state for job_id in job_ids]


async def delivered(hall: Hall, *job_ids: int) -> bool:
    return set(await states(hall, *job_ids)) == {JobState.DELIVERED}


@on_both
async def test_what_is_booked_is_delivered(hall: Hall) -> None:
    await hall.runner.start()
    await hall.book(1)
    hall.runner.wake()
    await eventually(lambda: delivered(hall, 1))


@on_both
async def test_everything_that_is_open_at_start_is_taken_up(hall: Hall) -> None:
    running = await hall.promoted(1)
    await hall.store.jobs.move(
        running, JobState.RUNNING, operation={"handle": "x"}, submitted_at=hall.clock.now()
    )
    gap = await hall.store.jobs.ask(await hall.promoted(2), at=hall.clock.now())
    await hall.promoted(3)
    await hall.book(4)
    await hall.runner.start()
    await eventually(lambda: delivered(hall, 1, 3, 4))
    lost = await hall.job(gap.id)
    assert (lost.failure, lost.charged) == (Failure.OUTCOME_UNKNOWN, 0)
    assert sorted(hall.provider.submitted) == ["p3", "p4"], "what was not asked for yet goes on"


@on_both
async def test_a_row_that_cannot_be_read_is_left_alone_and_all_others_are_driven(
    hall: Hall, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        await hall.promoted(number)
    await hall.book(3)
    sql = "UPDATE job SET request = '{' WHERE id = 1 RETURNING id"
    await hall.store.jobs._database.write(lambda on: on.rows(sql))
    began = hall.clock.now()
    await hall.runner.start()
    await eventually(lambda: delivered(hall, 2, 3))
    await eventually(lambda: hall.clock.now() - began > timedelta(minutes=5))
    [row] = await hall.store.jobs._database.read("SELECT state, request, charged FROM job WHERE id = 1")
    assert row == {"state": "submitting", "request": "{", "charged": 1}
    assert ["job 1 cannot be read" in entry.getMessage() for entry in caplog.records].count(True) == 1
    assert not [entry for entry in caplog.records if entry.exc_info]


async def test_caps_are_never_exceeded_and_everything_gets_its_turn(make_hall: Make) -> None:
    hall = await make_hall(Caps(member=2, server=5, providers={"scripted": 3}))
    hall.provider.polls.extend([Pending()] * 30)
    worst: Counter[str] = Counter()

    async def look() -> bool:
        jobs = await hall.store.jobs.open()
        members = Counter(job.user_id for job in jobs if job.state in UNDER_WAY)
        worst["member"] = max(worst["member"], *members.values(), 0)
        worst["server"] = max(worst["server"], members.total())
        worst["provider"] = max(worst["provider"], sum(job.state in AT_THE_PROVIDER for job in jobs))
        return not jobs

    for number in range(1, 13):
        await hall.book(number, user_id=number % 4)
    await hall.runner.start()
    await eventually(look)
    assert worst["member"] <= 2
    assert worst["server"] <= 5
    assert worst["provider"] <= 3
    assert sorted(hall.provider.submitted) == sorted(f"p{number}" for number in range(1, 13))


@on_both
async def test_a_job_sent_back_to_the_queue_is_promoted_again_when_it_is_due(hall: Hall) -> None:
    hall.provider.submits.append(Overloaded("429", retry_after=60))
    await hall.book(1)
    await hall.runner.start()
    await eventually(lambda: delivered(hall, 1))
    assert hall.provider.submitted == ["p1", "p1"]


async def test_a_job_nobody_ever_promotes_is_given_up(make_hall: Make) -> None:
    hall = await make_hall(Caps(member=1, server=1, providers={}))
    await hall.book(1)
    await hall.runner.start()
    await eventually(lambda: states_are(hall, JobState.FAILED))
    job = await hall.job(1)
    assert (job.failure, job.charged) == (Failure.TIMED_OUT, 0)


async def states_are(hall: Hall, state: JobState) -> bool:
    return await states(hall, 1) == [state]


async def test_a_drive_that_stumbles_over_our_own_mistake_is_taken_up_again(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hall.box.faults.append(ZeroDivisionError("a bug"))
    await hall.book(1)
    await hall.runner.start()
    await eventually(lambda: delivered(hall, 1))
    assert "the drive of job 1 failed" in caplog.text


async def test_the_queue_goes_on_after_any_mistake_of_ours(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    queue, mistakes = hall.store.jobs.queue, [ZeroDivisionError("a bug")]

    async def stumbling() -> list[Job]:
        if mistakes:
            raise mistakes.pop()
        return await queue()

    monkeypatch.setattr(hall.store.jobs, "queue", stumbling)
    await hall.runner.start()
    await eventually(lambda: "the queue could not be looked at" in caplog.text)
    await hall.book(1)
    hall.runner.wake()
    await eventually(lambda: delivered(hall, 1))


async def test_an_older_card_never_hides_a_cancel_during_a_round_of_the_queue(
    make_hall: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    hall = await make_hall(Caps(9, 9, {}))
    await hall.book(1)
    await hall.book(2)
    durations = Jobs.durations

    async def meanwhile(self: Jobs, provider: str, model: str) -> list[float]:
        if (job := await hall.job(2)).state.is_open:
            await hall.engine.cancel(job, user_id=7)
        return await durations(self, provider, model)

    queue = await hall.store.jobs.queue()
    monkeypatch.setattr(Jobs, "durations", meanwhile)
    await hall.engine.review_queue(queue)
    assert hall.box.states(2)[-1] is JobState.CANCELLED


async def test_stopping_lets_the_call_in_flight_end_and_starts_nothing_new(make_hall: Make) -> None:
    hall = await make_hall(Caps(1, 1, {"scripted": None}))
    hall.provider.gate.clear()
    await hall.book(1)
    await hall.book(2)
    await hall.runner.start()
    await eventually(lambda: hall.provider.submitted)
    hall.engine.stopping.set()
    hall.provider.gate.set()
    await hall.runner.stop()
    assert await states(hall, 1, 2) == [JobState.RUNNING, JobState.QUEUED]
    assert hall.provider.submitted == ["p1"]


async def test_an_end_that_was_not_shown_is_shown_at_the_next_start(hall: Hall) -> None:
    for number in (1, 2):
        await hall.drive(await hall.promoted(number))
    await hall.store.jobs.close_card(2)
    hall.box.cards.clear()
    await hall.runner.start()
    await eventually(lambda: hall.box.states(1) == [JobState.DELIVERED])
    assert hall.box.states(2) == []


async def test_the_places_of_a_queue_are_told_with_as_many_reads_however_long_it_is(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 21):
        await hall.book(number)
    queue = await hall.store.jobs.queue()
    reads: list[str] = []
    read = hall.store.jobs._database.read

    async def counting(sql: str, /, **values: Any) -> Any:
        reads.append(sql)
        return await read(sql, **values)

    monkeypatch.setattr(hall.store.jobs._database, "read", counting)
    await hall.engine.review_queue(queue)
    assert [card.position for card in hall.box.cards] == list(range(1, 21))
    # What is paused, here and everywhere; what this model takes; who waits still.
    assert len(reads) == 4
    await hall.engine.review_queue(queue)
    assert len(hall.box.cards) == 20


async def test_a_drive_that_keeps_stumbling_is_taken_up_less_and_less_often(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[datetime] = []

    async def stumble(job: Job) -> Job:
        tries.append(hall.clock.now())
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(hall.engine, "drive", stumble)
    await hall.book(1)
    await hall.runner.start()
    await eventually(lambda: len(tries) > 6)
    waits = [after - before for before, after in pairwise(tries)]
    assert waits[0] >= timedelta(seconds=5)
    assert waits[-1] >= 4 * waits[0]


async def test_an_end_that_cannot_be_tidied_up_is_an_end(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hall.files.clear = failing(hall.files.clear, OSError(EIO, "Input/output error"))  # type: ignore[method-assign]
    await hall.runner.start()
    await hall.book(1)
    hall.runner.wake()
    await eventually(lambda: delivered(hall, 1))
    await eventually(lambda: not hall.runner._driven)
    assert "cannot be read" not in caplog.text
    assert await hall.files.complete(1, (await hall.job()).request) is None, "it was tidied up later"


def failing(call: Callable[..., Awaitable[Any]], *errors: Exception) -> Callable[..., Awaitable[Any]]:
    """The call, after it has failed so often."""
    left = list(errors)

    async def made(*given: Any, **options: Any) -> Any:
        if left:
            raise left.pop()
        return await call(*given, **options)

    return made


async def test_trouble_with_one_job_of_the_queue_is_not_everybodys(make_hall: Make) -> None:
    hall = await make_hall(Caps(9, 9, {}))
    for number in (1, 2):
        await hall.book(number, may_fall_back=True, provider="gone")
    await hall.book(3)
    complete = hall.files.complete

    async def unreadable(job_id: int, request: VideoRequest) -> VideoRequest | None:
        if job_id == 1:
            raise OSError(EIO, "Input/output error")
        return await complete(job_id, request)

    hall.files.complete = unreadable  # type: ignore[method-assign] # the test's own
    hall.engine._context.catalogue.health["gone"].paused = Failure.UNAUTHORIZED
    other = Scripted(hall.provider.resources.folder)
    other.name = "other"  # type: ignore[misc] # the test's own
    hall.engine._catalogue.providers["other"] = other  # type: ignore[index] # the test's own
    await hall.engine._catalogue.refresh(hall.clock.now())
    await hall.engine.review_queue(await hall.store.jobs.queue())
    assert [(card.job.id, card.position) for card in hall.box.cards] == [(1, 1), (3, 3)]
    assert (await hall.job(2)).fallback_from == "gone"


async def test_what_a_job_has_left_at_its_vendor_is_let_go_once_however_long_its_end_is_not_shown(
    hall: Hall,
) -> None:
    await hall.drive(await hall.promoted(1))
    hall.provider.cleaned.clear()
    await hall.runner.start()
    await eventually(lambda: len(hall.box.cards) > 9)
    assert len(hall.provider.cleaned) <= 1


async def test_an_end_that_is_shown_for_long_is_not_shown_a_second_time_meanwhile(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hall.drive(await hall.promoted(1))
    started: list[int] = []

    async def long(job: Job) -> None:
        started.append(job.id)
        await hall.engine.stopping.wait()

    monkeypatch.setattr(hall.engine, "finish", long)
    began = hall.clock.now()
    await hall.runner.start()
    await eventually(lambda: hall.clock.now() > began + timedelta(minutes=5))
    assert started == [1]


@on_both
@pytest.mark.parametrize("mistakes", [0, 1])
async def test_a_database_that_was_away_for_long_ends_no_job_when_it_is_back(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, mistakes: int
) -> None:
    await in_state(hall, JobState.DELIVERING)
    hall.box.faults.extend([ZeroDivisionError("a bug")] * mistakes)
    until, get, move = hall.clock.now() + timedelta(hours=1), Jobs.get, Jobs.move

    def while_away(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def made(*given: Any, **options: Any) -> Any:
            if hall.clock.now() < until:
                raise StoreError("away")
            return await call(*given, **options)

        return made

    monkeypatch.setattr(Jobs, "under_way", while_away(Jobs.under_way))
    job = await hall.job()
    monkeypatch.setattr(Jobs, "get", while_away(get))
    monkeypatch.setattr(Jobs, "move", while_away(move))
    hall.runner._take(job)
    await eventually(lambda: hall.clock.now() > until)
    assert (await eventually(hall.ended)).state is JobState.DELIVERED


async def test_one_mistake_after_a_long_wait_for_discord_ends_no_job(hall: Hall) -> None:
    hall.runner._take(await in_state(hall, JobState.DELIVERING))
    until, announce = hall.clock.now() + timedelta(hours=2), hall.box.announce
    mistakes = [ZeroDivisionError("a bug")]

    async def announced(job: Job, *, again: bool) -> Posted:
        if hall.clock.now() < until:
            raise Undelivered("reset")
        if mistakes:
            raise mistakes.pop()
        return await announce(job, again=again)

    hall.box.announce = announced  # type: ignore[method-assign] # the test's own
    hall.box.there = Undelivered("reset")
    assert (await eventually(hall.ended)).state is JobState.DELIVERED


async def test_a_job_that_was_promoted_again_before_its_drive_has_ended_is_driven(
    make_hall: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    hall = await make_hall()
    await hall.runner.start()
    hall.runner._driven.add(1)  # its drive has sent it back to the queue, and does not know yet
    await hall.book(1)
    hall.runner.wake()
    promoted = await eventually(lambda: promotion(hall))
    hall.runner._driven.discard(1)
    hall.runner.wake()
    job = await eventually(hall.ended)
    assert job.state_at - promoted < timedelta(seconds=30)


async def promotion(hall: Hall) -> datetime | None:
    job = await hall.job(1)
    return job.state_at if job.state is JobState.SUBMITTING else None


async def test_two_hiccups_of_the_database_in_one_outage_of_discords_end_no_job(hall: Hall) -> None:
    began, announce = hall.clock.now(), hall.box.announce
    hiccups = [began + timedelta(minutes=minutes) for minutes in (80, 40)]

    async def announced(job: Job, *, again: bool) -> Posted:
        if hiccups and hall.clock.now() > hiccups[-1]:
            hiccups.pop()
            raise StoreError("away")
        if hall.clock.now() < began + timedelta(hours=2):
            raise Undelivered("reset")
        return await announce(job, again=again)

    hall.box.announce = announced  # type: ignore[method-assign] # the test's own
    hall.box.there = Undelivered("reset")
    hall.runner._take(await in_state(hall, JobState.DELIVERING))
    assert (await eventually(hall.ended)).state is JobState.DELIVERED


async def test_a_job_that_nothing_of_ours_can_bring_on_ends(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stumble(job: Job) -> Job:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(hall.engine, "drive", stumble)
    hall.runner._take(await in_state(hall, JobState.DELIVERING))
    assert (await eventually(hall.ended)).failure is Failure.UNDELIVERABLE
