"""The Discord client: what starts and stops with it, its commands, and its last word on errors."""

import asyncio
import hashlib
import json
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, cast

import discord
from discord import app_commands
from discord.ext import commands

from bot.archive import Archive
from bot.cards import Card
from bot.commands import command_payload
from bot.delivery import Face
from bot.delivery.brake import Brake
from bot.delivery.logs import Logs
from bot.moderation import Moderation
from bot.store import Store
from bot.studio import Studio
from bot.tasks import Tasks
from bot.usage import Reports

log = logging.getLogger(__name__)

# discord.py warns of missing libraries for voice, which this bot does not speak.
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False

ANSWERS = 3.0
"""Seconds that answers to commands get to arrive when the bot stops."""
EXTENSIONS = (
    "cogs._cards",
    "cogs._errors",
    "cogs.animate",
    "cogs.delivery_admin",
    "cogs.jobs",
    "cogs.provider_admin",
    "cogs.providers",
    "cogs.quota",
    "cogs.quota_admin",
)


class CannotStart(Exception):
    """Something outside keeps the bot from starting; the message is a sentence for the operator."""


class Stillmotion(commands.Bot):
    """An unstarted client. `setup_hook` starts everything else, `close` stops it."""

    studio: Studio
    moderation: Moderation
    logs: Logs
    reports: Reports
    archive: Archive
    stop_intake: Callable[[], None] = staticmethod(lambda: None)
    """Take no more orders; set as soon as any can come."""
    render: Callable[[Card], Face]
    """How a status card looks; set by the extension that knows."""

    def __init__(
        self,
        start: Callable[["Stillmotion"], Coroutine[Any, Any, None]],
        stop: Callable[[], Awaitable[None]],
        brake: Brake,
    ) -> None:
        """The brake sees every answer of Discord."""
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            allowed_contexts=app_commands.AppCommandContext(guild=True),
            allowed_installs=app_commands.AppInstallationType(guild=True),
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_messages=None,
            chunk_guilds_at_startup=False,
            http_trace=brake.trace,
        )
        _skip_unreadable_events(self)
        self._start = start
        self._stop = stop
        self._connected = False
        self.tasks = Tasks()
        """For work of commands that must not end with them."""
        self._answering: set[asyncio.Task[Any]] = set()
        self.failed = asyncio.Event()
        """The bot cannot go on; `failure` says why."""
        self.failure: Exception | None = None
        self.owns: Callable[[], bool] = lambda: True
        """Whether the database is ours at present; set while starting."""

    def fail(self, failure: Exception) -> None:
        """End the bot, for this reason."""
        self.failure = failure
        self.failed.set()

    async def setup_hook(self) -> None:
        for extension in EXTENSIONS:
            await self.load_extension(extension)
        await self.tasks.detached(self._start(self), "start")

    async def on_ready(self) -> None:
        self._connected = True

    async def on_resumed(self) -> None:
        self._connected = True

    async def on_disconnect(self) -> None:
        self._connected = False

    async def close(self) -> None:
        if not self.is_closed():
            self.stop_intake()
            await self.tasks.close(patience=1)
            if self._answering:
                await asyncio.wait(self._answering, timeout=ANSWERS)
            await self._stop()
        await super().close()

    @contextmanager
    def answering(self) -> Generator[None]:
        """Keep the connection open until the present task has ended, if that is soon."""
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._answering.add(task)
        try:
            yield
        finally:
            self._answering.discard(task)

    def report(self) -> dict[str, Any]:
        """How the bot is: whether it is connected to Discord, and how far away that is in seconds.

        Who has lost the database for the moment begins nothing, and is not healthy.
        """
        owns = self.owns()
        return {
            "healthy": self._connected and owns and not self.is_closed(),
            "owns_database": owns,
            "latency": round(self.latency, 3) if math.isfinite(self.latency) else None,
            "servers": len(self.guilds),
        }

    async def sync_commands(self, store: Store) -> None:
        """Tell Discord about the commands, if they are not those it was told last."""
        payload = command_payload(self.tree)
        digest = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
        name = f"commands of {self.application_id}"
        if await store.notes.get(name) != digest:
            await self.http.bulk_upsert_global_commands(self.application_id or 0, payload=payload)
            await store.notes.set(name, digest)
            log.info("told Discord about %d commands", len(payload))


def _skip_unreadable_events(client: discord.Client) -> None:
    """Let an event that discord.py cannot read be skipped; it would end the connection, and the process."""
    # There is no public place between the connection and what reads its events.
    parsers = client._connection.parsers  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    def skipping(event: str, parse: Callable[[Any], None]) -> Callable[[Any], None]:
        def read(data: Any) -> None:  # noqa: ANN401 - whatever Discord sends
            try:
                parse(data)
            except Exception:
                log.exception("an event of Discord could not be read: %s", event)

        return read

    # Without READY there is nothing to go on with.
    parsers |= {name: skipping(name, parse) for name, parse in parsers.items() if name != "READY"}


async def whose(token: str) -> str:
    """The name of the bot that a token belongs to. Raises CannotStart."""
    async with discord.Client(intents=discord.Intents.none()) as client:
        with translated():
            await client.login(token)
        return str(client.user)


@contextmanager
def translated() -> Generator[None]:
    """Let what goes wrong at start be a CannotStart."""
    try:
        yield
    except discord.LoginFailure as error:
        raise CannotStart("Discord does not accept DISCORD_TOKEN.") from error
    except discord.HTTPException as error:
        raise CannotStart(f"Discord refuses: {error}.") from error
    except OSError as error:
        if error.filename is not None:
            raise CannotStart(f"{error.filename} cannot be used: {error.strerror}.") from error
        raise CannotStart(f"Discord cannot be reached: {type(error).__name__}.") from error


def stillmotion(interaction: discord.Interaction) -> Stillmotion:
    """The client that an interaction came through."""
    return cast("Stillmotion", interaction.client)
