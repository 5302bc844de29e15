"""The life of a job: look at the row, do the one thing its state asks for, write the next state.

A new job and one found after a crash take the same path; the row is all that either has.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from bot.jobs import KEPT, Failure, Job, JobState, TimeLimits, deadline
from bot.stages.deliver import deliver
from bot.stages.fetch import fetch
from bot.stages.floor import Floor, Stopping
from bot.stages.submit import divert, submit
from bot.stages.watch import watch
from bot.store.jobs import Changes, Moved
from providers.errors import ProviderError

log = logging.getLogger(__name__)

GRACE = timedelta(minutes=2)
"""Even past its deadline, a job found after a long pause gets this long: its video may be waiting."""
REFUSED_BY_THE_VENDOR = frozenset({Failure.PROVIDER_FAILED, Failure.REFUSED})
"""Verdicts of the vendor's own: there is no video."""


class Engine:
    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._store = floor.store
        self._clock = floor.clock
        self._catalogue = floor.catalogue
        self.show = floor.show
        self.open = floor.open

    def fit_providers(self) -> frozenset[str]:
        """The providers that may be sent a job now."""
        now = self._clock.now()
        return frozenset(name for name in self._catalogue.providers if self._catalogue.ward[name].fit(now))

    @property
    def stopping(self) -> asyncio.Event:
        """Set to make every drive end after the call it has in flight."""
        return self._floor.stopping

    async def drive(self, job: Job, *, promoted: bool = False) -> Job:
        """Live the job's life from its present state until it is over, queued again, or the bot stops.

        `promoted` says that this very run moved it to `submitting`: only then is the vendor asked to start.
        """
        started = self._clock.now()
        try:
            while job.state.is_open and job.state is not JobState.QUEUED:
                await self.show(job)
                job = await self._step(job, started, promoted=promoted)
                promoted = False
        except Moved:
            # Whoever was faster shows the end; should the job still be open, it is driven again from its row.
            return await self._store.jobs.get(job.id) or job
        except Stopping:
            return job
        if not job.state.is_open:
            await self._finish(job)
        return job

    async def expire(self, job: Job, since: datetime | None = None) -> bool:
        """End an open job whose time is up, and say whether it was; `since` then it has been driven."""
        if self._clock.now() < (self._deadline(job) if since is None else self._give_up_at(job, since)):
            return False
        # A video that is here already stays, and can be asked for.
        is_here = job.state is JobState.DELIVERING
        with suppress(Moved):
            failure = Failure.UNDELIVERABLE if is_here else Failure.TIMED_OUT
            await self._finish(await self._floor.fail(job, failure))
        return True

    async def divert(self, job: Job) -> bool:
        """Take a queued job away from a provider that is left alone or gone, and say whether it was."""
        gone = job.provider not in self._catalogue.providers
        fitness = self._catalogue.ward[job.provider]
        if not gone and fitness.fit(self._clock.now()):
            return False
        try:
            diverted = await divert(self._floor, job, Failure.NO_PROVIDER if gone else fitness.paused)
        except Moved:
            return True
        if not diverted.state.is_open:
            await self._finish(diverted)
        return diverted is not job

    async def cancel(self, job: Job, user_id: int) -> Job:
        """End a job because a person wants it to. Raises Moved if it has got on meanwhile."""
        changes = Changes(ended_by=user_id)
        if job.state is JobState.SUBMITTING:
            # Perhaps it is being accepted just now; then it takes a place at the provider.
            changes["submitted_at"] = self._clock.now()
        cancelled = await self._store.jobs.move(job, JobState.CANCELLED, **changes)
        if cancelled.operation is not None:
            await self._floor.abandon(cancelled.provider, cancelled.operation)
        await self._finish(cancelled)
        return cancelled

    async def _step(self, job: Job, started: datetime, *, promoted: bool) -> Job:
        give_up_at = self._give_up_at(job, started)
        match job.state:
            case JobState.SUBMITTING if not promoted:
                # Whoever made this move died before it could write down what came of it.
                return await self._floor.fail(job, Failure.OUTCOME_UNKNOWN)
            case JobState.DELIVERING:
                return await deliver(self._floor, job, give_up_at)
            case _ if job.provider not in self._catalogue.providers:
                return await self._floor.fail(job, Failure.NO_PROVIDER)
            case JobState.SUBMITTING:
                return await submit(self._floor, job, give_up_at)
            case JobState.RUNNING:
                return await watch(self._floor, job, give_up_at)
            case _:
                return await fetch(self._floor, job, give_up_at)

    def _is_safe(self, job: Job) -> bool:
        """Whether the vendor may forget the video: it is kept here, nobody wants it, or there is none."""
        if job.state is not JobState.FAILED or job.failure in REFUSED_BY_THE_VENDOR:
            return True
        return job.failure in KEPT and self._floor.files.video(job.id).exists()

    def _give_up_at(self, job: Job, started: datetime) -> datetime:
        return max(self._deadline(job), started + GRACE)

    def _deadline(self, job: Job) -> datetime:
        limits = TimeLimits()
        if spec := self._catalogue.spec(job.provider, job.request.model):
            limits = replace(limits, running=timedelta(seconds=spec.deadline_seconds))
        return deadline(job, limits)

    async def _finish(self, job: Job) -> None:
        """Show the end, and let go of what the job has left at the vendor and on disk."""
        await self.show(job)
        provider = self._catalogue.providers.get(job.provider)
        if provider is not None and job.operation is not None:
            if self._is_safe(job):
                with suppress(ProviderError, TimeoutError):
                    await provider.cleanup(job.operation)
            elif job.ready_at is None:
                # We wait no longer; where it can be stopped, it need not be made either.
                await self._floor.abandon(job.provider, job.operation)
        files = self._floor.files
        delivered = job.state is JobState.DELIVERED and bool(files.kept_for)
        await files.clear(job.id, keep_video=delivered or job.failure in KEPT)
