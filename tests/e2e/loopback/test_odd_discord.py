"""What Discord says that nobody expects ends neither the connection nor the process."""

from typing import Any

import pytest

from bot.moderation import Moderator
from bot.quota.decisions import SetLog
from tests.discord_server.places import CHANNEL, FORUM, GUILD, THREAD
from tests.discord_server.world import BOB, OTHER_CHANNEL, OWNER
from tests.e2e.loopback.conftest import Loopback, Start


@pytest.fixture
async def bot(start: Start) -> Loopback:
    return await start()


UNREADABLE: dict[str, dict[str, Any]] = {
    "CHANNEL_UPDATE": {"id": None, "guild_id": None, "type": None},
    "GUILD_ROLE_CREATE": {"guild_id": str(GUILD), "role": None},
    "INTERACTION_CREATE": {"id": "1", "type": 2, "data": None},
    "GUILD_UPDATE": {},
}


async def test_an_event_that_cannot_be_read_is_skipped_and_the_next_one_counts(
    bot: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    for event, data in UNREADABLE.items():
        await bot.discord.gateway.dispatch(event, data)
        assert "credits left" in await bot.said("quota")
        assert f"an event of Discord could not be read: {event}" in caplog.text
    assert len(bot.discord.gateway.sessions) == 1


async def test_every_decision_is_in_the_log_and_in_that_order(bot: Loopback) -> None:
    people, world = bot.discord.people, bot.discord.world
    await bot.bot.moderation.decide(Moderator(1, GUILD, OWNER, None), SetLog(channel_id=OTHER_CHANNEL))
    for amount in range(1, 5):
        asked = await people.run("quota-admin grant", OWNER, member=BOB, amount=amount)
        assert (await bot.reply(asked)).startswith("Done: gives")
    told = [m["content"] for m in world.messages.values() if m["channel_id"] == str(OTHER_CHANNEL)]

    assert len(told) == 4
    assert [f"{amount} extra credit" in words for amount, words in enumerate(told, start=1)] == [True] * 4


async def test_a_forum_is_no_place_for_what_its_threads_do_not_take(start: Start) -> None:
    bot = await start()
    bot.discord.world.kinds[CHANNEL] = FORUM
    await bot.discord.gateway.dispatch("GUILD_CREATE", bot.discord.world.guild())
    asked = await bot.asked(channel=THREAD)
    await bot.reply(asked)
    assert (await bot.job(asked.id)).parent_id is None
