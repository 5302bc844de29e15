"""Status cards in Discord: the latest state, once, and the end in any case."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from bot.delivery import Delivery
from bot.delivery.cards import CardState
from bot.jobs import Failure, Job, JobState
from bot.store import Store
from bot.store.db import StoreError
from tests.bot.delivery.conftest import MakeDelivery, at, card, cut_answer, shown
from tests.clock import FastClock
from tests.discord_server.faults import after_accepting, cut, late, refusal
from tests.discord_server.places import Fate
from tests.discord_server.server import DiscordServer
from tests.discord_server.world import ALICE, CHANNEL
from tests.helpers import eventually
from tests.vendors.faults import Fault


async def test_the_newest_card_wins(server: DiscordServer, messenger: Delivery, job: Job) -> None:
    await messenger.cards.open(card(job))
    release = asyncio.Event()
    server.next("edit", late(release))
    messenger.cards.show(card(job, position=3))
    await eventually(lambda: server.seen("edit"))
    for position in (2, 1):
        messenger.cards.show(card(job, position=position))
    messenger.cards.show(card(at(job, JobState.SUBMITTING)))
    release.set()
    await eventually(lambda: "Sending it to EigenAI" in shown(server))

    assert ["number 3" in str(edit.json) for edit in server.seen("edit")] == [True, False]


async def test_the_end_does_not_wait_its_turn(
    server: DiscordServer, make_delivery: MakeDelivery, job: Job
) -> None:
    unhurried = make_delivery(100_000)
    await unhurried.cards.open(card(job))
    unhurried.cards.show(card(at(job, JobState.RUNNING)))
    unhurried.cards.show(card(at(job, JobState.CANCELLED)))
    await eventually(lambda: "Cancelled" in shown(server))
    await unhurried.close()

    assert len(server.seen("edit")) == 1


async def test_a_deleted_card_is_left_alone(server: DiscordServer, messenger: Delivery, job: Job) -> None:
    card_id = await messenger.cards.open(card(job))
    assert card_id is not None
    booked = replace(job, card_id=card_id)
    server.world.delete(CHANNEL, card_id)
    messenger.cards.show(card(at(booked, JobState.SUBMITTING)))
    await eventually(lambda: server.seen("edit"))
    for progress in (0.1, 0.2, 0.3):
        messenger.cards.show(card(at(booked, JobState.RUNNING), progress=progress))
        await _quiet(messenger, server, booked)

    assert len(server.seen("edit")) == 1
    assert card_id not in server.world.messages


async def test_an_unchanged_card_is_not_sent_again(
    server: DiscordServer, messenger: Delivery, job: Job
) -> None:
    await messenger.cards.open(card(job))
    messenger.cards.show(card(job))
    await messenger.close()

    assert server.seen("edit") == []


async def test_a_card_keeps_its_picture_and_nothing_beside_it(
    server: DiscordServer, messenger: Delivery, job: Job
) -> None:
    await messenger.cards.open(card(job))
    messenger.cards.show(card(at(job, JobState.RUNNING)))
    await eventually(lambda: "is making the video" in shown(server))
    (message,) = server.world.cards()

    assert "/picture.jpg" in message["embeds"][0]["thumbnail"]["url"]
    assert message["attachments"] == []


@pytest.mark.parametrize("fault", [refusal(503), cut])
async def test_an_end_that_discord_does_not_take_is_tried_again_with_growing_pauses(
    server: DiscordServer, messenger: Delivery, job: Job, fault: Fault
) -> None:
    await messenger.cards.open(card(job))
    server.next("edit", *[fault] * 3)
    messenger.cards.show(card(at(job, JobState.CANCELLED)))
    await eventually(lambda: "Cancelled" in shown(server))
    pauses = [later.at - sooner.at for sooner, later in pairwise(server.seen("edit"))]

    assert [pause >= 2**n / 2 for n, pause in enumerate(pauses, start=1)] == [True] * 3


async def test_a_card_whose_first_post_was_cut_shows_what_is_true_now(
    server: DiscordServer, messenger: Delivery, job: Job
) -> None:
    server.next("create", after_accepting(cut))
    opening = asyncio.create_task(messenger.cards.open(card(job)))
    await eventually(server.world.cards)
    messenger.cards.show(card(at(job, JobState.FAILED, failure=Failure.OUTCOME_UNKNOWN)))
    await eventually(lambda: "nobody can tell" in shown(server))
    await opening

    assert len(server.world.messages) == 1


async def test_a_card_that_cannot_be_posted_does_not_hold_up_the_job(
    server: DiscordServer, messenger: Delivery, job: Job, clock: FastClock
) -> None:
    server.next("create", *[refusal(403, 50013)] * 2)
    started = clock.now()

    assert await messenger.cards.open(card(job)) is None
    assert clock.now() - started < timedelta(minutes=1)


async def test_where_the_card_is_gone_a_failure_is_told_in_a_message_of_its_own(
    server: DiscordServer, messenger: Delivery, job: Job
) -> None:
    card_id = await messenger.cards.open(card(job))
    assert card_id is not None
    server.world.delete(CHANNEL, card_id)
    messenger.cards.show(card(at(job, JobState.FAILED, failure=Failure.PROVIDER_FAILED)))
    await eventually(server.world.replies)
    (told,) = server.seen("create", lambda asked: not asked.json.get("embeds"))

    assert told.json["content"].startswith(f"<@{ALICE}> EigenAI could not make this video.")
    assert told.json["content"].endswith("Nothing was charged.")
    assert told.json["allowed_mentions"] == {"parse": [], "users": [ALICE]}


async def test_where_no_card_could_be_posted_nothing_is_said_of_a_job_that_was_taken_back(
    server: DiscordServer, messenger: Delivery, store: Store, job: Job
) -> None:
    server.next("create", *[refusal(403, 50013)] * 2)
    assert await messenger.cards.open(card(job)) is None
    messenger.cards.show(card(await store.jobs.move(job, JobState.CANCELLED)))
    await eventually(lambda: closed(store))

    assert server.world.messages == {}


async def test_a_card_that_may_carry_no_picture_any_more_goes_on_without(
    server: DiscordServer, messenger: Delivery, job: Job
) -> None:
    await messenger.cards.open(card(job))
    server.world.fates[CHANNEL] = Fate.FILELESS
    messenger.cards.show(card(at(job, JobState.RUNNING)))
    await eventually(lambda: "is making the video" in shown(server))

    assert "thumbnail" not in server.world.cards()[0]["embeds"][0]


async def test_a_card_that_was_out_of_reach_for_a_while_shows_the_end(
    server: DiscordServer, messenger: Delivery, store: Store, job: Job
) -> None:
    await messenger.cards.open(card(job))
    server.world.fates[CHANNEL] = Fate.HIDDEN
    messenger.cards.show(card(at(job, JobState.RUNNING)))
    await eventually(lambda: len(server.seen("edit")) == 2)
    server.world.fates.clear()
    messenger.cards.show(card(await store.jobs.move(job, JobState.CANCELLED)))
    await eventually(lambda: "Cancelled" in shown(server))


async def test_an_answer_that_nobody_can_read_does_not_end_a_card(
    server: DiscordServer, messenger: Delivery, job: Job
) -> None:
    await messenger.cards.open(card(job))
    server.next("edit", cut_answer)
    messenger.cards.show(card(at(job, JobState.CANCELLED)))
    await eventually(lambda: "Cancelled" in shown(server))


async def test_the_end_of_a_card_stays_the_end_while_the_bot_stops(job: Job) -> None:
    state = CardState(1, None)
    state.take(card(at(job, JobState.RUNNING)))
    state.hurry()
    state.take(card(at(job, JobState.CANCELLED)))
    state.take(card(at(job, JobState.RUNNING), progress=0.5))

    assert state.card.job.state is JobState.CANCELLED


async def test_what_is_over_is_not_shown_as_it_was_before(
    server: DiscordServer, messenger: Delivery, job: Job
) -> None:
    await messenger.cards.open(card(job))
    release = asyncio.Event()
    server.next("edit", late(release))
    messenger.cards.show(card(at(job, JobState.CANCELLED)))
    await eventually(lambda: server.seen("edit"))
    messenger.cards.show(card(at(job, JobState.RUNNING)))
    release.set()
    await messenger.close()

    assert "Cancelled" in shown(server)
    assert len(server.seen("edit")) == 1


@pytest.mark.parametrize("trouble", ["record_card", "close_card"])
async def test_a_card_that_the_database_fails_is_shown_again_at_the_next_start(
    server: DiscordServer,
    messenger: Delivery,
    store: Store,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    trouble: str,
) -> None:
    async def failing(*_: object) -> None:
        raise StoreError("the disk is full")

    cancelled = await store.jobs.move(job, JobState.CANCELLED)
    with monkeypatch.context() as broken:
        broken.setattr(store.jobs, trouble, failing)
        messenger.cards.show(card(cancelled))
        await eventually(lambda: "is shown again within minutes" in caplog.text)
    (unshown,) = await store.jobs.unshown()
    assert unshown.id == job.id

    # What the runner does when it starts.
    await eventually(lambda: not messenger.cards._states)
    messenger.cards.show(card(unshown))
    await eventually(lambda: closed(store))
    assert "Cancelled" in shown(server)
    assert len(server.world.messages) == 1


@pytest.mark.parametrize("stop", ["SIGTERM", "SIGKILL"])
async def test_after_a_stop_only_what_is_no_longer_true_is_edited(
    server: DiscordServer, messenger: Delivery, make_delivery: MakeDelivery, job: Job, stop: str
) -> None:
    card_id = await messenger.cards.open(card(job, position=1))
    await messenger.close()
    running = replace(job, card_id=card_id)
    if stop == "SIGKILL":
        killed = make_delivery()
        await killed.start()  # and from here on nobody knows what it has edited
    next_one = make_delivery()
    await next_one.start()
    next_one.cards.show(card(running, position=1))
    next_one.cards.show(card(replace(running, id=43, card_id=None)))
    was_killed = stop == "SIGKILL"
    await eventually(lambda: len(server.world.cards()) == 2 and len(server.seen("edit")) >= was_killed)
    unneeded = len(server.seen("edit"))
    next_one.cards.show(card(at(running, JobState.RUNNING)))
    await eventually(lambda: "is making the video" in shown(server))

    assert unneeded == was_killed


async def closed(store: Store) -> bool:
    return not await store.jobs.unshown()


async def _quiet(messenger: Delivery, server: DiscordServer, job: Job) -> None:
    """Returns once the card had its chance to be sent: another job's card, shown later, has arrived."""
    cards = len(server.seen("create"))
    await messenger.cards.open(card(replace(job, id=job.id + cards, card_id=None)))


async def test_who_has_waited_beyond_the_usual_time_is_told_once_that_no_video_comes(
    server: DiscordServer, messenger: Delivery, store: Store, job: Job, clock: FastClock
) -> None:
    await messenger.cards.open(card(job))
    lost = replace(at(job, JobState.FAILED), failure=Failure.LOST, overdue_at=clock.now())
    messenger.cards.show(card(lost))
    told = await eventually(
        lambda: [post for post in server.world.replies() if f"<@{ALICE}>" in post["content"]]
    )
    assert [post["content"].count("Nothing was charged.") for post in told] == [1]
    assert "No video this time" in shown(server)
