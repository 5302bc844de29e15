"""Whatever becomes of its channel, a video arrives at the next place, or is kept and not charged."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from errno import ENOSPC
from pathlib import Path
from types import NoneType

import discord
import pytest
from aiohttp import web

from bot.catalogue import Catalogue
from bot.delivery import Delivery
from bot.engine.context import JobContext
from bot.engine.deliver import deliver
from bot.jobs import Failure, Job, JobState, Place
from bot.media.job_files import JobFiles
from bot.posting import Posters
from bot.quota.decisions import Change, Decision, SetElsewhere, SetLog
from bot.quota.rules import Elsewhere
from bot.store import Store
from providers.base import Succeeded
from tests.bot.delivery.conftest import announced, book, card, connected, cut_answer
from tests.clock import NOON, FastClock
from tests.discord_server.faults import after_accepting, cut, html, refusal, too_many
from tests.discord_server.places import BOB, FORUM, Fate, direct, user
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
from tests.vendors.faults import Exchange, sample_video

S = JobState
Send = Callable[[Job], Awaitable[Job]]


@pytest.fixture
async def client(server: DiscordServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[discord.Client]:
    async with connected(server, monkeypatch) as known:
        yield known


@pytest.fixture
async def context(
    store: Store, messenger: Delivery, clock: FastClock, tmp_path: Path
) -> AsyncIterator[JobContext]:
    children = AtHome()
    files = JobFiles(tmp_path / "jobs")
    yield JobContext(
        store,
        Catalogue({}, None),
        Posters(messenger.cards, messenger.videos),
        files,
        children,
        children,
        clock,
    )
    await children.close()


async def finished(store: Store, messenger: Delivery, job: Job) -> Job:
    """The job with its card in the channel, about to be delivered."""
    card_id = await messenger.cards.open(card(job))
    assert card_id is not None
    moved = await store.jobs.move(job, S.SUBMITTING)
    moved = await store.jobs.move(moved, S.RUNNING, operation={}, submitted_at=NOON)
    moved = await store.jobs.move(moved, S.DOWNLOADING, video=Succeeded(), ready_at=NOON)
    return await store.jobs.move(moved, S.DELIVERING)


@pytest.fixture
async def waiting(store: Store, messenger: Delivery, job: Job) -> Job:
    return await finished(store, messenger, job)


@pytest.fixture
def send(context: JobContext, clock: FastClock) -> Send:
    """Deliver it within ten minutes, which pass in half a minute."""
    return lambda job: deliver(context, job, clock.now() + timedelta(minutes=10))


async def decide(store: Store, *changes: Change) -> None:
    for number, change in enumerate(changes, start=1):
        decision = Decision(number, GUILD, OWNER, NOON, change)
        await store.decisions.add(number, GUILD, None, lambda _, decision=decision: decision)


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


async def test_the_system_channel_gets_nothing_that_was_not_for_everybody(
    server: DiscordServer, store: Store, messenger: Delivery, tmp_path: Path, send: Send
) -> None:
    await decide(store, SetElsewhere(where=Elsewhere.SYSTEM))
    server.world.fates[CHANNEL] = Fate.FILELESS
    await send(await finished(store, messenger, await book(store, tmp_path, is_public=False)))

    assert where(server) == [direct(ALICE)]


async def test_what_a_moderator_deletes_while_it_arrives_comes_directly_and_to_no_other_channel(
    server: DiscordServer, store: Store, threaded: Job, messenger: Delivery, send: Send
) -> None:
    job = await announced(messenger, threaded)
    server.world.delete(THREAD, job.message_id or 0)
    job = await send(job)

    assert (job.place, where(server)) == (Place.DIRECT, [direct(ALICE)])


async def test_where_the_system_channel_does_not_take_it_either_it_comes_directly(
    server: DiscordServer, store: Store, waiting: Job, send: Send
) -> None:
    await decide(store, SetElsewhere(where=Elsewhere.SYSTEM))
    server.world.fates |= {CHANNEL: Fate.DELETED, SYSTEM_CHANNEL: Fate.MUTE}
    job = await send(waiting)

    assert (job.place, where(server)) == (Place.DIRECT, [direct(ALICE)])
    assert [part.split(":")[0] for part in (job.detail or "").split("; ")] == ["channel", "server"]


@pytest.fixture
async def threaded(store: Store, messenger: Delivery, tmp_path: Path) -> Job:
    """As `waiting`, in a public thread."""
    return await finished(store, messenger, await book(store, tmp_path, channel_id=THREAD, parent_id=CHANNEL))


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


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize(
    ("rule", "place"), [(Elsewhere.PARENT, direct(ALICE)), (Elsewhere.SYSTEM, SYSTEM_CHANNEL)]
)
async def test_a_forum_takes_no_video_of_its_threads(
    server: DiscordServer,
    client: discord.Client,
    store: Store,
    threaded: Job,
    send: Send,
    rule: Elsewhere,
    place: int,
    *,
    is_known: bool,
) -> None:
    await decide(store, SetElsewhere(where=rule))
    await server.gateway.dispatch("CHANNEL_DELETE", server.world.channel(CHANNEL))
    server.world.fates[THREAD], server.world.kinds[CHANNEL] = Fate.DELETED, FORUM
    if is_known:
        await server.gateway.dispatch("CHANNEL_CREATE", server.world.channel(CHANNEL))
    guild = client.get_guild(GUILD)
    assert guild is not None
    await eventually(
        lambda: isinstance(guild.get_channel(CHANNEL), discord.ForumChannel if is_known else NoneType)
    )
    job = await send(threaded)

    assert (job.state, where(server)) == (S.DELIVERED, [place if is_known else direct(ALICE)])
    assert bool(server.seen("create", lambda asked: asked.names["channel"] == str(CHANNEL))) != is_known


@pytest.mark.parametrize("gone", ["removed", "closed"])
async def test_what_no_place_takes_is_kept_and_not_charged_and_the_row_says_why(
    server: DiscordServer, store: Store, context: JobContext, waiting: Job, send: Send, gone: str
) -> None:
    if gone == "removed":
        await server.remove_bot()
    else:
        server.world.fates |= {CHANNEL: Fate.MUTE, direct(ALICE): Fate.CLOSED}
    job = await send(waiting)

    assert (job.state, job.failure, job.charged) == (S.FAILED, Failure.UNDELIVERABLE, 0)
    assert [part.split(":")[0] for part in (job.detail or "").split("; ")] == ["channel", "direct"]
    assert context.files.video(42).read_bytes() == sample_video()
    assert where(server) == []


@pytest.mark.parametrize("code", [50007, 50278])
async def test_direct_messages_that_cannot_even_be_opened_are_the_end_of_the_way(
    server: DiscordServer, waiting: Job, send: Send, code: int
) -> None:
    server.world.fates[CHANNEL] = Fate.MUTE
    server.next("direct", *[refusal(403, code)] * 9)
    job = await send(waiting)

    assert (job.failure, job.charged) == (Failure.UNDELIVERABLE, 0)
    assert "direct: 403" in (job.detail or "")


async def test_a_server_that_is_not_known_until_the_time_is_up_is_passed_over(
    server: DiscordServer,
    store: Store,
    context: JobContext,
    waiting: Job,
    clock: FastClock,
    client: discord.Client,
) -> None:
    await decide(store, SetElsewhere(where=Elsewhere.SYSTEM))
    server.world.fates[CHANNEL] = Fate.MUTE
    await server.gateway.dispatch("GUILD_DELETE", {"id": str(GUILD), "unavailable": True})
    await eventually(lambda: (known := client.get_guild(GUILD)) is None or known.unavailable)
    job = await deliver(context, waiting, clock.now())

    assert (job.state, where(server)) == (S.DELIVERED, [direct(ALICE)])


async def test_the_moderators_log_tells_of_what_no_place_takes(
    server: DiscordServer, store: Store, messenger: Delivery, waiting: Job, send: Send
) -> None:
    await decide(store, SetLog(channel_id=OTHER_CHANNEL))
    server.world.fates |= {CHANNEL: Fate.MUTE, direct(ALICE): Fate.CLOSED}
    server.next("create", refusal(503), when=lambda asked: asked.names["channel"] == str(OTHER_CHANNEL))
    messenger.cards.show(card(await send(waiting)))
    (note,) = await eventually(
        lambda: [m for m in server.world.messages.values() if m["channel_id"] == str(OTHER_CHANNEL)]
    )

    assert f"The video of <@{ALICE}> from <#{CHANNEL}> is finished" in note["content"]
    assert "`/jobs resend` with `42`" in note["content"]
    assert note["mentions"] == []
    await eventually(lambda: closed(store))
    assert len(server.seen("create", lambda asked: asked.names["channel"] == str(OTHER_CHANNEL))) == 2


@pytest.mark.parametrize("place", [Place.CHANNEL, Place.DIRECT])
async def test_an_announcement_whose_video_does_not_come_says_so_wherever_it_is(
    server: DiscordServer, messenger: Delivery, waiting: Job, place: Place
) -> None:
    job = await announced(messenger, replace(waiting, place=place))
    messenger.cards.show(card(replace(job, state=S.FAILED, failure=Failure.TOO_LARGE)))
    (reply,) = server.world.replies()
    await eventually(lambda: "larger than this server" in reply["content"])
    assert len(server.world.replies()) == 1


async def closed(store: Store) -> bool:
    return not await store.jobs.unshown()


OUTAGES = (
    refusal(503),
    html(520),
    html(403),
    cut,
    cut_answer,
    too_many(0.1),
    refusal(400, 20028),
    refusal(403, 40333),
    after_accepting(cut),
)
"""The last one is over once somebody looks: what was asked for has happened."""


@pytest.mark.parametrize("move", ["create", "edit"])
async def test_no_outage_sends_the_video_elsewhere_or_makes_a_second_post(
    server: DiscordServer, waiting: Job, send: Send, move: str
) -> None:
    server.next(move, *OUTAGES, when=lambda asked: not asked.json.get("embeds"))
    job = await send(waiting)

    assert (job.state, job.place, where(server)) == (S.DELIVERED, Place.CHANNEL, [CHANNEL])
    assert len(server.world.replies()) == 1
    assert not server._faults, "each was met"


async def test_when_the_time_is_up_each_place_is_tried_once_more_and_the_video_is_kept(
    server: DiscordServer, store: Store, context: JobContext, waiting: Job, clock: FastClock
) -> None:
    await decide(store, SetElsewhere(where=Elsewhere.SYSTEM))
    server.next("create", *[refusal(503)] * 999)
    job = await deliver(context, waiting, clock.now())

    assert (job.failure, job.charged) == (Failure.UNDELIVERABLE, 0)
    *first, system, last = [asked.names["channel"] for asked in server.seen("create")]
    assert (set(first), system, last) == ({str(CHANNEL)}, str(SYSTEM_CHANNEL), str(direct(ALICE)))


async def test_a_post_whose_answer_was_lost_is_found_before_another_place_is_tried(
    server: DiscordServer, context: JobContext, waiting: Job, clock: FastClock
) -> None:
    server.next("edit", after_accepting(cut), when=carries_video)
    job = await deliver(context, waiting, clock.now())

    assert (job.state, job.place, where(server)) == (S.DELIVERED, Place.CHANNEL, [CHANNEL])


@pytest.mark.parametrize("trouble", [None, "look", "delete"])
async def test_an_announcement_is_taken_back_before_another_place_is_tried(
    server: DiscordServer, waiting: Job, send: Send, trouble: str | None
) -> None:
    server.world.fates[CHANNEL] = Fate.FILELESS
    server.next(trouble or "", *[cut] * 2)
    await send(waiting)

    assert [m["channel_id"] for m in server.world.replies()] == [str(direct(ALICE))]


@pytest.mark.parametrize("seen", ["hidden", "unread"])
async def test_a_post_that_is_out_of_sight_is_not_made_a_second_time(
    server: DiscordServer, waiting: Job, send: Send, seen: str
) -> None:
    async def accept_and_hide(exchange: Exchange) -> web.StreamResponse:
        server.world.fates[CHANNEL] = Fate.HIDDEN if seen == "hidden" else Fate.NO_HISTORY
        server.next("edit", *[refusal(403, 50013)] * 9, when=lambda asked: not asked.json.get("embeds"))
        server.next("delete", refusal(403, 50001))
        return await after_accepting(cut)(exchange)

    fate = server.world.fates
    server.next("edit", accept_and_hide, when=carries_video)
    job = await send(waiting)
    fate.clear()

    assert (job.failure, job.charged) == (Failure.UNDELIVERABLE, 0)
    assert len(where(server)) <= 1


async def test_where_nobody_can_tell_whether_it_was_posted_it_is_not_posted_elsewhere(
    server: DiscordServer, context: JobContext, waiting: Job, clock: FastClock
) -> None:
    server.next("edit", after_accepting(cut), *[refusal(503)] * 999, when=carries_video)
    server.next("look", *[refusal(403, 50001)] * 9)
    server.next("delete", *[refusal(403, 50001)] * 9)
    job = await deliver(context, waiting, clock.now())

    assert (job.failure, job.charged, where(server)) == (Failure.UNDELIVERABLE, 0, [CHANNEL])


async def test_whether_it_was_posted_is_asked_until_discord_answers(
    server: DiscordServer, context: JobContext, waiting: Job, clock: FastClock
) -> None:
    server.next("edit", after_accepting(cut), *[refusal(503)] * 999, when=carries_video)
    server.next("look", *[refusal(503)] * 30)
    job = await deliver(context, waiting, clock.now())

    assert (job.state, job.charged, where(server)) == (S.DELIVERED, 1, [CHANNEL])


async def test_a_full_disk_loses_no_video(
    server: DiscordServer,
    context: JobContext,
    waiting: Job,
    clock: FastClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def full(*_: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr("bot.engine.deliver.fit", full)
    job = await deliver(context, waiting, clock.now())

    assert (job.failure, job.charged) == (Failure.UNDELIVERABLE, 0)


async def test_waiting_for_others_to_be_encoded_is_no_reason_to_give_up(
    server: DiscordServer,
    context: JobContext,
    waiting: Job,
    clock: FastClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def waits(*_: object) -> None:
        await clock.wait(asyncio.Event(), 10)

    monkeypatch.setattr("bot.engine.deliver.fit", waits)
    server.next("create", refusal(400, 20028), when=lambda asked: not asked.json.get("embeds"))
    job = await deliver(context, waiting, clock.now() + timedelta(seconds=5))

    assert (job.state, where(server)) == (S.DELIVERED, [CHANNEL])


async def test_a_channel_that_takes_less_than_thought_gets_a_smaller_file(
    server: DiscordServer, context: JobContext, waiting: Job, send: Send
) -> None:
    size = context.files.video(42).stat().st_size
    server.world.upload_limit, server.world.upload_page = size - 1, True
    job = await send(waiting)

    assert (job.state, where(server)) == (S.DELIVERED, [CHANNEL])
    assert len(server.world.videos()[0].data) < size
    assert "`/jobs resend` has it as it was" in posts(server)[0]["content"]


@pytest.mark.parametrize("card_is", ["there", "deleted", "never posted"])
@pytest.mark.parametrize("place", [Place.CHANNEL, Place.SERVER, Place.DIRECT])
async def test_a_message_whose_id_was_lost_is_found_when_discord_has_forgotten_its_nonce(
    server: DiscordServer,
    messenger: Delivery,
    store: Store,
    tmp_path: Path,
    waiting: Job,
    place: Place,
    card_is: str,
) -> None:
    server.world.nonce_seconds = 0
    job = replace(waiting, place=place, place_id=SYSTEM_CHANNEL if place is Place.SERVER else None)
    if card_is == "deleted":
        server.world.delete(CHANNEL, job.card_id or 0)
    elif card_is == "never posted":
        job = replace(job, card_id=None)
    first = await messenger.videos.announce(job, again=False)
    another = replace(await book(store, tmp_path, id=142), place=place, place_id=job.place_id)
    await messenger.videos.announce(another, again=False)

    assert await messenger.videos.announce(job, again=True) == first
    assert len(server.world.replies()) == 2


async def test_a_lost_message_is_found_among_hundreds_that_came_before_it(
    server: DiscordServer, store: Store, messenger: Delivery, waiting: Job, send: Send, clock: FastClock
) -> None:
    server.world.nonce_seconds = 0
    chatter(server, 320)
    server.next("create", after_accepting(cut), when=lambda asked: not asked.json.get("embeds"))
    await send(waiting)

    assert len([message for message in server.world.replies() if is_own(message)]) == 1


def chatter(server: DiscordServer, count: int) -> None:
    """Members have been talking in the channel, before the bot had anything to say."""
    for number in range(count):
        message = server.world._new_message(CHANNEL)
        before = discord.utils.time_snowflake(NOON - timedelta(hours=1)) + number
        message |= {"author": user(BOB), "id": str(before)}
        server.world.messages[before] = message


def is_own(message: Message) -> bool:
    return bool(message["author"]["bot"])


async def test_a_card_whose_id_was_lost_is_found_when_discord_has_forgotten_its_nonce(
    server: DiscordServer, messenger: Delivery, job: Job
) -> None:
    server.world.nonce_seconds = 0
    old = replace(job, created_at=job.created_at - timedelta(minutes=2))
    chatter(server, 5)
    card_id = await messenger.cards.open(card(old))
    await messenger.close()
    messenger.cards.show(card(replace(old, state=S.RUNNING)))
    await eventually(lambda: server.seen("edit"))

    assert [int(message["id"]) for message in server.world.cards()] == [card_id]


async def test_a_card_in_a_sleeping_thread_shows_the_end(
    server: DiscordServer, messenger: Delivery, threaded: Job
) -> None:
    server.world.fates[THREAD] = Fate.ARCHIVED
    messenger.cards.show(card(replace(threaded, state=S.RUNNING), progress=0.5))
    await eventually(lambda: server.seen("edit"))
    messenger.cards.show(card(replace(threaded, state=S.FAILED, failure=Failure.PROVIDER_FAILED)))
    await eventually(lambda: "could not make this video" in str(server.world.cards()[0]["embeds"]))
    assert [m["channel_id"] for m in server.world.replies()] == [str(THREAD)]
