"""The bot in the test's own process, with discord.py's real client and a Discord on loopback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route
from yarl import URL

from bot.app import build
from bot.client import Stillmotion
from bot.delivery import rate_limit
from bot.jobs import JobState
from bot.settings import GivenSettings
from tests import openapi
from tests.clock import FastClock
from tests.discord_server.server import DiscordServer
from tests.discord_server.world import TOKEN, Asked
from tests.e2e.process.conftest import picture
from tests.helpers import AtHome, eventually
from tests.vendors.eigenai import EigenAIServer


@dataclass
class Loopback:
    discord: DiscordServer
    vendor: EigenAIServer
    bot: Stillmotion

    async def animate(self, **options: Any) -> str:
        return await self.reply(await self.asked(**options))

    async def asked(self, **options: Any) -> Asked:
        return await self.discord.people.run(
            "animate", **{"image": picture(), "prompt": "slow zoom in", **options}
        )

    async def said(self, command: str, **options: Any) -> str:
        return await self.reply(await self.discord.people.run(command, **options))

    async def reply(self, asked: Asked) -> str:
        """What the person reads, embeds and all, once there is anything."""
        await eventually(lambda: asked.reply is not None and words_of(asked))
        return words_of(asked)

    async def job(self, job_id: int) -> Any:
        return await self.bot.booking._store.jobs.get(job_id)

    async def is_delivered(self, asked: Asked) -> bool:
        job = await self.job(asked.id)
        return job is not None and job.state is JobState.DELIVERED

    async def video(self) -> Asked:
        """One that is posted."""
        asked = await self.asked()
        await eventually(lambda: self.is_delivered(asked))
        return asked


def words_of(asked: Asked) -> str:
    if asked.reply is None:
        return ""
    parts = [str(asked.reply["content"])]
    for embed in asked.reply["embeds"]:
        parts += [str(embed.get("title", "")), str(embed.get("description", ""))]
        parts += [f"{field['name']}: {field['value']}" for field in embed.get("fields", ())]
    return "\n".join(part for part in parts if part)


Start = Callable[..., Awaitable[Loopback]]


@pytest.fixture
async def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """Start a bot; `knows_server=False` leaves its cache as empty as it is right after READY."""
    monkeypatch.setattr("bot.app.Children", AtHome)
    monkeypatch.setattr(rate_limit, "WINDOW", 0.1)
    monkeypatch.setattr("cogs._answer.ACK_PAUSES", (0.01,) * 4)
    monkeypatch.setattr("cogs._answer.REPLY_PAUSES", (0.01,) * 4)
    async with DiscordServer() as discord, EigenAIServer() as vendor:
        monkeypatch.setattr(Route, "BASE", discord.api)
        monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", URL(discord.gateway.url))
        vendor.finish_after(1)
        started: list[tuple[Stillmotion, asyncio.Task[None]]] = []

        async def begin(*, knows_server: bool = True, **values: Any) -> Loopback:
            discord.gateway.withholds_guilds = not knows_server
            settings = GivenSettings(
                **{
                    "data_dir": tmp_path / "data",
                    "eigenai_api_key": vendor.KEY,
                    "eigenai_base_url": vendor.url,
                    "local_on": False,
                    "card_seconds": 0.05,
                    **values,
                },
            )
            bot = build(settings, FastClock())
            running = asyncio.create_task(bot.start(TOKEN))
            started.append((bot, running))
            await eventually(lambda: discord.gateway.sessions or running.done())
            if knows_server:
                await eventually(lambda: bot.guilds and bot.guilds[0].roles)
            return Loopback(discord, vendor, bot)

        yield begin
        for bot, running in started:
            await bot.close()
            await running
        openapi.check(discord.requests)
