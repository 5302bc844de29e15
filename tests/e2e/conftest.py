"""The real bot in a simulated Discord, with a vendor's server on loopback."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import discord
import pytest
import simcord
from PIL import Image
from simcord.actors import MemberActor
from simcord.builders import ChannelHandle, GuildHandle
from simcord.results import InteractionResult

from bot.app import build
from bot.client import Stillmotion
from bot.settings import GivenSettings, Settings
from providers._local_recipe import PROGRESS, VIDEO
from providers.child import Children
from providers.child_wire import Answer
from tests import openapi
from tests.clock import FastClock, moment
from tests.helpers import AtHome, as_read, eventually
from tests.vendors.base import VendorServer
from tests.vendors.eigenai import EigenAIServer
from tests.vendors.faults import sample_video

LOOKS_EVERY = 0.05
"""Seconds between two looks of simcord at the bot."""


def picture(kind: str = "PNG", size: tuple[int, int] = (320, 180)) -> bytes:
    image = Image.new("RGB", size, "skyblue")
    image.paste("gold", (size[0] // 3, size[1] // 3, size[0] // 2, size[1] // 2))
    data = io.BytesIO()
    image.save(data, kind)
    return data.getvalue()


def words_of(card: discord.Message) -> str:
    return f"{card.embeds[0].title}\n{card.embeds[0].description}"


@dataclass
class World:
    """A server with a channel and people in it, and the bot that serves them."""

    env: simcord.Env
    guild: GuildHandle
    channel: ChannelHandle
    alice: MemberActor
    bob: MemberActor
    moderator: MemberActor
    """May manage messages."""
    admin: MemberActor
    """May manage the server."""
    bot: Stillmotion

    async def animate(
        self,
        actor: MemberActor | None = None,
        image: bytes | None = None,
        name: str = "in.png",
        **options: Any,
    ) -> InteractionResult:
        options.setdefault("prompt", "slow zoom in")
        return await (actor or self.alice).slash(
            self.channel, "animate", image=(name, image or picture()), **options
        )

    async def administer(self, command: str, actor: MemberActor | None = None, **options: Any) -> str:
        """What a command for moderators answers."""
        reply = await (actor or self.admin).slash(self.channel, command, **options)
        assert reply.ephemeral
        return reply.response.content

    async def allow(self, actor: MemberActor, command: str) -> None:
        """Let Discord show a command to somebody whom it is not meant for, as a server's settings can."""
        synced = await self.bot.tree.fetch_commands()
        [found] = [entry for entry in synced if entry.name == command.partition(" ")[0]]
        self.guild.set_command_permissions(found, {actor: True})

    async def order(self, command: str, **options: Any) -> InteractionResult:
        return await self.alice.slash(self.channel, command, **{"prompt": "slow zoom in", **options})

    def cards(self) -> list[discord.Message]:
        """The channel's status cards."""
        return [message for message in self.channel.history() if message.embeds]

    def card(self, index: int = 0) -> discord.Message:
        return self.cards()[index]

    def text(self, index: int = 0) -> str:
        return words_of(self.card(index))

    def videos(self) -> list[discord.Message]:
        return [message for message in self.replies() if message.attachments]

    def replies(self) -> list[discord.Message]:
        """The messages that carry a video, or were about to."""
        return [message for message in self.channel.history() if not message.embeds]

    def fields(self, index: int = 0) -> dict[str, str]:
        """What people read in a card's fields, by their names."""
        return {field.name or "": as_read(field.value or "") for field in self.card(index).embeds[0].fields}

    async def card_says(self, words: str, index: int = 0) -> str:
        def found() -> str:
            cards = self.cards()
            shown = words_of(cards[index]) if len(cards) > index else ""
            return shown if words in shown else ""

        return await eventually(found)

    async def video(self, count: int = 1) -> discord.Message:
        """The channel's latest video, once there are so many."""
        await eventually(lambda: len(self.videos()) >= count)
        return self.videos()[-1]

    async def quota(self, actor: MemberActor | None = None) -> str:
        reply = await (actor or self.alice).slash(self.channel, "quota")
        return reply.response.embeds[0].title

    async def restart(self, bot: Stillmotion) -> None:
        """Stop the bot as SIGTERM does, and put another in its place."""
        await self.bot.close()
        await self.env.restart_bot(bot)
        self.bot = bot


class Unhurried:
    """What simcord waits with: it looks every 50 ms whether the bot has come to rest; this is when it has."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def wait(self, tasks: Sequence[asyncio.Task[Any]], *, timeout: float, **options: Any) -> Any:  # noqa: ASYNC109 - as asyncio has it
        if timeout > LOOKS_EVERY:
            return await asyncio.wait(tasks, timeout=timeout, **options)
        await self.sleep(timeout)
        return await asyncio.wait(tasks, timeout=0)

    async def sleep(self, seconds: float) -> None:
        await (moment() if seconds else asyncio.sleep(0))


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.app.Children", AtHome)


@pytest.fixture(autouse=True)
def extensions_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bot's extensions are imported once: discord.py does it anew for each bot, and that takes long."""

    async def load_extension(bot: Stillmotion, name: str) -> None:
        await import_module(name).setup(bot)

    monkeypatch.setattr(Stillmotion, "load_extension", load_extension)


class Renderer(Children):
    """In place of a render it brings a sample: half of it at once, all when it may end."""

    def __init__(self) -> None:
        super().__init__()
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def run(self, *_: object, writes: Path | None = None, **__: object) -> Answer:
        assert writes is not None
        (writes / PROGRESS).write_text("0.5")
        await self.may_end.wait()
        (writes / VIDEO).write_bytes(sample_video())
        return Answer({})


@pytest.fixture(autouse=True)
def renderer(monkeypatch: pytest.MonkeyPatch) -> Renderer:
    made = Renderer()
    monkeypatch.setattr("providers.local.Children", lambda _: made)
    return made


@pytest.fixture
def real_children(at_home: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """For what is about pictures and videos: they are decoded where an operator's bot decodes them."""
    monkeypatch.setattr("bot.app.Children", Children)


@pytest.fixture
async def vendor() -> AsyncIterator[EigenAIServer]:
    async with EigenAIServer() as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path, vendor: EigenAIServer) -> Callable[..., Settings]:
    def make(**values: Any) -> Settings:
        return GivenSettings(
            **{
                "data_dir": tmp_path / "data",
                "eigenai_api_key": vendor.KEY,
                "eigenai_base_url": vendor.url,
                "default_provider": "eigenai",
                "local_on": False,
                "card_seconds": 0.05,
                **values,
            },
        )

    return make


@pytest.fixture
async def start(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Callable[..., Awaitable[World]]]:
    monkeypatch.setattr("bot.app.RESERVE", 17.4)  # of 18 s: a call that hangs gets the rest
    monkeypatch.setattr("simcord.env.asyncio", Unhurried())
    worlds: list[World] = []

    async def start_world(**values: Any) -> World:
        bot = build(settings(**values), FastClock())
        env = simcord.Env(bot, settle_timeout=30)
        await env.start()
        guild = env.create_guild("Workshop")
        moderators = guild.create_role("Moderators", permissions=discord.Permissions(manage_messages=True))
        admins = guild.create_role("Admins", permissions=discord.Permissions(manage_guild=True))
        world = World(
            env=env,
            guild=guild,
            channel=guild.create_text_channel("videos"),
            alice=guild.add_member(env.create_user("alice")),
            bob=guild.add_member(env.create_user("bob")),
            moderator=guild.add_member(env.create_user("mod"), roles=[moderators]),
            admin=guild.add_member(env.create_user("admin"), roles=[admins]),
            bot=bot,
        )
        worlds.append(world)
        return world

    yield start_world
    for world in worlds:
        await world.bot.close()
        await world.env.shutdown()
        world.env.raise_errors()
        openapi.check(world.env.http_requests)
    mistakes = [entry for entry in caplog.get_records("call") if entry.name == "cogs._answer"]
    assert not [entry.message for entry in mistakes if entry.levelname == "ERROR"]


@dataclass(frozen=True)
class Shop:
    """A world with one provider, the vendor behind it, and the settings that make it so."""

    world: World
    vendor: Any
    """The vendor's server, of whatever class the test has asked for."""
    settings: Settings

    async def restart(self) -> None:
        await self.world.restart(build(self.settings, FastClock()))


@pytest.fixture
async def vendors() -> AsyncIterator[AsyncExitStack]:
    """Servers that a test opens; asked for before `start`, they outlive the bots that speak to them."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def open_shop(
    vendors: AsyncExitStack,
    start: Callable[..., Awaitable[World]],
    settings: Callable[..., Settings],
) -> Callable[..., Awaitable[Shop]]:
    """Start a bot whose only provider is the named one, at this server."""

    async def opened(provider: str, server: VendorServer, **values: Any) -> Shop:
        await vendors.enter_async_context(server)
        values = {
            "eigenai_api_key": None,
            "default_provider": provider,
            f"{provider}_api_key": server.KEY,
            f"{provider}_base_url": server.url,
            **values,
        }
        return Shop(await start(**values), server, settings(**values))

    return opened


@pytest.fixture
async def world(start: Callable[..., Awaitable[World]]) -> World:
    return await start()
