"""How large a file may be where a video goes: what the place is said to take, and what was refused there."""

import logging
from contextlib import suppress

import discord

from bot.jobs import Job, Place
from bot.store import Store
from bot.store.db import StoreError

log = logging.getLogger(__name__)

HIGHEST_TIER = 100 * 1024 * 1024
"""Bytes that the most boosted servers take."""
_LEARNED = "what server {} takes when it says {} bytes"
"""A server that is boosted says something else, and what was learned before counts no longer."""
STEP = 0.8
"""How much of a size that Discord refused is tried next."""


class UploadLimits:
    def __init__(self, client: discord.Client, store: Store, base: int) -> None:
        self._client = client
        self._store = store
        self._base = base
        """Bytes that Discord takes where nothing is boosted."""

    async def of(self, job: Job) -> int:
        """Bytes that a file may have at the job's place."""
        stated = self.stated(job)
        learned = await self._store.notes.get(_LEARNED.format(_server(job), stated))
        return min(stated, int(learned or stated))

    async def learn(self, job: Job, refused: int) -> None:
        """Discord takes less there than was thought: remember a step below what it refused."""
        stated = self.stated(job)
        log.warning("server %d takes %d bytes, it is said, but not %d", _server(job), stated, refused)
        lower = self._base if refused > self._base else int(refused * STEP)
        with suppress(StoreError):
            await self._store.notes.set(_LEARNED.format(_server(job), stated), str(lower))

    def stated(self, job: Job) -> int:
        """Bytes that the place is said to take. discord.py knows boosted tiers; its base is out of date."""
        if job.place is Place.DIRECT:
            return self._base
        guild = self._client.get_guild(job.guild_id)
        # Not known yet at start, or not during an outage: then Discord itself has to say no.
        if guild is None or guild.unavailable:
            return HIGHEST_TIER
        return max(self._base, guild.filesize_limit)


def _server(job: Job) -> int:
    """The server that the file goes to; 0 for direct messages."""
    return 0 if job.place is Place.DIRECT else job.guild_id
