"""A token that is reset while the bot runs ends it with a sentence, also where only REST says so."""

from tests.discord_server.faults import refusal
from tests.e2e.loopback.conftest import Start
from tests.helpers import eventually


async def test_a_token_that_discord_refuses_in_its_answers_ends_the_bot(start: Start) -> None:
    bot = await start()
    for route in ("create", "application"):
        bot.discord.next(route, *[refusal(401)] * 99)
    await bot.asked()
    await eventually(bot.bot.failed.is_set)
    assert str(bot.bot.failure).startswith("Discord no longer accepts DISCORD_TOKEN: it was reset.")
    assert len(bot.discord.seen("create")) < 10
    bot.discord.forgive()


async def test_a_401_that_discord_takes_back_when_it_is_asked_again_ends_nothing(start: Start) -> None:
    bot = await start()
    before = len(bot.discord.seen("application"))
    bot.discord.next("create", refusal(401), refusal(401))
    await bot.video()
    assert len(bot.discord.seen("application")) == before + 1
    assert not bot.bot.failed.is_set()


async def test_a_401_for_a_reply_says_nothing_about_the_bots_token(start: Start) -> None:
    bot = await start()
    before = len(bot.discord.seen("application"))
    bot.discord.next("original", refusal(401, 50027))
    await bot.asked()
    await eventually(lambda: bot.discord.seen("original"))
    await bot.video()
    assert len(bot.discord.seen("application")) == before
