"""How the bot starts and stops, and what it tells its operator meanwhile."""

import asyncio
import re
import threading
from pathlib import Path

from bot import health
from bot.__main__ import _stop
from bot.clock import Clock
from bot.store import Store, connect
from tests.discord_server.bot_process import FORKS, BotProcess
from tests.discord_server.faults import hang, late
from tests.discord_server.world import TOKEN
from tests.e2e.process.conftest import Stage
from tests.helpers import eventually

SOON = 5.0
"""Seconds within which a bot that has nothing under way stops."""


async def test_sigterm_ends_it_soon_and_the_next_start_goes_on(stage: Stage) -> None:
    stage.vendor.finish_after(10_000)
    await stage.bot.start()
    asked = await stage.animate()
    await stage.reaches(asked, "running")
    await eventually(lambda: stage.vendor.seen("poll"))

    async with stage.bot.soon(SOON):
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
    await eventually(lambda: stage.discord.seen("login"))

    async with stage.bot.soon(SOON):
        code = await stage.bot.terminate()

    assert code == 0, stage.bot.output


def hang_when_told_to_stop() -> None:
    """A thread that nobody can end keeps a process from ending."""
    threading.Thread(target=threading.Event().wait).start()
    _stop(asyncio.Event(), within=0.01)


async def test_what_still_hangs_when_the_time_is_up_is_ended_all_the_same() -> None:
    process = FORKS.Process(target=hang_when_told_to_stop)
    process.start()
    try:
        await eventually(lambda: process.exitcode is not None)
        assert process.exitcode == 1
    finally:
        process.kill()


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
    assert asked.text.startswith("I am being restarted.")


async def test_a_database_of_a_newer_version_ends_the_start_and_nothing_keeps_running(
    stage: Stage, tmp_path: Path
) -> None:
    newer = Store(connect(f"sqlite:///{tmp_path / 'data' / 'stillmotion.db'}"), Clock())
    await newer.open()
    await newer._database.write(lambda on: on.rows("INSERT INTO migration VALUES ('0999_later.sql', 'now')"))
    await newer.close()
    await stage.bot.launch()

    assert await stage.bot.ended() == 1
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


async def test_a_second_process_refuses_the_same_folder(stage: Stage, tmp_path: Path) -> None:
    await stage.bot.start()
    second = BotProcess(stage.discord, tmp_path, **stage.bot.settings, TAKEOVER_SECONDS="0")
    await second.launch()
    code = await second.ended()
    await stage.reaches(await stage.animate(), "delivered")

    assert code == 1
    assert "Another Stillmotion works in" in second.output
    assert len(stage.discord.gateway.sessions) == 1


async def test_an_update_waits_until_the_old_process_has_ended(stage: Stage, tmp_path: Path) -> None:
    await stage.bot.start()
    new = BotProcess(stage.discord, tmp_path, **stage.bot.settings)
    await new.launch()
    await eventually(lambda: "waiting up to 60 s for it to end" in new.output)
    assert await stage.bot.terminate() == 0
    await eventually(lambda: len(stage.discord.gateway.sessions) == 2)

    assert await new.terminate() == 0
