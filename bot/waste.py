"""What members may let the operator pay for in vain: cancelled late, refused, or not deliverable."""

import asyncio
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from bot.clock import Clock
from bot.errors import NotNow
from bot.jobs import Job
from bot.store import Store
from bot.store.wasted import Wasted
from bot.words import count, escape, relative

A_DAY = timedelta(days=1)
LATE_CANCELS = 3
"""Videos that a provider has started on, cancelled by their member within a day."""
REFUSALS = 5
"""Videos of a member that broke a provider's content rules after it had started, within a day."""
UNDELIVERED = 3
"""Finished videos of a member that nobody has yet: more are not made before these are fetched."""


class Waste:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    def one_at_a_time(self, user_id: int) -> asyncio.Lock:
        """Hold it from the check of a late cancel to its end: those at once are counted one by one."""
        return self._locks.setdefault(user_id, asyncio.Lock())

    async def check_order(self, guild_id: int, user_id: int) -> None:
        """Raise NotNow for a member of whose videos too many have come to nothing. Nothing was charged."""
        wasted = await self._of(guild_id, user_id)
        if len(wasted.refused) >= REFUSALS:
            again_at = wasted.refused[-REFUSALS] + A_DAY
            raise NotNow(
                f"{count(len(wasted.refused), 'video')} of yours broke a provider's content rules in the "
                f"last 24 hours. You can ask for the next one {relative(again_at)}. Nothing was charged."
            )
        if len(wasted.undelivered) >= UNDELIVERED:
            raise NotNow(
                f"{count(len(wasted.undelivered), 'finished video')} of yours could not be posted. Get them "
                "with `/jobs resend` first, or ask a moderator to let me post here. Nothing was charged."
            )

    async def check_cancel(self, job: Job, provider: str) -> None:
        """Raise NotNow for a member who has cancelled too often what a provider has started on."""
        if not await self.cancels_left(job):
            raise NotNow(
                f"{escape(provider)} has already started this video, and you have cancelled {LATE_CANCELS} "
                "started videos in the last 24 hours. It will be finished, posted here and charged."
            )

    async def cancels_left(self, job: Job) -> int:
        """How many started videos the job's member may still cancel today."""
        return max(0, LATE_CANCELS - len((await self._of(job.guild_id, job.user_id)).cancelled))

    async def _of(self, guild_id: int, user_id: int) -> Wasted:
        since: datetime = self._clock.now() - A_DAY
        return await self._store.wasted.of(guild_id, user_id, since)
