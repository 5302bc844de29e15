"""Which provider makes the video when nobody or somebody is named, and what happens when it cannot."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from bot.jobs import Failure
from providers.errors import Overloaded
from providers.limits import RateLimit
from tests.e2e.conftest import Shop, World
from tests.helpers import as_read, eventually
from tests.vendors.eigenai import EigenAIServer
from tests.vendors.faults import cut, hang, status
from tests.vendors.openai_videos import OpenAIVideosServer
from tests.vendors.venice import I2V, VeniceServer, model

Start = Callable[..., Awaitable[World]]


@pytest.fixture
async def both(start: Start) -> World:
    """EigenAI is the default; this machine stands by."""
    return await start(local_on=True, local_resolutions=("288p",))


def maker(world: World, index: int = 0) -> str:
    return world.fields(index)["Made by"]


async def test_nobody_named_is_the_default(both: World, vendor: EigenAIServer) -> None:
    await both.animate()
    await both.video()
    assert maker(both) == "EigenAI, Wan 2.2 Turbo"
    assert len(vendor.seen("submit")) == 1


async def test_nobody_named_is_whoever_can_do_what_is_asked(both: World, vendor: EigenAIServer) -> None:
    await both.animate(duration=2)
    await both.video()
    assert maker(both) == "This machine, Pan and zoom"
    assert not vendor.requests


async def test_whoever_is_named_is_not_replaced(both: World) -> None:
    reply = await both.animate(provider="eigenai", duration=2)
    assert "does not let you choose the duration" in reply.response.content
    assert "Models that do take it: Pan and zoom" in reply.response.content


async def test_a_job_that_nobody_accepted_falls_back_and_the_card_says_so(
    both: World, vendor: EigenAIServer
) -> None:
    vendor.next("submit", status(402))
    await both.animate()
    await both.video()
    assert maker(both) == "This machine, Pan and zoom (instead of EigenAI, which could not take it)"
    assert len(vendor.seen("submit")) == 1
    assert await both.quota() == "4 of 5 credits left today"


async def test_what_waits_for_a_resting_provider_goes_to_another_at_once(
    both: World, vendor: EigenAIServer
) -> None:
    health, never = both.bot.booking.catalogue.health, datetime.max.replace(tzinfo=UTC)
    health["local"].resting_until = never
    vendor.next("submit", status(429, Retry_After="3000"))
    await both.animate()
    await both.card_says("number 1")
    health["eigenai"].resting_until, health["local"].resting_until = never, None
    asked = both.bot.booking._clock.now()
    await both.video()
    assert both.bot.booking._clock.now() - asked < timedelta(minutes=40), "whatever the first has asked for"
    assert maker(both) == "This machine, Pan and zoom (instead of EigenAI, which could not take it)"


async def test_what_may_have_been_accepted_never_falls_back(both: World, vendor: EigenAIServer) -> None:
    vendor.next("submit", status(500))
    await both.animate()
    assert "nobody can tell" in await both.card_says("No video this time")


async def test_a_request_the_other_cannot_do_exactly_does_not_fall_back(
    both: World, vendor: EigenAIServer
) -> None:
    vendor.next("submit", status(402))
    await both.animate(steps=7)
    assert "no credit left" in await both.card_says("No video this time")


async def test_a_named_provider_does_not_fall_back(both: World, vendor: EigenAIServer) -> None:
    vendor.next("submit", status(402))
    await both.animate(provider="eigenai")
    assert "no credit left" in await both.card_says("No video this time")


async def test_a_full_house_is_waited_for_and_is_nobody_elses(both: World, vendor: EigenAIServer) -> None:
    class Full(RateLimit):
        async def spend(self) -> None:
            raise Overloaded("our own limit", retry_after=1)

    provider = both.bot.booking.catalogue.providers["eigenai"]
    limiter = [Full(1), RateLimit(9)]

    @asynccontextmanager
    async def rate_limit() -> AsyncIterator[None]:
        await limiter.pop(0).spend()
        yield

    provider.rate_limit = rate_limit  # type: ignore[method-assign] # the vendor has no limits of its own
    await both.animate()
    await both.video()
    assert maker(both) == "EigenAI, Wan 2.2 Turbo"


async def test_a_server_that_forbids_it_keeps_what_is_queued_already(
    start: Start, vendor: EigenAIServer
) -> None:
    world = await start(local_on=True, member_jobs=1)
    vendor.next("submit", hang)
    await world.animate()
    await world.animate()
    await world.administer("settings fallback", allowed="off")
    world.bot.booking.catalogue.health["eigenai"].paused = Failure.OUT_OF_FUNDS
    assert "has no credit left" in await world.card_says("No video this time", 1)


async def test_fallback_can_be_switched_off(start: Start, vendor: EigenAIServer) -> None:
    world = await start(local_on=True, fallback=False)
    vendor.next("submit", status(402))
    await world.animate()
    assert "no credit left" in await world.card_says("No video this time")


async def test_a_refused_key_pauses_the_provider_for_everybody_until_it_works_again(
    start: Start, vendor: EigenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    world = await start()
    vendor.next("submit", status(401))
    vendor.next("poll", status(401))
    await world.animate()
    await world.card_says("No video this time")
    await eventually(lambda: "eigenai is paused for everybody" in caplog.text)
    refused = await world.animate(world.bob)
    assert "did not accept this bot's key" in refused.response.content
    assert "Nothing was charged" in refused.response.content
    listed = (await world.bob.slash(world.channel, "providers")).response.embeds[0]
    assert "🔴" in (listed.fields[0].value or "")

    await eventually(lambda: "no longer paused" in caplog.text)
    await world.animate(world.bob)
    await world.video()


async def test_what_waits_for_a_paused_provider_is_not_kept_waiting(
    start: Start, vendor: EigenAIServer
) -> None:
    world = await start(member_jobs=1)
    vendor.next("submit", hang)
    await world.animate()
    await world.animate()
    await vendor.arrived("submit", 1)
    world.bot.booking.catalogue.health["eigenai"].paused = Failure.UNAUTHORIZED
    assert "did not accept this bot's key" in await world.card_says("No video this time", 1)


async def test_outages_in_a_row_rest_the_provider_while_others_work(
    both: World, vendor: EigenAIServer
) -> None:
    vendor.finish_after(10_000)
    await both.animate(provider="eigenai")
    await both.card_says("is making")
    vendor.next("poll", *[cut] * 40)
    await eventually(lambda: not both.bot.booking._engine.available_providers() >= {"eigenai"})
    await both.animate()
    await both.video()
    assert maker(both, 1).startswith("This machine")


async def test_providers_lists_what_each_takes_and_how_it_is(both: World) -> None:
    embed = (await both.alice.slash(both.channel, "providers")).response.embeds[0]
    shown = {field.name: as_read(field.value or "") for field in embed.fields}
    assert list(shown) == ["EigenAI", "This machine"]
    assert shown["EigenAI"].startswith("🟢 ready\n`/animate` **Wan 2.2 Turbo** `wan2p2-i2v-14b-turbo`")
    assert "number of steps: 1 to 20" in shown["EigenAI"]
    assert "usually 3 seconds, by its maker's word" in shown["This machine"]


async def test_a_provider_that_has_not_told_what_it_offers_is_listed_with_its_health(
    open_shop: Callable[..., Awaitable[Shop]],
) -> None:
    server = VeniceServer()
    server.next("models", *[status(500)] * 9)
    world = (await open_shop("venice", server)).world
    listed = (await world.alice.slash(world.channel, "providers")).response.embeds[0]
    assert listed.fields[0].name == "Venice"
    assert "Its model list hasn't loaded yet. Try again in a minute." in (listed.fields[0].value or "")


async def test_a_key_that_may_not_even_list_the_models_pauses_its_provider(
    open_shop: Callable[..., Awaitable[Shop]],
) -> None:
    shop = await open_shop("openai_videos", OpenAIVideosServer(), openai_videos_api_key="wrong")
    world = shop.world
    listed = (await world.alice.slash(world.channel, "providers")).response.embeds[0]
    assert as_read(listed.fields[0].value or "").startswith("🔴 OpenAI Videos did not accept this bot's key.")


async def test_what_a_catalogue_says_formats_and_mentions_nothing(
    open_shop: Callable[..., Awaitable[Shop]],
) -> None:
    server = VeniceServer()
    evil = "[Free](https://evil.example) **x** @everyone `" + "long " * 300
    server.catalogue = [model(I2V, spec={"name": evil})]
    world = (await open_shop("venice", server)).world
    await world.animate()
    await world.card_says("Video ready")
    made_by = world.fields()["Made by"]
    assert made_by.startswith("Venice, Free (https evil.example) x everyone long")
    assert len(made_by) < 100


async def test_a_time_that_was_measured_is_told_as_such(both: World) -> None:
    for number in range(1, 4):
        await both.animate(provider="eigenai")
        await both.video(number)
    embed = (await both.alice.slash(both.channel, "providers")).response.embeds[0]
    assert "measured here" in (embed.fields[0].value or "")


async def test_without_a_model_that_needs_no_picture_video_says_so(both: World) -> None:
    reply = await both.alice.slash(both.channel, "video", prompt="waves at night")
    assert "No provider here makes videos from a prompt alone" in reply.response.content
    assert "Nothing was charged" in reply.response.content
