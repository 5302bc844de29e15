"""The Discord client: what starts and stops with it, its commands, and its last word on errors."""

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from typing import Any, cast

import discord
from discord import app_commands
from discord.ext import commands

from bot.booking import Booking
from bot.clock import Clock
from bot.commands import Payload, Unavailable, command_payload, difference
from bot.delivery.admission import Admission
from bot.delivery.brake import Brake
from bot.delivery.log import ModeratorLog
from bot.delivery.open_replies import OpenReplies
from bot.delivery.resend import Resend
from bot.engine.retry import Failures
from bot.login import DiscordAway, invite, translated
from bot.moderation import Moderation
from bot.overview import Overviews
from bot.tasks import Tasks
from bot.usage import Reports

log = logging.getLogger(__name__)

# discord.py warns of missing libraries for voice, which this bot does not speak.
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False

STOP_WITHIN = 18.0
"""Seconds from the order to stop until everything has ended or is cancelled."""
RESERVE = 2.0
"""Seconds of these for what comes after the jobs: cards, connections, the database."""
SYNC_WITHIN = 10.0
"""Seconds."""
LOOK_AT_OPTIONS = 600.0
"""Seconds between two looks at whether an option that was left out is of use."""
ANSWERS = 3.0
"""Seconds that answers to commands get to arrive when the bot stops."""
EXTENSIONS = (
    "cogs._errors",
    "cogs.animate",
    "cogs.jobs",
    "cogs.providers",
    "cogs.quota",
    "cogs.quota_admin",
    "cogs.servers",
    "cogs.settings",
)


class Stillmotion(commands.Bot):
    """An unstarted client. `setup_hook` starts everything else, `close` stops it."""

    booking: Booking
    moderation: Moderation
    logs: ModeratorLog
    reports: Reports
    resend: Resend
    admission: Admission
    overviews: Overviews
    open_replies: OpenReplies
    stop_intake: Callable[[], None] = staticmethod(lambda: None)
    """Take no more orders; set as soon as any can come."""
    may_be_read: Callable[[discord.Interaction], bool]
    """Whether discord.py may read an interaction; if not, the person is told. Set by an extension."""
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
        _stand_before_discord_py(self)
        self._start = start
        self._stop = stop
        self._connected = False
        self._unavailable: Callable[[], Unavailable] = frozenset
        self._synced_without: Unavailable | None = None
        """The options that Discord was not told of; None until it knows the commands."""
        self.tasks = Tasks()
        """For work of commands that must not end with them."""
        self._answering: set[asyncio.Task[Any]] = set()
        self._closing: asyncio.Future[None] | None = None
        self._stop_at: float | None = None
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
        log.info("logged in as %s; to add it to a server, open %s", self.user, invite(self))
        for extension in EXTENSIONS:
            await self.load_extension(extension)
        await self.tasks.detached(self._start(self), "start")

    async def on_ready(self) -> None:
        self._connected = True

    async def on_resumed(self) -> None:
        self._connected = True

    async def on_disconnect(self) -> None:
        self._connected = False

    def time_left(self, keep: float = 0.0) -> float:
        """Seconds until everything has to have ended; so many of them are kept for others."""
        if self._stop_at is None:
            return STOP_WITHIN
        return max(0.1, self._stop_at - keep - time.monotonic())

    async def close(self) -> None:
        if self._closing is None:
            self._stop_at = time.monotonic() + STOP_WITHIN
            self._closing = asyncio.ensure_future(self._end())
        await asyncio.shield(self._closing)

    async def _end(self) -> None:
        self.stop_intake()
        await self.tasks.close(patience=1)
        if self._answering:
            await asyncio.wait(self._answering, timeout=ANSWERS)
        await self._stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.time_left()):
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

    async def sync_commands(self, *, always: bool = False) -> int:
        """Tell Discord about the commands if it knows others; how many there are. Raises CannotStart."""
        left_out = self._left_out()
        payload = command_payload(self.tree, left_out)
        application = self.application_id or 0
        with translated():
            async with asyncio.timeout(SYNC_WITHIN):
                known = cast("list[Payload]", await self.http.get_global_commands(application))
                place = difference(payload, known)
                if place or always:
                    log.info("telling Discord about %d commands, the first news: %s", len(payload), place)
                    now = await self.http.bulk_upsert_global_commands(application, payload=payload)
                    if place := difference(payload, cast("list[Payload]", now)):
                        log.warning("Discord has made something else of a command: %s", place)
        self._synced_without = left_out
        return len(payload)

    def _left_out(self) -> Unavailable:
        """What is of no use now; of what Discord was told, nothing goes: members may be typing it."""
        unavailable = self._unavailable()
        return unavailable if self._synced_without is None else unavailable & self._synced_without

    async def offer(self, unavailable: Callable[[], Unavailable]) -> None:
        """Sync, without these options; `keep_syncing` goes on with it."""
        self._unavailable = unavailable
        await self.commands_are_known()

    async def commands_are_known(self) -> bool:
        """Sync, if Discord can be reached; the bot works without, with those that Discord knows."""
        try:
            await self.sync_commands()
        except DiscordAway as error:
            log.warning("Discord has not been told about the commands: %s", error)
            return False
        return True

    async def keep_syncing(self, clock: Clock) -> None:
        """For ever: try until Discord has our commands, and again once an option that they lack is of use."""
        never, failures = asyncio.Event(), Failures(random.random)
        while True:
            if self._left_out() == self._synced_without or await self.commands_are_known():
                failures.clear()
                await clock.wait(never, LOOK_AT_OPTIONS)
            else:
                await clock.wait(never, failures.next_wait())


def _stand_before_discord_py(client: Stillmotion) -> None:
    """Let an event that discord.py cannot read be skipped; it would end the connection, and the process.

    Interactions are looked at before it reads them: it would drop some in silence, and log errors of others.
    """
    state = client._connection  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - no public place is between
    parsers = state.parsers

    def skipping(event: str, parse: Callable[[Any], None]) -> Callable[[Any], None]:
        def read(data: Any) -> None:  # noqa: ANN401 - whatever Discord sends
            try:
                if event != "INTERACTION_CREATE" or client.may_be_read(
                    discord.Interaction(data=data, state=state)
                ):
                    parse(data)
            except Exception:
                log.exception("an event of Discord could not be read: %s", event)

        return read

    # Without READY there is nothing to go on with.
    parsers |= {name: skipping(name, parse) for name, parse in parsers.items() if name != "READY"}


def stillmotion(interaction: discord.Interaction) -> Stillmotion:
    """The client that an interaction came through."""
    return cast("Stillmotion", interaction.client)
