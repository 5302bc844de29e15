"""Whatever becomes of its channel, a video arrives at the next place, or is kept and not charged."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import discord
import pytest

from bot.catalogue import Catalogue
from bot.delivery import Delivery
from bot.jobs import Failure, Job, JobState, Place
from bot.media.jobfiles import JobFiles
from bot.rules import Act, Change, Elsewhere, SetElsewhere, SetLog
from bot.stages.deliver import deliver
from bot.stages.floor import Floor
from bot.store import Store
from providers.base import Succeeded
from tests.bot.delivery.conftest import book, card, connected
from tests.clock import NOON, FastClock
from tests.discord_server.faults import after_accepting, cut, html, refusal, too_many
from tests.discord_server.places import Fate, direct
from tests.discord_server.server import DiscordServer, carries_video
from tests.discord_server.world import (
    ALICE,
    CHANNEL,
    GUILD,
    OTHER_CHANNEL,
    OWNER,
    SYSTEM_CHANNEL,
    THREAD,
    Message,
)
from tests.helpers import AtHome, eventually
from tests.vendors.faults import Fault, sample_video

S = JobState
Send = Callable[[Job], Awaitable[Job]]


@pytest.fixture
async def client(server: DiscordServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[discord.Client]:
    async with connected(server, monkeypatch) as known:
        yield known


@pytest.fixture
async def floor(store: Store, letterbox: Delivery, clock: FastClock, tmp_path: Path) -> AsyncIterator[Floor]:
    children = AtHome()
    files = JobFiles(tmp_path / "jobs")
    yield Floor(store, Catalogue({}, None), letterbox, files, children, children, clock)
    await children.close()


async def finished(store: Store, letterbox: Delivery, job: Job) -> Job:
    """The job with its card in the channel, about to be delivered."""
    card_id = await letterbox.open(card(job))
    assert card_id is not None
    moved = await store.jobs.move(job, S.SUBMITTING)
    moved = await store.jobs.move(moved, S.RUNNING, operation={}, submitted_at=NOON)
    moved = await store.jobs.move(moved, S.DOWNLOADING, video=Succeeded(), ready_at=NOON)
    return await store.jobs.move(moved, S.DELIVERING)


@pytest.fixture
async def waiting(store: Store, letterbox: Delivery, job: Job) -> Job:
    return await finished(store, letterbox, job)


@pytest.fixture
def send(floor: Floor, clock: FastClock) -> Send:
    """Deliver it within ten minutes, which pass in half a minute."""
    return lambda job: deliver(floor, job, clock.now() + timedelta(minutes=10))


async def decide(store: Store, *changes: Change) -> None:
    for number, change in enumerate(changes, start=1):
        act = Act(number, GUILD, OWNER, NOON, change)
        await store.acts.add(number, GUILD, None, lambda _, act=act: act)


def where(server: DiscordServer) -> list[int]:
    """The channels of all messages that carry a video."""
    return [int(message["channel_id"]) for message in posts(server)]


def posts(server: DiscordServer) -> list[Message]:
    return [message for message in server.world.messages.values() if message["attachments"]]


@pytest.mark.parametrize("fate", [Fate.DELETED, Fate.HIDDEN, Fate.MUTE, Fate.FILELESS])
async def test_a_channel_that_does_not_take_it_leads_to_a_direct_message(
    server: DiscordServer, waiting: Job, send: Send, fate: Fate
) -> None:
    server.world.fates[CHANNEL] = fate
    job = await send(waiting)

    assert (job.state, job.charged, job.place, job.place_id) == (S.DELIVERED, 1, Place.DIRECT, direct(ALICE))
    assert where(server) == [direct(ALICE)]
    assert f"could not be posted in <#{CHANNEL}>" in posts(server)[0]["content"]
    assert job.detail is not None
    assert job.detail.startswith("channel: 40")


@pytest.mark.parametrize("fate", [Fate.DELETED, Fate.MUTE, Fate.FILELESS])
async def test_a_server_may_have_it_in_its_system_channel(
    server: DiscordServer, store: Store, waiting: Job, send: Send, fate: Fate
) -> None:
    await decide(store, SetElsewhere(where=Elsewhere.SYSTEM))
    server.world.fates[CHANNEL] = fate
    job = await send(waiting)

    assert (job.place, job.place_id, where(server)) == (Place.SERVER, SYSTEM_CHANNEL, [SYSTEM_CHANNEL])
    assert posts(server)[0]["content"].startswith(f"<@{ALICE}> Your video is ready.")


async def test_where_the_system_channel_does_not_take_it_either_it_comes_directly(
    server: DiscordServer, store: Store, waiting: Job, send: Send
) -> None:
    await decide(store, SetElsewhere(where=Elsewhere.SYSTEM))
    server.world.fates |= {CHANNEL: Fate.DELETED, SYSTEM_CHANNEL: Fate.MUTE}
    job = await send(waiting)

    assert (job.place, where(server)) == (Place.DIRECT, [direct(ALICE)])
    assert [part.split(":")[0] for part in (job.detail or "").split("; ")] == ["channel", "server"]


@pytest.fixture
async def threaded(store: Store, letterbox: Delivery, tmp_path: Path) -> Job:
    """As `waiting`, in a public thread."""
    return await finished(store, letterbox, await book(store, tmp_path, channel_id=THREAD, parent_id=CHANNEL))


@pytest.mark.parametrize(
    ("fate", "rule", "place"),
    [
        (Fate.DELETED, Elsewhere.PARENT, CHANNEL),
        (Fate.LOCKED, Elsewhere.PARENT, CHANNEL),
        (Fate.LOCKED_AS_DOCUMENTED, Elsewhere.PARENT, CHANNEL),
        (Fate.MUTE, Elsewhere.SYSTEM, CHANNEL),
        (Fate.HIDDEN, Elsewhere.NOWHERE, direct(ALICE)),
        (Fate.ARCHIVED, Elsewhere.PARENT, THREAD),
        (Fate.NO_HISTORY, Elsewhere.PARENT, THREAD),
    ],
)
async def test_a_thread_that_does_not_take_it_leads_to_its_channel_if_the_server_wants_that(
    server: DiscordServer, store: Store, threaded: Job, send: Send, fate: Fate, rule: Elsewhere, place: int
) -> None:
    await decide(store, SetElsewhere(where=rule))
    server.world.fates[THREAD] = fate
    job = await send(threaded)

    assert (job.state, where(server)) == (S.DELIVERED, [place])


@pytest.mark.parametrize("gone", ["removed", "closed"])
async def test_what_no_place_takes_is_kept_and_not_charged_and_the_row_says_why(
    server: DiscordServer, store: Store, floor: Floor, waiting: Job, send: Send, gone: str
) -> None:
    if gone == "removed":
        await server.remove_bot()
    else:
        server.world.fates |= {CHANNEL: Fate.MUTE, direct(ALICE): Fate.CLOSED}
    job = await send(waiting)

    assert (job.state, job.failure, job.charged) == (S.FAILED, Failure.UNDELIVERABLE, 0)
    assert [part.split(":")[0] for part in (job.detail or "").split("; ")] == ["channel", "direct"]
    assert floor.files.video(42).read_bytes() == sample_video()
    assert where(server) == []


async def test_the_moderators_log_tells_of_what_no_place_takes(
    server: DiscordServer, store: Store, letterbox: Delivery, waiting: Job, send: Send
) -> None:
    await decide(store, SetLog(channel_id=OTHER_CHANNEL))
    server.world.fates |= {CHANNEL: Fate.MUTE, direct(ALICE): Fate.CLOSED}
    server.next("create", refusal(503), when=lambda asked: asked.names["channel"] == str(OTHER_CHANNEL))
    letterbox.show(card(await send(waiting)))
    (note,) = await eventually(
        lambda: [m for m in server.world.messages.values() if m["channel_id"] == str(OTHER_CHANNEL)]
    )

    assert f"The video of <@{ALICE}> from <#{CHANNEL}> is finished" in note["content"]
    assert "`/jobs resend` with `42`" in note["content"]
    assert note["mentions"] == []
    await eventually(lambda: closed(store))
    assert len(server.seen("create", lambda asked: asked.names["channel"] == str(OTHER_CHANNEL))) == 2


async def closed(store: Store) -> bool:
    return not await store.jobs.unshown()


@pytest.mark.parametrize(
    "fault",
    [refusal(503), html(520), cut, after_accepting(cut), too_many(0.1), refusal(400, 20028)],
    ids=["503", "a page", "cut", "cut after accepting", "429", "20028"],
)
@pytest.mark.parametrize("move", ["create", "edit"])
async def test_an_outage_keeps_the_video_in_its_channel_and_makes_no_second_post(
    server: DiscordServer, waiting: Job, send: Send, fault: Fault, move: str
) -> None:
    server.next(move, *[fault] * 2, when=lambda asked: not asked.json.get("embeds"))
    job = await send(waiting)

    assert (job.state, job.place, where(server)) == (S.DELIVERED, Place.CHANNEL, [CHANNEL])
    assert len(server.world.replies()) == 1


async def test_when_the_time_is_up_each_place_is_tried_once_more_and_the_video_is_kept(
    server: DiscordServer, store: Store, floor: Floor, waiting: Job, clock: FastClock
) -> None:
    await decide(store, SetElsewhere(where=Elsewhere.SYSTEM))
    server.next("create", *[refusal(503)] * 9)
    job = await deliver(floor, waiting, clock.now())

    assert (job.failure, job.charged) == (Failure.UNDELIVERABLE, 0)
    assert [asked.names["channel"] for asked in server.seen("create")[1:]] == [
        str(CHANNEL),
        str(SYSTEM_CHANNEL),
        str(direct(ALICE)),
    ]


async def test_a_post_whose_answer_was_lost_is_found_before_another_place_is_tried(
    server: DiscordServer, floor: Floor, waiting: Job, clock: FastClock
) -> None:
    server.next("edit", after_accepting(cut), when=carries_video)
    job = await deliver(floor, waiting, clock.now())

    assert (job.state, job.place, where(server)) == (S.DELIVERED, Place.CHANNEL, [CHANNEL])


@pytest.mark.parametrize("trouble", [None, "look", "delete"])
async def test_an_announcement_is_taken_back_before_another_place_is_tried(
    server: DiscordServer, waiting: Job, send: Send, trouble: str | None
) -> None:
    server.world.fates[CHANNEL] = Fate.FILELESS
    server.next(trouble or "", *[cut] * 2)
    await send(waiting)

    assert [m["channel_id"] for m in server.world.replies()] == [str(direct(ALICE))]


async def test_where_nobody_can_tell_whether_it_was_posted_it_is_not_posted_elsewhere(
    server: DiscordServer, floor: Floor, waiting: Job, clock: FastClock
) -> None:
    server.next("edit", after_accepting(cut), when=carries_video)
    server.next("look", refusal(503))
    job = await deliver(floor, waiting, clock.now())

    assert (job.failure, job.charged, where(server)) == (Failure.UNDELIVERABLE, 0, [CHANNEL])


async def test_a_channel_that_takes_less_than_thought_gets_a_smaller_file(
    server: DiscordServer, floor: Floor, waiting: Job, send: Send
) -> None:
    size = floor.files.video(42).stat().st_size
    server.world.upload_limit, server.world.upload_page = size - 1, True
    job = await send(waiting)

    assert (job.state, where(server)) == (S.DELIVERED, [CHANNEL])
    assert len(server.world.videos()[0].data) < size
    assert "`/jobs resend` has it as it was" in posts(server)[0]["content"]


@pytest.mark.parametrize("card_is", ["there", "deleted"])
@pytest.mark.parametrize("place", [Place.CHANNEL, Place.SERVER, Place.DIRECT])
async def test_a_message_whose_id_was_lost_is_found_when_discord_has_forgotten_its_nonce(
    server: DiscordServer,
    letterbox: Delivery,
    store: Store,
    tmp_path: Path,
    waiting: Job,
    place: Place,
    card_is: str,
) -> None:
    server.world.nonce_seconds = 0
    old = replace(
        waiting,
        place=place,
        place_id=SYSTEM_CHANNEL if place is Place.SERVER else None,
        card_id=waiting.card_id if card_is == "there" else None,
        state_at=waiting.state_at - timedelta(minutes=2),
    )
    first = await letterbox.announce(old)
    another = await book(store, tmp_path, id=43)
    await letterbox.announce(replace(old, id=another.id, card_id=None))

    assert await letterbox.announce(old) == first
    assert len(server.world.replies()) == 2


async def test_a_card_whose_id_was_lost_is_found_when_discord_has_forgotten_its_nonce(
    server: DiscordServer, letterbox: Delivery, job: Job
) -> None:
    server.world.nonce_seconds = 0
    old = replace(job, created_at=job.created_at - timedelta(minutes=2))
    card_id = await letterbox.open(card(old))
    await letterbox.close()
    letterbox.show(card(replace(old, state=S.RUNNING)))
    await eventually(lambda: server.seen("edit"))

    assert [int(message["id"]) for message in server.world.cards()] == [card_id]


async def test_a_card_in_a_sleeping_thread_shows_the_end(
    server: DiscordServer, letterbox: Delivery, threaded: Job
) -> None:
    server.world.fates[THREAD] = Fate.ARCHIVED
    letterbox.show(card(replace(threaded, state=S.RUNNING), progress=0.5))
    await eventually(lambda: server.seen("edit"))
    letterbox.show(card(replace(threaded, state=S.FAILED, failure=Failure.PROVIDER_FAILED)))
    await eventually(lambda: "could not make this video" in str(server.world.cards()[0]["embeds"]))
    assert [m["channel_id"] for m in server.world.replies()] == [str(THREAD)]
