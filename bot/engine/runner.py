"""Who keeps jobs moving. Rows hold the truth; a runner only sees to it that somebody drives them."""

import asyncio
import logging
import random
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from bot.clock import Clock
from bot.engine import retry
from bot.engine.engine import Engine
from bot.jobs import UNDER_WAY, Job
from bot.quota.allowances import Allowance
from bot.store import Store
from bot.store.db import StoreError
from bot.store.queue import Caps
from bot.store.rows import Unreadable
from bot.tasks import Tasks

log = logging.getLogger(__name__)

ROUND = 15.0
"""Seconds after which the queue is looked at even if nobody said that something has changed."""
RECONCILE = timedelta(minutes=1)
"""How often the rows are compared with what is done about them."""
IN_FLIGHT = 15.0
"""Seconds that calls in flight get to end when the bot stops."""


class Local:
    """One process: a task for each job under way, and one that promotes the queue."""

    def __init__(self, engine: Engine, store: Store, caps: Caps, allowance: Allowance, clock: Clock) -> None:
        self._engine = engine
        self._store = store
        self._caps = caps
        self._objection = store.accounts.objection(allowance)
        self._clock = clock
        self._tasks = Tasks()
        self._wake = asyncio.Event()
        self._driven: set[int] = set()
        """The jobs that a task of ours drives."""
        self._missed: set[int] = set()
        """Those of them that were promoted again before their drive knew that it had sent them back."""
        self._let_go: set[int] = set()
        """Ended jobs that need to be shown and nothing else."""
        self._reconciled_at: datetime | None = None
        self._jitter = random.Random()  # noqa: S311 - spreads retries, guards nothing

    async def start(self) -> None:
        """Take up every open job."""
        await self._reconcile()
        self._tasks.spawn(self._promote(), "promoter")

    def wake(self) -> None:
        """Something has changed that may let a queued job go."""
        self._wake.set()

    async def stop(self, patience: float = IN_FLIGHT) -> None:
        """Promote nothing more, let calls in flight end and be written down; the next start does the rest."""
        self._engine.stopping.set()
        self.wake()
        await self._tasks.close(patience=patience)

    async def _reconcile(self) -> None:
        """See that somebody drives every row under way, and that every end is shown.

        An answer of the database that did not arrive may have left rows that nobody here knows of.
        """
        for job_id in await self._store.jobs.under_way() - self._driven:
            with suppress(Unreadable):
                if (job := await self._store.jobs.get(job_id)) is not None:
                    log.info("job %d is taken up from its row", job_id)
                    self._take(job)
        self._missed &= self._driven
        await self._show_ends()
        self._tasks.spawn(self._engine.check_held_jobs(), "look back")
        self._engine.forget_queue()
        self._reconciled_at = self._clock.now()

    async def _show_ends(self) -> None:
        """Finish what has ended, once; while its end is not to be seen, show it again."""
        unshown = await self._store.jobs.unshown()
        self._let_go &= {job.id for job in unshown}
        for job in unshown:
            # Whoever has just ended it, such as a member who cancels, is showing that.
            if job.id in self._driven or self._is_fresh(job):
                continue
            end = self._engine.show if job.id in self._let_go else self._engine.finish
            self._let_go.add(job.id)
            self._tasks.spawn(end(job), f"end of job {job.id}")

    def _is_fresh(self, job: Job) -> bool:
        return self._reconciled_at is not None and abs(self._clock.now() - job.state_at) < RECONCILE

    def _take(self, job: Job) -> None:
        if job.id in self._driven:
            self._missed.add(job.id)
        elif job.state in UNDER_WAY:
            self._driven.add(job.id)
            self._tasks.spawn(self._drive(job), f"job {job.id}")

    def _take_or_end(self, job: Job) -> None:
        if job.state.is_open:
            self._take(job)
        else:
            self._tasks.spawn(self._engine.finish(job), f"end of job {job.id}")

    async def _drive(self, job: Job) -> None:
        """Drive one job; whatever goes wrong on our side, it is taken up again from its row."""
        current: Job | None = job
        failures = retry.DriveFailures(self._clock.now())
        try:
            while current and current.state in UNDER_WAY and not self._engine.stopping.is_set():
                failures.tried_at = self._clock.now()
                try:
                    current = await self._engine.drive(current)
                except Exception as error:
                    log.exception("the drive of job %d failed", job.id)
                    failures.add(self._clock.now(), is_database=isinstance(error, StoreError))
                    wait = retry.after_drive(failures.count, self._jitter.random())
                    await self._clock.wait(self._engine.stopping, wait)
                    current = await self._after_failure(current, failures)
        finally:
            self._driven.discard(job.id)
        self.wake()

    async def _after_failure(self, job: Job, failures: retry.DriveFailures) -> Job | None:
        """The job as its row has it, where it can be read; None if its time is up."""
        try:
            fresh = await self._store.jobs.get(job.id)
        except Exception:
            log.exception("job %d cannot be read", job.id)
            failures.since = None
            return job
        try:
            if fresh is not None and not fresh.state.is_open:
                await self._engine.finish(fresh)
            elif fresh is not None and failures.lasts and await self._engine.expire(fresh, failures.since):
                return None
        except Exception:
            log.exception("job %d could not be ended", job.id)
        return fresh

    async def _promote(self) -> None:
        is_sure = True
        """Whether every answer of the database has arrived lately."""
        while not self._engine.stopping.is_set():
            self._wake.clear()
            self._engine.uptime.awake_since(self._clock.now())
            try:
                if not is_sure or self._missed - self._driven or self._is_time_to_reconcile():
                    await self._reconcile()
                is_sure = True
                while not self._engine.stopping.is_set() and (
                    job := await self._store.jobs.promote(self._fit_caps(), self._objection)
                ):
                    self._take_or_end(job)
                wait = await self._attend_queue()
            except Exception:
                log.exception("the queue could not be looked at")
                wait, is_sure = retry.AFTER_DRIVE, False
            self._engine.uptime.expect(self._clock.now() + timedelta(seconds=wait))
            await self._clock.wait(self._wake, wait)

    def _is_time_to_reconcile(self) -> bool:
        last = self._reconciled_at
        return last is None or abs(self._clock.now() - last) >= RECONCILE

    def _fit_caps(self) -> Caps:
        """The caps, without the providers that are unavailable now."""
        fit = self._engine.available_providers()
        return replace(
            self._caps, providers={name: cap for name, cap in self._caps.providers.items() if name in fit}
        )

    async def _attend_queue(self) -> float:
        """See to everybody in the queue; seconds to the next round."""
        queue = await self._store.jobs.queue()
        await self._engine.review_queue(queue)
        now = self._clock.now()
        waits = ((job.not_before - now).total_seconds() for job in queue)
        return min((wait for wait in waits if 0 < wait < ROUND), default=ROUND)
