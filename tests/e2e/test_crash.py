"""The bot in a process of its own, ended in the middle of things and started again on the same data."""

import asyncio
import io
import re
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot import health
from bot.clock import Clock
from bot.store import Store
from bot.store.db import connect
from cogs._answer import RESTARTING
from tests import openapi
from tests.discord_server.bot_process import BotProcess
from tests.discord_server.faults import after_accepting, hang, late
from tests.discord_server.server import DiscordServer, carries_video, is_reply
from tests.discord_server.world import BOB, TOKEN, Asked, Message
from tests.helpers import eventually
from tests.vendors.eigenai import EigenAIServer
from tests.vendors.faults import sample_video

SOON = 5.0
"""Seconds within which a bot that has nothing under way stops."""


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, "PNG")
    return file.getvalue()


@dataclass
class Stage:
    discord: DiscordServer
    vendor: EigenAIServer
    bot: BotProcess

    async def animate(self, **options: Any) -> Asked:
        return await self.discord.people.run(
            "animate", **{"image": picture(), "prompt": "slow zoom in", **options}
        )

    async def reaches(self, asked: Asked, state: str) -> dict[str, Any]:
        """The job's row, once it is in this state."""
        return await eventually(
            lambda: row if (row := self.bot.row(asked.id)).get("state") == state else None, timeout=20
        )

    async def card_says(self, words: str, index: int = 0) -> None:
        def said() -> bool:
            cards = self.discord.world.cards()
            return len(cards) > index and words in str(cards[index]["embeds"])

        await eventually(said, timeout=20)

    @property
    def card(self) -> Message:
        (card,) = self.discord.world.cards()
        return card


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with DiscordServer() as discord, EigenAIServer() as vendor:
        vendor.finish_after(1)
        bot = BotProcess(
            discord,
            tmp_path,
            EIGENAI_API_KEY=vendor.KEY,
            EIGENAI_BASE_URL=vendor.url,
            LOCAL_ON="false",
            CARD_SECONDS="0.05",
        )
        yield Stage(discord, vendor, bot)
        await bot.kill()
        openapi.check(discord.requests)
        assert not [words for words in ("Traceback", "Unclosed", "never awaited") if words in bot.output]


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
    "queued, card posted": Moment(
        "queued",
        lambda stage: stage.discord.next("create", after_accepting(hang)),
        lambda stage: stage.discord.world.cards(),
    ),
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
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
async def test_a_killed_bot_goes_on_where_it_was_and_posts_one_video(stage: Stage, moment: Moment) -> None:
    moment.arrange(stage)
    await stage.bot.start()
    asked = await stage.animate()
    await stage.reaches(asked, moment.state)
    await eventually(lambda: moment.reached(stage))

    await stage.bot.kill()
    await stage.bot.start()
    row = await stage.reaches(asked, "delivered")
    await stage.card_says("Video ready")

    assert row["charged"] == row["price"]
    assert len(stage.vendor.seen("submit")) == 1
    assert [video.data for video in stage.discord.world.videos()] == [sample_video()]
    assert len(stage.discord.world.messages) == 2


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
    await eventually(lambda: len(stage.vendor.jobs) == accepted)

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


async def test_what_waits_in_the_queue_is_still_there_after_a_kill(stage: Stage) -> None:
    stage.bot.settings["MEMBER_JOBS"] = "1"
    stage.vendor.next("poll", hang)
    await stage.bot.start()
    first = await stage.animate()
    await stage.reaches(first, "running")
    second = await stage.animate()
    await stage.reaches(second, "queued")
    await stage.card_says("Waiting in the queue, number 1", index=1)

    await stage.bot.kill()
    await stage.bot.start()
    await stage.reaches(first, "delivered")
    await stage.reaches(second, "delivered")

    assert len(stage.vendor.seen("submit")) == 2
    assert len(stage.discord.world.videos()) == 2
    assert len(stage.discord.world.messages) == 4


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
    assert await eventually(lambda: pressed.text) == "Cancelled. Nothing was charged."
    assert stage.card["components"] == []


async def test_a_command_sent_while_the_connection_is_lost_is_answered_when_it_is_back(stage: Stage) -> None:
    await stage.bot.start()
    await stage.discord.gateway.drop()
    asked = await stage.animate()
    await stage.reaches(asked, "delivered")

    assert stage.discord.gateway.resumed == 1
    assert len(stage.discord.gateway.sessions) == 1


async def test_sigterm_ends_it_soon_and_the_next_start_goes_on(stage: Stage) -> None:
    stage.vendor.finish_after(10_000)
    await stage.bot.start()
    asked = await stage.animate()
    await stage.reaches(asked, "running")
    await eventually(lambda: stage.vendor.seen("poll"))

    async with asyncio.timeout(SOON):
        code = await stage.bot.terminate()
    left = stage.bot.row(asked.id)["state"]
    stage.vendor.finish("job-1")
    await stage.bot.start()
    await stage.reaches(asked, "delivered")

    assert (code, left) == (0, "running"), stage.bot.output
    assert len(stage.vendor.seen("submit")) == 1
    assert len(stage.discord.world.videos()) == 1


async def test_sigterm_lets_a_purchase_in_flight_end(stage: Stage) -> None:
    answer = asyncio.Event()
    stage.vendor.next("submit", late(answer))
    await stage.bot.start()
    asked = await stage.animate()
    await stage.vendor.arrived("submit")

    ending = asyncio.create_task(stage.bot.terminate())
    await eventually(lambda: "stopping" in stage.bot.output)
    answer.set()
    code = await ending
    left = stage.bot.row(asked.id)["state"]

    assert (code, left) == (0, "running"), stage.bot.output


async def test_sigterm_ends_a_bot_that_is_still_starting(stage: Stage) -> None:
    stage.discord.next("login", hang)
    await stage.bot.launch()
    await eventually(lambda: stage.discord.seen("login"), timeout=20)

    async with asyncio.timeout(SOON):
        code = await stage.bot.terminate()

    assert code == 0, stage.bot.output


async def test_sigterm_leaves_nobody_without_an_answer(stage: Stage) -> None:
    arrives = asyncio.Event()
    stage.discord.files_are_up.clear()
    stage.discord.next("original", late(arrives))
    await stage.bot.start()
    asked = await stage.animate()
    await eventually(lambda: asked.callback)

    ending = asyncio.create_task(stage.bot.terminate())
    await eventually(lambda: stage.discord.seen("original"))
    await asyncio.wait([ending], timeout=0.5)
    assert not ending.done(), "an answer on its way is waited for"
    arrives.set()

    assert await ending == 0, stage.bot.output
    assert asked.text == RESTARTING


async def test_a_database_of_a_newer_version_ends_the_start_and_nothing_keeps_running(
    stage: Stage, tmp_path: Path
) -> None:
    newer = Store(connect(f"sqlite:///{tmp_path / 'data' / 'stillmotion.db'}"), Clock())
    await newer.open()
    await newer._database.write(lambda on: on.rows("INSERT INTO migration VALUES ('0999_later.sql', 'now')"))
    await newer.close()
    await stage.bot.launch()

    async with asyncio.timeout(SOON):
        code = await stage.bot.ended()
    assert code == 1
    assert stage.bot.output.endswith("the database was written by a newer version: 0999_later.sql.\n")


async def test_health_tells_whether_discord_can_be_heard(stage: Stage, tmp_path: Path) -> None:
    async def healthy() -> bool:
        return bool((await health.ask(tmp_path / "data"))["healthy"])

    async def unwell() -> bool:
        return not await healthy()

    await stage.bot.start()
    await eventually(healthy)
    stage.discord.gateway.is_up.clear()
    await stage.discord.gateway.drop()
    await eventually(unwell)
    stage.discord.gateway.is_up.set()
    await eventually(healthy)

    assert stage.discord.gateway.resumed == 1


async def test_a_log_for_debugging_holds_no_token(stage: Stage) -> None:
    stage.bot.settings["LOG_LEVEL"] = "debug"
    await stage.bot.start()
    asked = await stage.animate()
    await stage.reaches(asked, "delivered")
    await stage.bot.terminate()
    without_colours = re.sub(r"\x1b\[[\d;]*m", "", stage.bot.output)
    wordy = set(re.findall(r"DEBUG\W+(\w+)", without_colours))

    assert wordy, "it is a log for debugging"
    assert "discord" not in wordy
    assert asked.token not in stage.bot.output
    assert TOKEN not in stage.bot.output


async def test_a_second_process_in_the_same_folder_refuses(stage: Stage, tmp_path: Path) -> None:
    await stage.bot.start()
    second = BotProcess(stage.discord, tmp_path, **stage.bot.settings)
    await second.launch()
    code = await second.ended()
    await stage.reaches(await stage.animate(), "delivered")

    assert code == 1
    assert "Another Stillmotion works in" in second.output
    assert len(stage.discord.gateway.sessions) == 1
