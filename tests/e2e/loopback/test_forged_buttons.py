"""Buttons whose custom ids, messages or servers are not what the bot has made."""

from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import pytest

from bot.jobs import JobState
from bot.moderation import Moderator
from bot.quota.decisions import ResetUsage
from cogs._ids import UNKNOWN_BUTTON
from tests.discord_server.places import ALICE, BOB, GUILD, OTHER_CHANNEL, OWNER
from tests.discord_server.world import Asked
from tests.e2e.loopback.conftest import Loopback, Start

OTHER_SERVER = 2_000_001
MANAGE_MESSAGES = 1 << 13
BUTTONS = ["cancel:{}", "quota:reset:{}", "quota:grant:{}", "history:{}:older:1", "history:1:newer:{}"]
NO_IDS = ["0", "9" * 90, str(2**63), str(2**64), "-1", "\u0661\u0662", "\uff11", "1e3", "", " 1", "1\n"]


@pytest.fixture
async def bot(start: Start, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Loopback]:
    yield await start()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def running(bot: Loopback) -> Asked:
    """A job of Alice's that does not end by itself."""
    bot.vendor.finish_after(1_000_000)
    asked = await bot.asked()
    await bot.reply(asked)
    return asked


async def is_open(bot: Loopback, asked: Asked) -> bool:
    return (await bot.job(asked.id)).state.is_open


async def test_a_job_is_cancelled_from_its_own_server_alone(bot: Loopback) -> None:
    asked = await running(bot)
    for who in (OWNER, ALICE):
        pressed = await bot.discord.people.forge(f"cancel:{asked.id}", who, server=OTHER_SERVER)
        assert "I do not know this job" in await bot.reply(pressed)
        assert await is_open(bot, asked)
    pressed = await bot.discord.people.forge(f"cancel:{asked.id}", ALICE)
    assert "Cancelled" in await bot.reply(pressed)
    assert (await bot.job(asked.id)).state is JobState.CANCELLED


async def test_who_moderates_one_channel_cancels_nothing_of_one_that_is_not_known(start: Start) -> None:
    bot = await start(knows_server=False)
    asked = await running(bot)
    bot.discord.world.may[BOB] = MANAGE_MESSAGES  # as Discord says of the channel in which it was pressed
    channel = {"channel_id": str(OTHER_CHANNEL), "channel": bot.discord.world.channel(OTHER_CHANNEL)}
    pressed = await bot.discord.people.forge(f"cancel:{asked.id}", BOB, **channel)
    assert "do not know this server's channels" in await bot.reply(pressed)
    assert await is_open(bot, asked)


async def test_what_is_no_id_gets_a_sentence(bot: Loopback) -> None:
    for custom_id, number in product(BUTTONS, NO_IDS):
        pressed = await bot.discord.people.forge(custom_id.format(number)[:100], OWNER)
        said = await bot.reply(pressed)
        if not (custom_id.startswith("history:{}") and number == "0"):  # the whole server's
            assert said == UNKNOWN_BUTTON, (custom_id, number)


async def test_a_button_that_stands_nowhere_gets_a_sentence(bot: Loopback) -> None:
    odd: tuple[dict[str, Any], ...] = ({"kind": 3}, {"server": OTHER_SERVER})
    for custom_id, more in product(("cancel:1", "quota:reset:1", "x"), odd):
        assert await bot.reply(await bot.discord.people.forge(custom_id, OWNER, **more))


async def test_the_history_of_another_server_is_neither_shown_nor_measured(bot: Loopback) -> None:
    decide = bot.bot.moderation.decide
    await decide(Moderator(7, OTHER_SERVER, 1, "theirs"), ResetUsage(member_id=BOB))
    await decide(Moderator(8, GUILD, OWNER, "ours"), ResetUsage(member_id=BOB))
    for button in ("history:0:newer:7", f"history:{BOB}:newer:7", f"history:{BOB}:older:7"):
        asked = await bot.discord.people.forge(button, OWNER)
        shown = await bot.reply(asked)
        assert "theirs" not in shown
        assert "ours" not in shown, "where it stands among theirs is theirs, too"


async def test_a_decision_by_button_counts_in_the_server_where_it_was_pressed(bot: Loopback) -> None:
    asked = await bot.discord.people.forge(f"quota:reset:{ALICE}", OWNER, server=OTHER_SERVER)
    assert (await bot.reply(asked)).startswith("Done")
    assert await bot.bot.moderation.history(GUILD, None, 9) == []
    assert len(await bot.bot.moderation.history(OTHER_SERVER, ALICE, 9)) == 1
