"""What a process before this one owes to people who wait for a reply."""

import json

import discord
import pytest

from bot.delivery.open_replies import OpenReplies
from bot.store import Store
from tests.clock import FastClock
from tests.discord_server.faults import cut, refusal
from tests.discord_server.server import DiscordServer
from tests.discord_server.world import CHANNEL, Asked
from tests.vendors.faults import Fault


async def owe(server: DiscordServer, store: Store, until: str) -> Asked:
    """A reply that Discord shows as being thought about."""
    asked = server.world.asked["token"] = Asked(1, "token", CHANNEL, callback={"type": 5})
    await store.notes.set("open reply 1", json.dumps({"token": asked.token, "until": until}))
    return asked


@pytest.mark.parametrize("faults", [[], [cut, refusal(503)]])
async def test_who_waits_is_told_as_soon_as_discord_takes_it(
    server: DiscordServer, client: discord.Client, store: Store, clock: FastClock, faults: list[Fault]
) -> None:
    asked = await owe(server, store, "2099-01-01T00:00:00+00:00")
    server.next("original", *faults)
    replies = OpenReplies(client, store, clock)
    await replies.settle(await replies.left())
    assert asked.text.startswith("I was restarted in the middle of this.")
    assert await replies.left() == {}


async def test_a_reply_that_discord_never_acknowledged_is_forgotten(
    server: DiscordServer, client: discord.Client, store: Store, clock: FastClock
) -> None:
    asked = await owe(server, store, "2099-01-01T00:00:00+00:00")
    asked.callback = None
    replies = OpenReplies(client, store, clock)
    await replies.settle(await replies.left())
    assert await replies.left() == {}
    assert len(server.seen("original")) == 1


async def test_a_reply_that_is_too_old_for_discord_is_forgotten(
    server: DiscordServer, client: discord.Client, store: Store, clock: FastClock
) -> None:
    asked = await owe(server, store, clock.now().isoformat())
    replies = OpenReplies(client, store, clock)
    await replies.settle(await replies.left())
    assert await replies.left() == {}
    assert not asked.text
