"""The servers that the operator has chosen; of all others the bot takes its leave."""

import asyncio
import logging
from contextlib import suppress

import discord

from bot.clock import Clock
from bot.delivery.calls import call
from bot.delivery.rest import Rest
from bot.errors import DeliveryFault
from bot.quota.limits import Limits
from bot.store.db import StoreError
from bot.store.notes import Notes

log = logging.getLogger(__name__)

FAREWELL = (
    "I only work in servers that whoever runs me has chosen, and this is not one of them. "
    "I am leaving; nothing was charged."
)
AGAIN = 600.0
"""Seconds until a server is left again that could not be left, or whose outage is over."""
_TOLD = "server {} was told why the bot leaves"


class Admission:
    def __init__(
        self, client: discord.Client, rest: Rest, notes: Notes, clock: Clock, limits: Limits
    ) -> None:
        self._client = client
        self._rest = rest
        self._notes = notes
        self._clock = clock
        self._limits = limits
        self._news = asyncio.Event()

    def refusal(self, guild_id: int | None) -> str | None:
        """What to say in a server that the bot does not work in."""
        return None if guild_id is None or self._limits.admits(guild_id) else FAREWELL

    def look(self) -> None:
        """The bot is in other servers than before, perhaps."""
        self._news.set()

    async def keep(self) -> None:
        """For ever: leave the servers that are not on the list, if there is one."""
        while self._limits.servers:
            self._news.clear()
            for guild in self._client.guilds:
                if not guild.unavailable and not self._limits.admits(guild.id):
                    await self._leave(guild)
            await self._clock.wait(self._news, AGAIN)

    async def _leave(self, guild: discord.Guild) -> None:
        log.warning("server %d is not among SERVERS: the bot explains itself and leaves", guild.id)
        try:
            if await self._notes.get(_TOLD.format(guild.id)) is None:
                # Written down first: whoever invites it again and again is told once.
                await self._notes.set(_TOLD.format(guild.id), "")
                await self._explain(guild)
            await call(guild.leave())
        except (DeliveryFault, StoreError) as error:
            log.warning("server %d could not be left yet: %s", guild.id, error)

    async def _explain(self, guild: discord.Guild) -> None:
        """In the system channel, or to the owner; where neither is possible, commands answer it."""
        channel = guild.system_channel
        if channel is not None and _may_post(channel):
            with suppress(DeliveryFault):
                await self._say(channel.id, guild)
                return
        if guild.owner_id is not None:
            with suppress(DeliveryFault):
                await self._say(await self._rest.open_direct(guild.owner_id), guild)

    async def _say(self, channel_id: int, guild: discord.Guild) -> None:
        await self._rest.create(
            channel_id,
            nonce=f"leave {guild.id}",
            content=FAREWELL,
            mentions=discord.AllowedMentions.none(),
        )


def _may_post(channel: discord.TextChannel) -> bool:
    mine = channel.permissions_for(channel.guild.me)
    return mine.view_channel and mine.send_messages
