"""Delivery with discord.py's real HTTP client, against Discord on loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import discord
import pytest
from aiohttp import web
from discord.gateway import DiscordWebSocket
from discord.http import Route
from yarl import URL

from bot.delivery import Delivery
from bot.delivery.brake import Brake
from bot.jobs import Job, JobState
from bot.media.job_files import JobFiles
from bot.posting import Card
from bot.quota.allowances import Allowance, WindowKind
from bot.store import Store, connect
from providers.specs import VideoRequest
from tests import openapi
from tests.clock import NOON, FastClock
from tests.discord_server.server import DiscordServer
from tests.discord_server.world import ALICE, CHANNEL, GUILD, TOKEN
from tests.helpers import eventually
from tests.vendors.faults import Exchange, sample_video

MEGABYTE = 1024 * 1024
LIMIT = 20 * MEGABYTE
MakeDelivery = Callable[..., Delivery]
"""Takes the seconds between two edits of a card."""


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as running:
        monkeypatch.setattr(Route, "BASE", running.api)
        yield running
        openapi.check(running.requests)


@pytest.fixture
def brake(clock: FastClock) -> Brake:
    return Brake(clock)


@pytest.fixture
async def client(server: DiscordServer, brake: Brake) -> AsyncIterator[discord.Client]:
    async with discord.Client(
        intents=discord.Intents.none(),
        allowed_mentions=discord.AllowedMentions.none(),
        http_trace=brake.trace,
    ) as connected:
        await connected.login(TOKEN)
        yield connected


@asynccontextmanager
async def connected(server: DiscordServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[discord.Client]:
    """A client that the gateway has told of the server."""
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", URL(server.gateway.url))
    intents = discord.Intents(guilds=True)
    async with discord.Client(intents=intents, guild_ready_timeout=0.1) as client:
        running = asyncio.create_task(client.start(TOKEN))
        await eventually(lambda: client.get_guild(GUILD))
        yield client
        await client.close()
        await running


@pytest.fixture
def clock() -> FastClock:
    return FastClock()


@pytest.fixture
async def store(tmp_path: Path, clock: FastClock) -> AsyncIterator[Store]:
    opened = Store(connect(f"sqlite:///{tmp_path / 'jobs.db'}"), clock)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def make_delivery(
    client: discord.Client, store: Store, clock: FastClock, brake: Brake, tmp_path: Path
) -> AsyncIterator[MakeDelivery]:
    boxes: list[Delivery] = []

    def make(card_seconds: float = 0.5) -> Delivery:
        files = JobFiles(tmp_path / "jobs")
        box = Delivery(
            client, store, files, clock, brake=brake, card_seconds=card_seconds, upload_limit=LIMIT
        )
        boxes.append(box)
        return box

    yield make
    for box in boxes:
        await box.close()


@pytest.fixture
def messenger(make_delivery: MakeDelivery) -> Delivery:
    return make_delivery()


@pytest.fixture
async def job(store: Store, tmp_path: Path) -> Job:
    return await book(store, tmp_path)


async def book(store: Store, folder: Path, **changes: object) -> Job:
    """A job with its thumbnail and its video on disk; `changes` are fields that are to differ."""
    new = Job(
        id=42,
        guild_id=GUILD,
        channel_id=CHANNEL,
        user_id=ALICE,
        provider="eigenai",
        request=VideoRequest(model="wan2p2-i2v-14b-turbo", prompt="slow zoom in"),
        state=JobState.QUEUED,
        price=1,
        charged=1,
        created_at=NOON,
        state_at=NOON,
        not_before=NOON,
        is_public=True,
    )
    new = replace(new, **changes)  # type: ignore[arg-type] # by whoever calls
    files = folder / "jobs" / str(new.id)
    files.mkdir(parents=True)
    (files / "thumbnail.jpg").write_bytes(b"a small picture")
    (files / "video.mp4").write_bytes(sample_video())
    booked = await store.accounts.reserve(new, (), Allowance(amount=1000, kind=WindowKind.DAY))
    assert isinstance(booked, Job)
    return booked


def card(job: Job, **changes: object) -> Card:
    return Card(job=job, provider="EigenAI", model="Wan 2.2 Turbo", **changes)  # type: ignore[arg-type]


def at(job: Job, state: JobState, **changes: object) -> Job:
    return replace(job, state=state, **changes)  # type: ignore[arg-type]


async def announced(messenger: Delivery, job: Job) -> Job:
    """The job with the message that is to carry its video."""
    posted = await messenger.videos.announce(job, again=False)
    return replace(job, message_id=posted.message_id, place_id=posted.channel_id)


async def cut_answer(_: Exchange) -> web.StreamResponse:
    """Half of what Discord says, as if that were all."""
    return web.Response(body=b'{"id": "12', content_type="application/json")


def shown(server: DiscordServer) -> str:
    """What the one card says now."""
    cards = server.world.cards()
    return str(cards[0]["embeds"][0]) if cards else ""
