"""Who keeps jobs moving. Rows hold the truth; a runner only sees to it that somebody drives them."""

import asyncio
import logging
from dataclasses import replace
from datetime import datetime

from bot.clock import Clock
from bot.engine import Engine
from bot.jobs import UNDER_WAY, Job
from bot.store import Store
from bot.store.db import StoreError
from bot.store.jobs import Caps
from bot.tasks import Tasks

log = logging.getLogger(__name__)

ROUND = 15.0
"""Seconds after which the queue is looked at even if nobody said that something has changed."""
AFTER_TROUBLE = 5.0
"""Seconds until a drive that failed for a reason of ours is taken up again."""
IN_FLIGHT = 15.0
"""Seconds that calls in flight get to end when the bot stops."""


class Local:
    """One process: a task for each job under way, and one that promotes the queue."""

    def __init__(self, engine: Engine, store: Store, caps: Caps, clock: Clock) -> None:
        self._engine = engine
        self._store = store
        self._caps = caps
        self._clock = clock
        self._tasks = Tasks()
        self._wake = asyncio.Event()

    async def start(self) -> None:
        """Take up every open job."""
        for job in await self._store.jobs.unshown():
            await self._engine.show(job)
        for job in await self._store.jobs.open():
            if job.state in UNDER_WAY:
                self._take(job, promoted=False)
        self._tasks.spawn(self._promote(), "promoter")

    def wake(self) -> None:
        """Something has changed that may let a queued job go."""
        self._wake.set()

    async def stop(self) -> None:
        """Promote nothing more, let calls in flight end, and leave the rest to the next start."""
        self._engine.stopping.set()
        self.wake()
        await self._tasks.close(patience=IN_FLIGHT)

    def _take(self, job: Job, *, promoted: bool) -> None:
        self._tasks.spawn(self._drive(job, promoted=promoted), f"job {job.id}")

    async def _drive(self, job: Job, *, promoted: bool) -> None:
        """Drive one job; whatever goes wrong on our side, it is taken up again from its row."""
        current: Job | None = job
        since = self._clock.now()
        while current and current.state in UNDER_WAY and not self._engine.stopping.is_set():
            try:
                current = await self._engine.drive(current, promoted=promoted)
            except Exception:
                log.exception("the drive of job %d failed", job.id)
                await self._clock.wait(self._engine.stopping, AFTER_TROUBLE)
                current = await self._after_trouble(current, since)
            promoted = False
        self.wake()

    async def _after_trouble(self, job: Job, since: datetime) -> Job | None:
        try:
            fresh = await self._store.jobs.get(job.id)
            over = fresh is None or not fresh.state.is_open or await self._engine.expire(fresh, since)
        except StoreError:
            log.exception("job %d cannot be read", job.id)
            return job
        return None if over else fresh

    async def _promote(self) -> None:
        while not self._engine.stopping.is_set():
            self._wake.clear()
            try:
                while not self._engine.stopping.is_set() and (
                    job := await self._store.jobs.promote(self._fit_caps())
                ):
                    self._take(job, promoted=True)
                wait = await self._attend_queue()
            except Exception:
                log.exception("the queue could not be looked at")
                wait = AFTER_TROUBLE
            await self._clock.wait(self._wake, wait)

    def _fit_caps(self) -> Caps:
        """The caps, without the providers that are left alone now."""
        fit = self._engine.fit_providers()
        return replace(
            self._caps, providers={name: cap for name, cap in self._caps.providers.items() if name in fit}
        )

    async def _attend_queue(self) -> float:
        """See to everybody in the queue, all at once; seconds to the next round."""
        queue = await self._store.jobs.queue()
        waits = await asyncio.gather(*(self._attend(job, place) for place, job in enumerate(queue, start=1)))
        return min(waits, default=ROUND)

    async def _attend(self, job: Job, position: int) -> float:
        """End what has waited too long, tell the others where they stand; seconds until it may go."""
        if await self._engine.expire(job) or await self._engine.divert(job):
            return ROUND
        await self._engine.show(job, position=position)
        pause = (job.not_before - self._clock.now()).total_seconds()
        return min(ROUND, pause) if pause > 0 else ROUND
