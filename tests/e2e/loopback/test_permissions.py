"""Whether the bot, and whoever asks, may post a video there is found out before anything is charged."""

import discord
import pytest

from tests.discord_server.faults import refusal
from tests.discord_server.places import (
    ALICE,
    CHANNEL,
    EVERYTHING,
    ORDINARY,
    PRIVATE_THREAD,
    THREAD,
    VOICE,
)
from tests.e2e.loopback.conftest import Loopback, Start, words_of
from tests.helpers import eventually

STAGE = 13


def without(*names: str) -> int:
    """What the bot may do: everything but these, and it is no administrator."""
    permissions = discord.Permissions(EVERYTHING)
    permissions.update(administrator=False, **dict.fromkeys(names, False))
    return permissions.value


@pytest.fixture
async def bot(start: Start) -> Loopback:
    return await start()


async def unchanged(bot: Loopback) -> bool:
    return "5 of 5 credits left" in await bot.said("quota") and not bot.discord.world.cards()


@pytest.mark.parametrize("kind", [VOICE, STAGE])
async def test_text_in_a_voice_channel_needs_connect(start: Start, kind: int) -> None:
    bot = await start(knows_server=False)
    world = bot.discord.world
    world.kinds[CHANNEL], world.bot_may = kind, without("connect")

    assert "A moderator has to give me: Connect. Nothing was charged." in await bot.animate()
    assert await unchanged(bot)
    world.bot_may = without()
    assert "in the queue" in await bot.animate()


async def test_a_private_thread_lets_in_its_members_and_those_who_manage_threads(start: Start) -> None:
    bot = await start(knows_server=False)
    world = bot.discord.world
    world.kinds[THREAD], world.bot_may = PRIVATE_THREAD, without("manage_threads")
    bot.discord.next("place", refusal(403, 50001))

    assert "I am not in this private thread. Mention me in it" in await bot.animate(channel=THREAD)
    assert await unchanged(bot)
    assert "in the queue" in await bot.animate(channel=THREAD), "somebody has mentioned it meanwhile"
    world.bot_may = without()
    looks = len(bot.discord.seen("place"))
    assert "in the queue" in await bot.animate(channel=THREAD)
    assert len(bot.discord.seen("place")) == looks


async def test_a_private_thread_that_discord_says_nothing_of_is_not_called_closed(start: Start) -> None:
    bot = await start(knows_server=False)
    world = bot.discord.world
    world.kinds[THREAD], world.bot_may = PRIVATE_THREAD, without("manage_threads")
    bot.discord.next("place", *[refusal(429)] * 5)

    assert "Discord does not answer me just now" in await bot.animate(channel=THREAD)


NOT_MINE = (
    (CHANNEL, "send_messages"),
    (CHANNEL, "attach_files"),
    (THREAD, "send_messages_in_threads"),
    (THREAD, "attach_files"),
)


async def test_what_a_member_may_not_post_the_bot_does_not_post_for_them(bot: Loopback) -> None:
    video = await bot.video()
    posted = len(bot.discord.world.messages)
    for channel, missing in NOT_MINE:
        mine = discord.Permissions(ORDINARY)
        mine.update(**{missing: False})
        bot.discord.world.may[ALICE] = mine.value

        no = "You may not post files in this channel, so I post none for you here."
        assert f"{no} Nothing was charged." in await bot.animate(channel=channel), missing
        shown = await bot.said("jobs resend", channel=channel, video=str(video.id), show=True)
        assert f"{no} Leave out `show`" in shown, missing
        assert len(bot.discord.world.messages) == posted
        alone = await bot.discord.people.run("jobs resend", channel=channel, video=str(video.id))
        await eventually(lambda alone=alone: "Here it is" in words_of(alone))


async def test_an_administrator_may_everything(bot: Loopback) -> None:
    administrator = discord.Permissions(administrator=True).value
    bot.discord.world.may[ALICE] = bot.discord.world.bot_may = administrator
    assert "in the queue" in await bot.animate()
