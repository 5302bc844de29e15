"""`SERVERS`: elsewhere the bot explains itself once and leaves."""

from collections.abc import Awaitable, Callable

import pytest
from simcord.builders import GuildHandle

from bot.app import build
from bot.delivery.admission import FAREWELL
from bot.settings import Settings
from tests.clock import FastClock
from tests.e2e.conftest import World
from tests.helpers import eventually
from tests.vendors.eigenai import EigenAIServer

Start = Callable[..., Awaitable[World]]
Configure = Callable[..., Settings]


@pytest.fixture
async def chosen(start: Start, settings: Configure) -> World:
    """A bot whose list has the one server that it is in."""
    world = await start()
    await world.restart(build(settings(servers=str(world.guild.id)), FastClock()))
    return world


async def is_left(world: World, guild: GuildHandle) -> None:
    await eventually(lambda: guild.id not in world.env.backend.guilds)


def told(guild: GuildHandle) -> list[str]:
    """What the owner of a server was told directly."""
    return [message.content for message in guild.owner.dm_channel.history()]


async def test_a_server_that_is_not_on_the_list_is_told_why_and_left(
    chosen: World, caplog: pytest.LogCaptureFixture
) -> None:
    other = chosen.env.create_guild("Elsewhere")
    await is_left(chosen, other)
    assert f"server {other.id} is not among SERVERS" in caplog.text
    assert told(other) == [FAREWELL]
    await chosen.animate()
    await chosen.video()


async def test_a_system_channel_is_told_where_the_bot_may_post(chosen: World, settings: Configure) -> None:
    await chosen.restart(build(settings(), FastClock()))
    other = chosen.env.create_guild("Elsewhere")
    channel = other.create_text_channel("welcome")
    chosen.env.backend.guilds[other.id].system_channel_id = channel.id
    await chosen.restart(build(settings(servers=str(chosen.guild.id)), FastClock()))
    await is_left(chosen, other)
    said = [entry.path for entry in chosen.env.http_requests if FAREWELL in str(entry.json)]
    assert said == [f"/channels/{channel.id}/messages"]
    assert not told(other)


async def test_at_its_start_the_bot_leaves_the_servers_it_is_in(chosen: World, settings: Configure) -> None:
    await chosen.restart(build(settings(servers="1, 2"), FastClock()))
    await is_left(chosen, chosen.guild)
    assert told(chosen.guild) == [FAREWELL]


async def test_commands_in_the_meantime_answer_with_the_sentence(
    chosen: World, settings: Configure, vendor: EigenAIServer
) -> None:
    chosen.env.inject_error("DELETE", "/users/@me/guilds/*", status=403, code=50001, times=10_000)
    await chosen.restart(build(settings(servers="1"), FastClock()))
    reply = await chosen.animate()
    assert reply.ephemeral
    assert reply.response.content == FAREWELL
    assert (await chosen.admin.slash(chosen.channel, "quota-admin show")).response.content == FAREWELL
    assert await chosen.alice.autocomplete(chosen.channel, "video", "provider", "") == []
    assert not vendor.seen("submit")


async def test_who_invites_the_bot_again_and_again_is_told_once(chosen: World, settings: Configure) -> None:
    chosen.env.inject_error("DELETE", "/users/@me/guilds/*", status=500, times=3)
    other = chosen.env.create_guild("Elsewhere")
    await is_left(chosen, other)
    assert told(other) == [FAREWELL]


async def test_without_a_list_every_server_is_served(start: Start) -> None:
    world = await start()
    other = world.env.create_guild("Elsewhere")
    channel = other.create_text_channel("videos")
    carol = other.add_member(world.env.create_user("carol"))
    assert (await carol.slash(channel, "quota")).response.embeds
    assert not told(other)


async def test_what_waits_for_a_server_that_was_struck_off_the_list_is_not_bought(
    start: Start, settings: Configure, vendor: EigenAIServer
) -> None:
    world = await start(eigenai_max_jobs=1)
    vendor.finish_after(10_000)
    await world.animate()
    await world.animate()
    await eventually(lambda: len(vendor.seen("submit")) == 1)
    vendor.finish_after(1)
    world.env.inject_error("DELETE", "/users/@me/guilds/*", status=403, code=50001, times=10_000)
    await world.restart(build(settings(servers="1", eigenai_max_jobs=1), FastClock()))
    await world.video()
    assert len(vendor.seen("submit")) == 1
