"""The Discord client: what starts and stops with it, its commands, and its last word on errors."""

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

from bot.cards import Card
from bot.delivery import Look
from bot.store import Store
from bot.studio import Studio
from bot.tasks import Tasks

log = logging.getLogger(__name__)

# discord.py warns of missing libraries for voice, which this bot does not speak.
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False

EXTENSIONS = ("cogs.animate", "cogs.jobs", "cogs.providers", "cogs.quota")
SOMETHING_WENT_WRONG = (
    "Something went wrong on our side, and it has been written down for whoever runs this bot. "
    "What does not arrive is never charged; `/jobs` shows what is under way."
)


class NoDiscord(Exception):
    """The bot cannot log in; the message is a sentence for the operator."""


class Tree(app_commands.CommandTree[discord.Client]):
    async def on_error(
        self, interaction: discord.Interaction, error: app_commands.AppCommandError, /
    ) -> None:
        """Only what nobody foresaw comes here: commands answer a UserFault themselves."""
        log.error("%s failed", interaction.command and interaction.command.qualified_name, exc_info=error)
        if not interaction.response.is_done():
            await interaction.response.send_message(SOMETHING_WENT_WRONG, ephemeral=True)


class Stillmotion(commands.Bot):
    """An unstarted client. `setup_hook` starts everything else, `close` stops it."""

    studio: Studio
    render: Callable[[Card], Look]
    """How a status card looks; set by the extension that knows."""

    def __init__(
        self,
        start: Callable[["Stillmotion"], Coroutine[Any, Any, None]],
        stop: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=discord.Intents(guilds=True),
            tree_cls=Tree,
            allowed_mentions=discord.AllowedMentions.none(),
            allowed_contexts=app_commands.AppCommandContext(guild=True),
            allowed_installs=app_commands.AppInstallationType(guild=True),
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_messages=None,
            chunk_guilds_at_startup=False,
        )
        self._start = start
        self._stop = stop
        self.tasks = Tasks()
        """For work of commands that must not end with them."""

    async def setup_hook(self) -> None:
        for extension in EXTENSIONS:
            await self.load_extension(extension)
        await self.tasks.detached(self._start(self), "start")

    async def close(self) -> None:
        if not self.is_closed():
            await self.tasks.close(patience=1)
            await self._stop()
        await super().close()

    def report(self) -> dict[str, Any]:
        """How the bot is: whether it is connected to Discord, and how far away that is in seconds."""
        return {
            "healthy": self.is_ready() and not self.is_closed(),
            "latency": round(self.latency, 3) if math.isfinite(self.latency) else None,
            "servers": len(self.guilds),
        }

    async def sync_commands(self, store: Store) -> None:
        """Tell Discord about the commands, if they are not those it was told last."""
        payload = [command.to_dict(self.tree) for command in self.tree.get_commands()]
        digest = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
        name = f"commands of {self.application_id}"
        if await store.notes.get(name) != digest:
            await self.tree.sync()
            await store.notes.set(name, digest)
            log.info("told Discord about %d commands", len(payload))


async def whose(token: str) -> str:
    """The name of the bot that a token belongs to. Raises NoDiscord."""
    async with discord.Client(intents=discord.Intents.none()) as client:
        with translated():
            await client.login(token)
        return str(client.user)


@contextmanager
def translated() -> Generator[None]:
    """Let what goes wrong with logging in be a NoDiscord."""
    try:
        yield
    except discord.LoginFailure as error:
        raise NoDiscord("Discord does not accept DISCORD_TOKEN.") from error
    except (discord.HTTPException, discord.GatewayNotFound, OSError) as error:
        raise NoDiscord(f"Discord cannot be reached: {type(error).__name__}.") from error


def stillmotion(interaction: discord.Interaction) -> Stillmotion:
    """The client that an interaction came through."""
    return cast("Stillmotion", interaction.client)
