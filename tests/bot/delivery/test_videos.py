"""Videos to Discord: one message with one file, whatever is repeated."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bot.delivery import Delivery
from bot.delivery.upload_limits import HIGHEST_TIER
from bot.errors import TooLarge, Undeliverable, Undelivered
from bot.jobs import Failure, Job, JobState
from tests.bot.delivery.conftest import announced, at, card
from tests.discord_server.faults import after_accepting, cut, html, refusal, too_many
from tests.discord_server.server import DiscordServer, is_reply
from tests.discord_server.world import ALICE, CHANNEL
from tests.helpers import eventually
from tests.vendors.faults import Fault, sample_video


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_short_outage_is_sat_out(
    server: DiscordServer, messenger: Delivery, job: Job, status: int
) -> None:
    server.next("create", refusal(status))
    await messenger.videos.announce(job, again=False)

    assert len(server.world.messages) == 1


@pytest.mark.parametrize("fault", [refusal(503), html(520), cut, after_accepting(cut), html(429)])
async def test_what_may_pass_is_worth_another_try_and_never_a_second_message(
    server: DiscordServer, messenger: Delivery, job: Job, fault: Fault
) -> None:
    server.next("create", fault)
    with pytest.raises(Undelivered):
        await messenger.videos.announce(job, again=False)
    first = await messenger.videos.announce(job, again=False)
    again = await messenger.videos.announce(job, again=False)

    assert first == again
    assert list(server.world.messages) == [first.message_id]


async def test_a_rate_limit_is_waited_for(server: DiscordServer, messenger: Delivery, job: Job) -> None:
    server.next("create", too_many(0.2))
    await messenger.videos.announce(job, again=False)
    first, second = server.seen("create")

    assert second.at - first.at >= 0.2
    assert len(server.world.messages) == 1


@pytest.mark.parametrize("fault", [refusal(503), cut, after_accepting(cut), after_accepting(refusal(503))])
async def test_an_upload_can_be_repeated_and_leaves_one_file(
    server: DiscordServer, messenger: Delivery, job: Job, fault: Fault
) -> None:
    job = await announced(messenger, job)
    server.next("edit", fault)
    with pytest.raises(Undelivered):
        await messenger.videos.attach(job)
    await messenger.videos.attach(job)
    (attachment,) = server.world.messages[job.message_id or 0]["attachments"]

    assert [video.data for video in server.world.videos()] == [sample_video()]
    assert attachment["description"] == "slow zoom in"
    assert attachment["content_type"] == "video/mp4"


@pytest.mark.parametrize(
    "fault", [refusal(413, 40005), refusal(400, 50045), html(413)], ids=["40005", "50045", "a page"]
)
async def test_what_discord_finds_too_large_is_not_sent_again(
    server: DiscordServer, messenger: Delivery, job: Job, fault: Fault
) -> None:
    job = await announced(messenger, job)
    server.next("edit", fault)
    with pytest.raises(TooLarge):
        await messenger.videos.attach(job)

    assert len(server.seen("edit")) == 1


async def test_a_video_that_no_server_takes_is_neither_announced_nor_sent(
    server: DiscordServer, messenger: Delivery, job: Job, tmp_path: Path
) -> None:
    os.truncate(tmp_path / "jobs" / "42" / "video.mp4", HIGHEST_TIER + 1)
    with pytest.raises(TooLarge):
        await messenger.videos.announce(job, again=False)
    with pytest.raises(TooLarge):
        await messenger.videos.attach(replace(job, message_id=1))

    assert server.seen("create") == server.seen("edit") == []


@pytest.mark.parametrize("reason", [(403, 50013), (403, 50001), (404, 10008), (404, 10003), (400, 50035)])
async def test_what_will_not_pass_ends_the_delivery(
    server: DiscordServer, messenger: Delivery, job: Job, reason: tuple[int, int]
) -> None:
    job = await announced(messenger, job)
    server.next("create", refusal(*reason))
    server.next("edit", refusal(*reason))
    with pytest.raises(Undeliverable):
        await messenger.videos.announce(job, again=False)
    with pytest.raises(Undeliverable):
        await messenger.videos.attach(job)


async def test_the_reply_names_the_requester_and_nobody_else(
    server: DiscordServer, messenger: Delivery, job: Job
) -> None:
    card_id = await messenger.cards.open(card(job))
    await messenger.videos.announce(replace(job, card_id=card_id), again=False)
    (sent,) = server.seen("create", is_reply)

    assert sent.json["allowed_mentions"] == {"parse": [], "users": [ALICE]}
    assert (sent.json["nonce"], sent.json["enforce_nonce"]) == ("42", True)
    assert sent.json["message_reference"]["message_id"] == card_id


async def test_a_deleted_card_does_not_keep_the_video_back(
    server: DiscordServer, messenger: Delivery, job: Job
) -> None:
    card_id = await messenger.cards.open(card(job))
    assert card_id is not None
    server.world.delete(CHANNEL, card_id)
    await messenger.videos.announce(replace(job, card_id=card_id), again=False)

    assert len(server.world.replies()) == 1


@pytest.mark.parametrize("fault", [refusal(503), cut])
async def test_an_announcement_without_a_video_is_taken_back_even_after_an_outage(
    server: DiscordServer, messenger: Delivery, job: Job, fault: Fault
) -> None:
    job = await announced(messenger, job)
    server.next("edit", fault, when=lambda asked: asked.path.endswith(str(job.message_id)))
    messenger.cards.show(card(at(job, JobState.FAILED, failure=Failure.UNDELIVERABLE)))
    await eventually(
        lambda: "could not be posted" in str(server.world.messages[job.message_id or 0]["content"])
    )


async def test_an_announcement_without_a_video_is_taken_back_where_the_card_is_gone(
    server: DiscordServer, messenger: Delivery, job: Job
) -> None:
    card_id = await messenger.cards.open(card(job))
    assert card_id is not None
    job = await announced(messenger, replace(job, card_id=card_id))
    server.world.delete(CHANNEL, card_id)
    messenger.cards.show(card(at(job, JobState.FAILED, failure=Failure.TOO_LARGE)))
    await eventually(
        lambda: "larger than this server" in str(server.world.messages[job.message_id or 0]["content"])
    )
