"""One key pays for all servers: what its owner allows holds whatever a server's moderators decide."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.e2e.conftest import World, picture
from tests.vendors.eigenai import EigenAIServer
from tests.vendors.venice import VeniceServer

Start = Callable[..., Awaitable[World]]


async def generous(world: World) -> list[str]:
    """A moderator who wants everything; what is answered."""
    return [
        await world.administer("quota-admin set", target=world.guild.default_role, amount="unlimited"),
        await world.administer("settings caps", member="1000", server="1000"),
        await world.administer("quota-admin grant", member=world.alice, amount=1_000_000),
        await world.administer("quota-admin price", provider="eigenai", credits="0"),
        await world.administer("quota-admin reset", member=world.alice),
    ]


async def test_a_moderator_who_wants_everything_gets_what_the_operator_allows(
    start: Start, vendor: EigenAIServer
) -> None:
    world = await start(max_allowance=3, member_jobs=1)
    vendor.finish_after(10_000)
    said = await generous(world)
    assert said[0].endswith("to no limit. The operator's limit of 3 credits a day still applies.")
    assert said[1].endswith(
        "under way at once. The operator's limit of 1 video for a member and 20 videos for the server "
        "still applies."
    )
    assert said[2].endswith("The operator's limit of 3 credits a day still applies.")
    replies = [(await world.animate()).response.content for _ in range(5)]
    assert ["in the queue" in reply for reply in replies] == [True, True, True, False, False]
    assert "This bot allows each member 3 credits a day in all servers together" in replies[-1]
    assert replies[-1].endswith("Nothing was charged.")
    await world.card_says("is making")
    assert len(vendor.seen("submit")) == 1


async def test_decisions_within_the_operators_limits_are_answered_as_ever(start: Start) -> None:
    world = await start(max_allowance=3, server_monthly_budget="50")
    assert "operator" not in await world.administer("quota-admin set", target=world.alice, amount="2")
    assert "operator" not in await world.administer("settings caps", member="1")
    assert "operator" not in await world.administer("quota-admin budget", amount="50")
    assert (await world.administer("quota-admin budget", amount="51")).endswith(
        "The operator's limit of $50.00 a month still applies. Videos whose provider names no price do not "
        "count against it."
    )


async def test_what_holds_now_is_shown_to_the_member_and_to_the_moderator(start: Start) -> None:
    world = await start(max_allowance=3)
    await world.administer("quota-admin set", target=world.guild.default_role, amount="unlimited")
    assert await world.quota() == "3 of 3 credits left today"
    shown = await world.admin.slash(world.channel, "quota-admin why", member=world.alice)
    why = shown.response.embeds[0].description or ""
    assert "That rule says no limit; the operator's limit is stricter." in why


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("bot_daily_budget", "This bot has used up what it may spend on videos today."),
        ("bot_hourly_budget", "This bot has used up what it may spend on videos in an hour."),
        ("server_monthly_budget", "This server has used up what the bot may spend on its videos this month."),
    ],
)
async def test_a_budget_ends_what_is_booked_until_it_renews(open_shop: Any, setting: str, words: str) -> None:
    shop = await open_shop("venice", VeniceServer(), **{setting: "0.70"})
    replies = [
        (await shop.world.order("animate", image=("in.png", picture()))).response.content for _ in range(3)
    ]
    assert "in the queue" in replies[0]
    assert words in replies[-1]
    assert len(shop.vendor.seen("submit")) <= 2


async def test_no_video_is_dearer_than_the_operator_allows(open_shop: Any) -> None:
    shop = await open_shop("venice", VeniceServer(), max_video_price="0.10")
    reply = await shop.world.order("animate", image=("in.png", picture()))
    assert "and whoever runs this bot allows $0.10." in reply.response.content
    assert not shop.vendor.seen("submit")


async def test_where_money_is_counted_a_provider_needs_a_price(
    start: Start, vendor: EigenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    world = await start(bot_monthly_budget="100")
    reply = await world.animate()
    assert reply.response.content == (
        "Whoever runs this bot has to set a price for EigenAI first. "
        "Until then, choose another provider. Nothing was charged."
    )
    assert "EIGENAI_PRICE is not set" in caplog.text
    assert not vendor.seen("submit")


async def test_a_price_by_setting_counts_where_the_provider_names_none(start: Start) -> None:
    world = await start(bot_monthly_budget="1", eigenai_price="0.60")
    assert "in the queue" in (await world.animate()).response.content
    await world.video()
    assert "used up what it may spend" in (await world.animate()).response.content


async def test_what_costs_nothing_is_made_without_a_price(start: Start) -> None:
    world = await start(
        bot_monthly_budget="0", local_on=True, local_resolutions=("288p",), default_provider="local"
    )
    await world.animate()
    await world.video()
