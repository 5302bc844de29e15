"""discord.py's real client, connected to the loopback server."""

import asyncio
from collections.abc import AsyncIterator

import discord
import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route
from yarl import URL

from tests import openapi
from tests.discord_server.places import GUILD, TOKEN
from tests.discord_server.server import DiscordServer
from tests.helpers import eventually


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as running:
        monkeypatch.setattr(Route, "BASE", running.api)
        monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", URL(running.gateway.url))
        yield running
        openapi.check(running.requests)


@pytest.fixture
async def client(server: DiscordServer) -> AsyncIterator[discord.Client]:
    intents = discord.Intents(guilds=True)
    async with discord.Client(intents=intents, guild_ready_timeout=0.1) as connected:
        running = asyncio.create_task(connected.start(TOKEN))
        await eventually(lambda: connected.get_guild(GUILD))
        yield connected
        await connected.close()
        await running
