"""What Discord may say at the door, and what the bot makes of it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from discord.http import Route

from bot.app import sync_commands
from bot.login import CannotStart
from tests.discord_server.bot_process import BotProcess
from tests.discord_server.faults import html, late, refusal
from tests.discord_server.world import APPLICATION, TOKEN
from tests.e2e.process.conftest import Stage
from tests.helpers import eventually
from tests.postgres_proxy import PostgresProxy

SOON = 5.0
"""Seconds within which a bot that has nothing under way stops."""
AT_MOST = 4.0
"""Seconds that these bots have to stop, whatever happens; and a little for the process itself."""


@pytest.mark.parametrize("code", [503, 429])
async def test_a_fault_of_discord_at_login_is_waited_out(stage: Stage, code: int) -> None:
    for _ in range(6):  # discord.py itself tries some of them again
        stage.discord.next("login", html(code))
    await stage.bot.launch()
    await eventually(lambda: "The start is tried again in" in stage.bot.output)
    stage.discord.forgive()
    await eventually(lambda: stage.discord.gateway.sessions)

    assert f"it answers {code}." in stage.bot.output


async def test_sigterm_ends_the_wait_for_discord(stage: Stage) -> None:
    for _ in range(20):
        stage.discord.next("login", refusal(503))
    await stage.bot.launch()
    await eventually(lambda: "The start is tried again in" in stage.bot.output)

    async with stage.bot.soon(SOON):
        assert await stage.bot.terminate() == 0


async def test_a_wrong_token_is_final(stage: Stage) -> None:
    stage.discord.next("login", refusal(401))
    await stage.bot.launch()

    assert await stage.bot.ended() == 1
    assert stage.bot.output.endswith("Discord does not accept DISCORD_TOKEN.\n")
    assert len(stage.discord.seen("login")) == 1


@pytest.mark.parametrize(
    ("code", "words"),
    [(4004, "no longer accepts DISCORD_TOKEN"), (4014, "Privileged Gateway Intents")],
)
async def test_a_connection_that_stays_closed_is_a_sentence(stage: Stage, code: int, words: str) -> None:
    await stage.bot.start()
    await stage.discord.gateway.sessions[-1].socket.close(code=code)

    assert await stage.bot.ended() == 1
    assert words in stage.bot.output.splitlines()[-1]


async def restarted(stage: Stage) -> int:
    """How often Discord has been told about the commands, after one more start."""
    await stage.bot.kill()
    await stage.bot.start()
    return len(stage.discord.seen("commands"))


async def test_a_start_logs_how_to_add_the_bot_to_a_server(stage: Stage) -> None:
    await stage.bot.start()
    link = (
        f"https://discord.com/oauth2/authorize?client_id={APPLICATION}&scope=bot+applications.commands&perm"
    )
    assert f"to add it to a server, open {link}" in stage.bot.output


async def test_commands_are_sent_only_where_discord_knows_others(stage: Stage) -> None:
    await stage.bot.start()
    assert len(stage.discord.seen("commands")) == 1
    assert await restarted(stage) == 1
    del stage.discord.world.commands["animate"]["options"][-1]
    assert await restarted(stage) == 2


async def test_a_start_does_not_need_its_commands_to_be_sent(stage: Stage) -> None:
    stage.discord.next("known commands", refusal(503))
    await stage.bot.start()
    await eventually(lambda: stage.discord.seen("commands"))

    assert "has not been told about the commands" in stage.bot.output


async def stops_in_time(bot: BotProcess) -> None:
    async with bot.soon(AT_MOST + SOON):
        assert await bot.terminate() == 0


async def test_a_locked_database_does_not_hold_up_the_stop(stage: Stage, tmp_path: Path) -> None:
    stage.bot.settings |= {"STOP_WITHIN": str(AT_MOST), "BUSY_LIMIT": "0.5"}
    answer = asyncio.Event()
    stage.vendor.next("submit", late(answer))
    await stage.bot.start()
    await stage.animate()
    await stage.vendor.arrived("submit")
    with closing(sqlite3.connect(tmp_path / "data" / "stillmotion.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        answer.set()  # and it cannot be written down
        await eventually(lambda: "cannot be written down yet" in stage.bot.output)
        await stops_in_time(stage.bot)
    stage.is_out = True


async def test_a_database_that_is_free_again_gets_what_was_bought(stage: Stage, tmp_path: Path) -> None:
    stage.bot.settings["BUSY_LIMIT"] = "0.5"
    answer = asyncio.Event()
    stage.vendor.next("submit", late(answer))
    await stage.bot.start()
    asked = await stage.animate()
    await stage.vendor.arrived("submit")
    with closing(sqlite3.connect(tmp_path / "data" / "stillmotion.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        answer.set()
        await eventually(lambda: "cannot be written down yet" in stage.bot.output)
        ending = asyncio.create_task(stage.bot.terminate())
        await eventually(lambda: "stopping" in stage.bot.output)

    assert await ending == 0
    assert stage.bot.row(asked.id)["state"] == "running"
    stage.is_out = True


async def test_a_database_that_hangs_does_not_hold_up_the_stop(
    stage: Stage, postgres_proxy: PostgresProxy
) -> None:
    stage.bot.settings |= {"DATABASE_URL": postgres_proxy.url, "STOP_WITHIN": str(AT_MOST)}
    stage.vendor.finish_after(10_000)
    await stage.bot.start()
    await stage.animate()
    await stage.vendor.arrived("submit")
    postgres_proxy.hang()
    await stops_in_time(stage.bot)
    stage.is_out = True


async def test_sync_sends_the_commands_whatever_discord_knows(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "output.txt").touch()  # no process has said anything
    monkeypatch.setattr(Route, "BASE", stage.discord.api)
    assert await sync_commands(TOKEN) == await sync_commands(TOKEN) == len(stage.discord.world.commands)
    assert len(stage.discord.seen("commands")) == 2
    stage.discord.next("login", refusal(503))
    with pytest.raises(CannotStart, match="it answers 503"):
        await sync_commands(TOKEN)
