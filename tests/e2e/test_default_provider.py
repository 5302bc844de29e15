"""What a server decides about its providers, through `/settings`."""

from collections.abc import Awaitable, Callable

import pytest

from tests.e2e.conftest import World
from tests.vendors.eigenai import EigenAIServer
from tests.vendors.faults import status


@pytest.fixture
async def both(start: Callable[..., Awaitable[World]]) -> World:
    """EigenAI is the bot's default; this machine stands by."""
    return await start(local_on=True, local_resolutions=("288p",))


def maker(world: World, index: int = 0) -> str:
    return world.fields(index)["Made by"]


async def test_the_servers_default_goes_before_the_bots(both: World) -> None:
    said = await both.administer("settings provider", provider="local")
    assert said == "Done: sets the provider for those who name none to This machine."
    await both.animate()
    assert maker(both) == "This machine, Pan and zoom"
    listed = (await both.alice.slash(both.channel, "providers")).response.embeds[0]
    assert [field.name for field in listed.fields] == ["This machine", "EigenAI"]

    await both.administer("settings provider", provider="default")
    await both.animate()
    assert maker(both, 1) == "EigenAI, Wan 2.2 Turbo"


async def test_one_servers_default_is_not_anothers(both: World) -> None:
    await both.administer("settings provider", provider="local")
    other = both.env.create_guild("Elsewhere")
    channel = other.create_text_channel("videos")
    carol = other.add_member(both.env.create_user("carol"))
    await carol.slash(channel, "providers")
    rules = await both.bot.moderation.rules(other.id)
    assert rules.default_provider is None


async def test_a_default_that_cannot_do_what_is_asked_is_passed_over(both: World) -> None:
    await both.administer("settings provider", provider="local")
    await both.animate(steps=7)
    assert maker(both) == "EigenAI, Wan 2.2 Turbo"


async def test_a_default_has_to_be_a_provider_of_this_bot(both: World) -> None:
    said = await both.administer("settings provider", provider="dreams")
    assert said == "There is no such provider here; there are `eigenai`, `local`. Nothing was changed."
    assert (await both.bot.moderation.rules(both.guild.id)).default_provider is None


async def test_providers_are_suggested(both: World) -> None:
    found = await both.admin.autocomplete(both.channel, "settings provider", "provider", "mach")
    assert [choice["value"] for choice in found] == ["local"]


@pytest.mark.parametrize(("allowed", "words"), [("off", "has no credit left"), ("default", "Video ready")])
async def test_a_job_falls_back_if_the_server_allows_it(
    both: World, vendor: EigenAIServer, words: str, allowed: str
) -> None:
    await both.administer("settings fallback", allowed="off")
    if allowed == "default":
        await both.administer("settings fallback", allowed="default")
    vendor.next("submit", status(402))
    await both.animate()
    await both.card_says(words)


async def test_a_server_may_allow_what_the_bot_does_not_do_by_default(
    start: Callable[..., Awaitable[World]], vendor: EigenAIServer
) -> None:
    world = await start(local_on=True, local_resolutions=("288p",), fallback=False)
    await world.administer("settings fallback", allowed="on")
    vendor.next("submit", status(402))
    await world.animate()
    await world.card_says("Video ready")


@pytest.mark.parametrize("command", ["settings provider", "settings fallback"])
async def test_who_may_not_manage_the_server_changes_nothing_even_if_discord_lets_them(
    both: World, command: str
) -> None:
    await both.allow(both.moderator, command)
    said = await both.administer(command, both.moderator)
    assert said == "Only members who may manage this server can do that. Nothing was changed."
