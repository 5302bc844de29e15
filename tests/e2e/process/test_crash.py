"""The bot is ended in the middle of things and started again on the same data."""

import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.discord_server.faults import after_accepting, cut, hang
from tests.discord_server.server import carries_video, is_reply
from tests.discord_server.world import BOB, Asked
from tests.e2e.process.conftest import Stage
from tests.helpers import eventually
from tests.vendors.faults import sample_video


@pytest.fixture
async def nobody_listens() -> AsyncIterator[str]:
    """The URL of a port that takes connections and never reads from them."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@dataclass(frozen=True)
class Moment:
    """A point in a job's life: what has to hang for it to stay there, and how to tell that it is there."""

    state: str
    arrange: Callable[[Stage], None]
    reached: Callable[[Stage], Any]


MOMENTS = {
    "running": Moment(
        "running", lambda stage: stage.vendor.next("poll", hang), lambda stage: stage.vendor.seen("poll")
    ),
    "downloading": Moment(
        "downloading",
        lambda stage: stage.vendor.next("result", hang),
        lambda stage: stage.vendor.seen("result"),
    ),
    "delivering, reply not posted": Moment(
        "delivering",
        lambda stage: stage.discord.next("create", hang, when=is_reply),
        lambda stage: stage.discord.seen("create", is_reply),
    ),
    "delivering, reply posted": Moment(
        "delivering",
        lambda stage: stage.discord.next("create", after_accepting(hang), when=is_reply),
        lambda stage: stage.discord.world.replies(),
    ),
    "delivering, file not attached": Moment(
        "delivering",
        lambda stage: stage.discord.next("edit", hang, when=carries_video),
        lambda stage: stage.discord.seen("edit", carries_video),
    ),
    "delivering, file attached": Moment(
        "delivering",
        lambda stage: stage.discord.next("edit", after_accepting(hang), when=carries_video),
        lambda stage: stage.discord.world.videos(),
    ),
    "queued, card posted": Moment(
        "queued",
        lambda stage: stage.discord.next("create", after_accepting(hang)),
        lambda stage: len(stage.discord.world.cards()) == len(MOMENTS),
    ),
}


async def test_a_killed_bot_goes_on_where_each_job_was_and_posts_one_video_for_each(stage: Stage) -> None:
    stage.bot.settings |= {"MEMBER_JOBS": "9", "DEFAULT_ALLOWANCE": "9"}
    await stage.bot.start()
    jobs: dict[str, Asked] = {}
    for name, moment in MOMENTS.items():
        moment.arrange(stage)
        jobs[name] = await stage.animate()
        await stage.reaches(jobs[name], moment.state)
        await eventually(lambda moment=moment: moment.reached(stage))
    assert {name: stage.bot.row(asked.id)["state"] for name, asked in jobs.items()} == {
        name: moment.state for name, moment in MOMENTS.items()
    }

    await stage.bot.kill()
    await stage.bot.start()
    for name, asked in jobs.items():
        row = await stage.reaches(asked, "delivered")
        assert row["charged"] == row["price"], name
    for index in range(len(jobs)):
        await stage.card_says("Video ready", index)

    world = stage.discord.world
    assert len(stage.vendor.seen("submit")) == len(jobs)
    assert [video.data for video in world.videos()] == [sample_video()] * len(jobs)
    assert [len(reply["attachments"]) for reply in world.replies()] == [1] * len(jobs)
    answered = {int(reply["message_reference"]["message_id"]) for reply in world.replies()}
    assert answered == {int(card["id"]) for card in world.cards()}
    assert len(world.messages) == 2 * len(jobs)


@pytest.mark.parametrize("accepted", [False, True])
async def test_a_purchase_cut_by_a_kill_is_not_repeated_and_not_charged(
    stage: Stage, nobody_listens: str, *, accepted: bool
) -> None:
    if accepted:
        stage.vendor.next("submit", after_accepting(hang))
    else:
        stage.bot.settings["EIGENAI_BASE_URL"] = nobody_listens
    await stage.bot.start()
    asked = await stage.animate()
    await stage.reaches(asked, "submitting")
    await eventually(lambda: stage.bot.row(asked.id)["asked_at"] and len(stage.vendor.jobs) == accepted)

    await stage.bot.kill()
    stage.bot.settings["EIGENAI_BASE_URL"] = stage.vendor.url
    await stage.bot.start()
    row = await stage.reaches(asked, "failed")
    await stage.card_says("nobody can tell whether EigenAI took it")
    # Another one comes and goes: by then a second attempt would have been made.
    await stage.reaches(await stage.animate(), "delivered")

    assert (row["failure"], row["charged"]) == ("outcome-unknown", 0)
    assert len(stage.vendor.seen("submit")) == accepted + 1
    assert len(stage.discord.world.videos()) == 1


async def test_a_kill_after_delivery_changes_nothing(stage: Stage) -> None:
    await stage.bot.start()
    asked = await stage.animate()
    await stage.reaches(asked, "delivered")
    await eventually(lambda: stage.bot.row(asked.id)["card_closed"])
    edits = len(stage.discord.seen("edit"))

    await stage.bot.kill()
    await stage.bot.start()
    await stage.discord.people.type_into("animate", "provider", "eig")

    assert len(stage.discord.seen("edit")) == edits
    assert stage.bot.row(asked.id)["state"] == "delivered"
    assert "Video ready" in str(stage.card["embeds"])
    assert len(stage.discord.seen("create")) == 2
    assert len(stage.discord.seen("edit", carries_video)) == 1
    assert len(stage.vendor.seen("submit")) == 1


async def test_buttons_and_suggestions_work_after_a_kill(stage: Stage) -> None:
    stage.vendor.finish_after(10_000)
    await stage.bot.start()
    asked = await stage.animate()
    await stage.reaches(asked, "running")

    await stage.bot.kill()
    await stage.bot.start()
    choices = await stage.discord.people.type_into("animate", "provider", "eig")
    refused = await stage.discord.people.press(stage.card, "Cancel", BOB)
    refusal = await eventually(lambda: refused.text)
    pressed = await stage.discord.people.press(stage.card, "Cancel")
    row = await stage.reaches(asked, "cancelled")
    await stage.card_says("Video cancelled")

    assert choices == [{"name": "EigenAI", "value": "eigenai"}]
    assert refusal.startswith("Only the member who asked")
    assert row["charged"] == 0
    assert (await eventually(lambda: pressed.text)).startswith("Cancelled. Nothing was charged.")
    assert stage.card["components"] == []


async def test_a_command_sent_while_the_connection_is_lost_is_answered_when_it_is_back(stage: Stage) -> None:
    await stage.bot.start()
    await stage.discord.gateway.drop()
    asked = await stage.animate()
    await stage.reaches(asked, "delivered")

    assert stage.discord.gateway.resumed == 1
    assert len(stage.discord.gateway.sessions) == 1


async def test_who_waits_for_a_reply_when_the_bot_is_killed_gets_one_from_the_next_start(
    stage: Stage,
) -> None:
    stage.discord.files_are_up.clear()
    await stage.bot.start()
    asked = await stage.animate()
    await eventually(lambda: asked.callback)
    assert any(str(asked.id) in name for name in stage.bot.notes())

    await stage.bot.kill()
    stage.discord.files_are_up.set()
    stage.discord.next("original", cut)
    await stage.bot.start()
    said = await eventually(lambda: asked.text)
    again = await stage.animate()
    await stage.reaches(again, "delivered")

    assert said.startswith("I was restarted in the middle of this.")
    assert not stage.bot.row(asked.id)
    assert "in the queue" in await eventually(lambda: again.text)
    await eventually(lambda: not [name for name in stage.bot.notes() if "reply" in name])
