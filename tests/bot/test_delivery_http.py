"""The letter box with discord.py's real HTTP client, against Discord on loopback."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import discord
import pytest
from discord.http import Route

from bot.cards import Card
from bot.delivery import Delivery
from bot.errors import TooLarge, Undeliverable, Undelivered
from bot.jobs import Failure, Job, JobState
from bot.media.jobfiles import JobFiles
from bot.quotas import Allowance, Balance, WindowKind, window_at
from bot.store import Store
from bot.store.db import connect
from cogs._cards import render
from providers.specs import VideoRequest
from tests import openapi
from tests.clock import NOON, FastClock
from tests.discord_server.faults import after_accepting, cut, html, late, refusal, too_many
from tests.discord_server.server import DiscordServer, is_reply
from tests.discord_server.world import ALICE, CHANNEL, GUILD, TOKEN
from tests.helpers import eventually
from tests.vendors.faults import Fault, sample_video

LIMIT = 1_000_000
SPEED = 20
"""How many times faster than ours the letter box's time runs."""


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as running:
        monkeypatch.setattr(Route, "BASE", running.api)
        yield running
        openapi.check(running.requests)


@pytest.fixture
async def client(server: DiscordServer) -> AsyncIterator[discord.Client]:
    async with discord.Client(
        intents=discord.Intents.none(), allowed_mentions=discord.AllowedMentions.none()
    ) as connected:
        await connected.login(TOKEN)
        yield connected


@pytest.fixture
def clock() -> FastClock:
    return FastClock(SPEED)


@pytest.fixture
async def store(tmp_path: Path, clock: FastClock) -> AsyncIterator[Store]:
    opened = Store(connect(f"sqlite:///{tmp_path / 'jobs.db'}"), clock)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def letterbox(
    client: discord.Client, store: Store, clock: FastClock, tmp_path: Path
) -> AsyncIterator[Delivery]:
    box = Delivery(
        client, store, JobFiles(tmp_path / "jobs"), clock, render, card_seconds=0.5, upload_limit=LIMIT
    )
    yield box
    await box.close()


@pytest.fixture
async def job(store: Store, tmp_path: Path) -> Job:
    """Booked, with its thumbnail and its video on disk."""
    folder = tmp_path / "jobs" / "42"
    folder.mkdir(parents=True)
    (folder / "thumbnail.jpg").write_bytes(b"a small picture")
    (folder / "video.mp4").write_bytes(sample_video())
    new = Job(
        id=42,
        guild_id=GUILD,
        channel_id=CHANNEL,
        user_id=ALICE,
        provider="eigenai",
        request=VideoRequest(model="wan2p2-i2v-14b-turbo", prompt="slow zoom in"),
        state=JobState.QUEUED,
        price=1,
        charged=1,
        created_at=NOON,
        state_at=NOON,
        not_before=NOON,
    )
    balance = Balance(Allowance(5, WindowKind.DAY), window_at(WindowKind.DAY, NOON), used=0)
    booked = await store.jobs.reserve(new, balance)
    assert booked is not None
    return booked


def card(job: Job, **changes: object) -> Card:
    return Card(job=job, provider="EigenAI", model="Wan 2.2 Turbo", **changes)  # type: ignore[arg-type]


def at(job: Job, state: JobState, **changes: object) -> Job:
    return replace(job, state=state, **changes)  # type: ignore[arg-type]


def shown(server: DiscordServer) -> str:
    """What the one card says now."""
    cards = server.world.cards()
    return str(cards[0]["embeds"][0]) if cards else ""


# ---- The video


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_short_outage_is_sat_out(
    server: DiscordServer, letterbox: Delivery, job: Job, status: int
) -> None:
    server.next("create", refusal(status))
    await letterbox.announce(job)

    assert len(server.world.messages) == 1


@pytest.mark.parametrize("fault", [refusal(503), html(520), cut, after_accepting(cut), html(429)])
async def test_what_may_pass_is_worth_another_try_and_never_a_second_message(
    server: DiscordServer, letterbox: Delivery, job: Job, fault: Fault
) -> None:
    server.next("create", fault)
    with pytest.raises(Undelivered):
        await letterbox.announce(job)
    first = await letterbox.announce(job)
    again = await letterbox.announce(job)

    assert first == again
    assert list(server.world.messages) == [first]


async def test_a_rate_limit_is_waited_for(server: DiscordServer, letterbox: Delivery, job: Job) -> None:
    server.next("create", too_many(0.2))
    await letterbox.announce(job)
    first, second = server.seen("create")

    assert second.at - first.at >= 0.2
    assert len(server.world.messages) == 1


@pytest.mark.parametrize("fault", [refusal(503), cut, after_accepting(cut), after_accepting(refusal(503))])
async def test_an_upload_can_be_repeated_and_leaves_one_file(
    server: DiscordServer, letterbox: Delivery, job: Job, fault: Fault
) -> None:
    reply = await letterbox.announce(job)
    server.next("edit", fault)
    with pytest.raises(Undelivered):
        await letterbox.attach(job, reply)
    await letterbox.attach(job, reply)
    (attachment,) = server.world.messages[reply]["attachments"]

    assert [video.data for video in server.world.videos()] == [sample_video()]
    assert attachment["description"] == "slow zoom in"
    assert attachment["content_type"] == "video/mp4"


@pytest.mark.parametrize(
    "fault", [refusal(413, 40005), refusal(400, 50045), html(413)], ids=["40005", "50045", "a page"]
)
async def test_what_discord_finds_too_large_is_not_sent_again(
    server: DiscordServer, letterbox: Delivery, job: Job, fault: Fault
) -> None:
    reply = await letterbox.announce(job)
    server.next("edit", fault)
    with pytest.raises(TooLarge):
        await letterbox.attach(job, reply)

    assert len(server.seen("edit")) == 1


async def test_a_video_over_the_limit_is_not_even_sent(
    server: DiscordServer, letterbox: Delivery, job: Job, tmp_path: Path
) -> None:
    reply = await letterbox.announce(job)
    (tmp_path / "jobs" / "42" / "video.mp4").write_bytes(bytes(LIMIT + 1))
    with pytest.raises(TooLarge):
        await letterbox.attach(job, reply)

    assert server.seen("edit") == []


@pytest.mark.parametrize("reason", [(403, 50013), (403, 50001), (404, 10008), (404, 10003), (400, 50035)])
async def test_what_will_not_pass_ends_the_delivery(
    server: DiscordServer, letterbox: Delivery, job: Job, reason: tuple[int, int]
) -> None:
    reply = await letterbox.announce(job)
    server.next("create", refusal(*reason))
    server.next("edit", refusal(*reason))
    with pytest.raises(Undeliverable):
        await letterbox.announce(job)
    with pytest.raises(Undeliverable):
        await letterbox.attach(job, reply)


async def test_the_reply_names_the_requester_and_nobody_else(
    server: DiscordServer, letterbox: Delivery, job: Job
) -> None:
    card_id = await letterbox.open(card(job))
    await letterbox.announce(replace(job, card_id=card_id))
    (sent,) = server.seen("create", is_reply)

    assert sent.json["allowed_mentions"] == {"parse": [], "users": [ALICE]}
    assert (sent.json["nonce"], sent.json["enforce_nonce"]) == ("42", True)
    assert sent.json["message_reference"]["message_id"] == card_id


async def test_a_deleted_card_does_not_keep_the_video_back(
    server: DiscordServer, letterbox: Delivery, job: Job
) -> None:
    card_id = await letterbox.open(card(job))
    assert card_id is not None
    server.world.delete(CHANNEL, card_id)
    await letterbox.announce(replace(job, card_id=card_id))

    assert len(server.world.replies()) == 1


@pytest.mark.parametrize("fault", [refusal(503), cut])
async def test_an_announcement_without_a_video_is_taken_back_even_after_an_outage(
    server: DiscordServer, letterbox: Delivery, job: Job, fault: Fault
) -> None:
    reply = await letterbox.announce(job)
    server.next("edit", fault, when=lambda asked: asked.path.endswith(str(reply)))
    letterbox.show(card(at(job, JobState.FAILED, failure=Failure.UNDELIVERABLE, message_id=reply)))
    await eventually(lambda: "could not be posted" in str(server.world.messages[reply]["content"]))


async def test_an_announcement_without_a_video_is_taken_back_where_the_card_is_gone(
    server: DiscordServer, letterbox: Delivery, job: Job
) -> None:
    card_id = await letterbox.open(card(job))
    assert card_id is not None
    reply = await letterbox.announce(replace(job, card_id=card_id))
    server.world.delete(CHANNEL, card_id)
    letterbox.show(card(at(job, JobState.FAILED, failure=Failure.TOO_LARGE, message_id=reply)))
    await eventually(lambda: "larger than this server" in str(server.world.messages[reply]["content"]))


# ---- The card


async def test_the_newest_card_wins(server: DiscordServer, letterbox: Delivery, job: Job) -> None:
    await letterbox.open(card(job))
    release = asyncio.Event()
    server.next("edit", late(release))
    letterbox.show(card(job, position=3))
    await eventually(lambda: server.seen("edit"))
    for position in (2, 1):
        letterbox.show(card(job, position=position))
    letterbox.show(card(at(job, JobState.SUBMITTING)))
    release.set()
    await eventually(lambda: "Sending it to EigenAI" in shown(server))

    assert ["number 3" in str(edit.json) for edit in server.seen("edit")] == [True, False]


async def test_the_end_does_not_wait_its_turn(
    server: DiscordServer, client: discord.Client, store: Store, clock: FastClock, tmp_path: Path, job: Job
) -> None:
    unhurried = Delivery(
        client, store, JobFiles(tmp_path / "jobs"), clock, render, card_seconds=100_000, upload_limit=LIMIT
    )
    await unhurried.open(card(job))
    unhurried.show(card(at(job, JobState.RUNNING)))
    unhurried.show(card(at(job, JobState.CANCELLED)))
    await eventually(lambda: "Cancelled" in shown(server))
    await unhurried.close()

    assert len(server.seen("edit")) == 1


async def test_a_deleted_card_is_left_alone(server: DiscordServer, letterbox: Delivery, job: Job) -> None:
    card_id = await letterbox.open(card(job))
    assert card_id is not None
    booked = replace(job, card_id=card_id)
    server.world.delete(CHANNEL, card_id)
    letterbox.show(card(at(booked, JobState.SUBMITTING)))
    await eventually(lambda: server.seen("edit"))
    for progress in (0.1, 0.2, 0.3):
        letterbox.show(card(at(booked, JobState.RUNNING), progress=progress))
        await _quiet(letterbox, server, booked)

    assert len(server.seen("edit")) == 1
    assert card_id not in server.world.messages


async def test_an_unchanged_card_is_not_sent_again(
    server: DiscordServer, letterbox: Delivery, job: Job
) -> None:
    await letterbox.open(card(job))
    letterbox.show(card(job))
    await letterbox.close()

    assert server.seen("edit") == []


async def test_a_card_keeps_its_picture_and_nothing_beside_it(
    server: DiscordServer, letterbox: Delivery, job: Job
) -> None:
    await letterbox.open(card(job))
    letterbox.show(card(at(job, JobState.RUNNING)))
    await eventually(lambda: "is making the video" in shown(server))
    (message,) = server.world.cards()

    assert "/picture.jpg" in message["embeds"][0]["thumbnail"]["url"]
    assert message["attachments"] == []


@pytest.mark.parametrize("fault", [refusal(503), cut])
async def test_an_end_that_discord_does_not_take_is_tried_again_with_growing_pauses(
    server: DiscordServer, letterbox: Delivery, job: Job, fault: Fault
) -> None:
    await letterbox.open(card(job))
    server.next("edit", *[fault] * 3)
    letterbox.show(card(at(job, JobState.CANCELLED)))
    await eventually(lambda: "Cancelled" in shown(server))
    pauses = [later.at - sooner.at for sooner, later in pairwise(server.seen("edit"))]

    assert [pause * SPEED >= 2**n / 2 for n, pause in enumerate(pauses, start=1)] == [True] * 3


async def test_a_card_whose_first_post_was_cut_shows_what_is_true_now(
    server: DiscordServer, letterbox: Delivery, job: Job
) -> None:
    server.next("create", after_accepting(cut))
    opening = asyncio.create_task(letterbox.open(card(job)))
    await eventually(server.world.cards)
    letterbox.show(card(at(job, JobState.FAILED, failure=Failure.OUTCOME_UNKNOWN)))
    await eventually(lambda: "nobody can tell" in shown(server), timeout=3)
    await opening

    assert len(server.world.messages) == 1


async def test_a_card_that_cannot_be_posted_does_not_hold_up_the_job(
    server: DiscordServer, letterbox: Delivery, job: Job, clock: FastClock
) -> None:
    server.next("create", refusal(403, 50013))
    started = clock.now()

    assert await letterbox.open(card(job)) is None
    assert clock.now() - started < timedelta(minutes=1)


async def _quiet(letterbox: Delivery, server: DiscordServer, job: Job) -> None:
    """Returns once the card had its chance to be sent: another job's card, shown later, has arrived."""
    cards = len(server.seen("create"))
    await letterbox.open(card(replace(job, id=job.id + cards, card_id=None)))
