"""How large a file may be where a video goes: what the place is said to take, and what was refused there."""

import logging
from contextlib import suppress
from datetime import datetime, timedelta

import discord
from pydantic import BaseModel, ValidationError

from bot.clock import Clock
from bot.jobs import Job, Place
from bot.store import Store
from bot.store.db import StoreError

log = logging.getLogger(__name__)

HIGHEST_TIER = 100 * 1024 * 1024
"""Bytes that the most boosted servers take."""
LEAST = 8 * 1024 * 1024
"""Bytes that every place has always taken: a refusal of fewer says something of that one upload."""
STEP = 0.8
"""How much of a size that Discord refused is tried next."""
REMEMBERED = timedelta(days=1)
_LEARNED = "what server {} takes when it says {} bytes"
"""A server that is boosted says something else, and what was learned before counts no longer."""
_MOST = 1000


class _Learned(BaseModel):
    size: int
    at: datetime


class UploadLimits:
    def __init__(self, client: discord.Client, store: Store, clock: Clock, base: int) -> None:
        self._client = client
        self._store = store
        self._clock = clock
        self._base = base
        """Bytes that Discord takes where nothing is boosted."""
        self._refused: dict[int, int] = {}
        """The least that was refused of a job's own uploads."""

    async def of(self, job: Job) -> int:
        """Bytes that a file may have at the job's place."""
        stated = self._stated(job)
        own = int(self._refused[job.id] * STEP) if job.id in self._refused else stated
        return min(stated, await self._learned(job, stated) or stated, own)

    async def learn(self, job: Job, refused: int) -> None:
        """Discord takes less there than was thought: remember for a day what may be tried after that."""
        stated = self._stated(job)
        log.warning("server %d takes %d bytes, it is said, but not %d", _server(job), stated, refused)
        while len(self._refused) >= _MOST:
            del self._refused[next(iter(self._refused))]
        self._refused[job.id] = min(refused, self._refused.get(job.id, refused))
        lower = max(LEAST, self._base if refused > self._base else int(refused * STEP))
        with suppress(StoreError):
            size = min(lower, await self._learned(job, stated) or lower)
            note = _Learned(size=size, at=self._clock.now())
            await self._store.notes.set(_LEARNED.format(_server(job), stated), note.model_dump_json())

    async def _learned(self, job: Job, stated: int) -> int | None:
        noted = await self._store.notes.get(_LEARNED.format(_server(job), stated))
        try:
            learned = _Learned.model_validate_json(noted or "")
        except ValidationError:
            return None
        # A clock that was put back would let it be remembered for longer.
        return learned.size if abs(self._clock.now() - learned.at) < REMEMBERED else None

    def _stated(self, job: Job) -> int:
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
