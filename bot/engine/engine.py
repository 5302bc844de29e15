"""The life of a job: look at the row, do the one thing its state asks for, write the next state.

A new job and one found after a crash take the same path; the row is all that either has.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from bot.engine.cadence import typical
from bot.engine.context import JobContext, Stopping, quietly
from bot.engine.deliver import deliver
from bot.engine.download import download
from bot.engine.poll import check_held_job, poll
from bot.engine.submit import move_elsewhere, outcome_unknown, submit
from bot.engine.uptime import GRACE
from bot.jobs import AT_THE_PROVIDER, KEPT, Failure, Job, JobState, TimeLimits, deadline
from bot.posting import Hold
from bot.store.db import StoreError
from bot.store.jobs import Changes, Moved

log = logging.getLogger(__name__)

UNKNOWN_SECONDS, LEAST_SECONDS = 120.0, 30.0
"""What a video is thought to take of which nothing is known, and how much of it is left at the least."""
AWAY = timedelta(minutes=30)
"""What a queued job whose time is up still gets after a pause or a start of the bot, to come to its turn."""
REFUSED_BY_THE_VENDOR = frozenset({Failure.PROVIDER_FAILED, Failure.REFUSED})
"""Verdicts of the vendor's own: there is no video."""


class Engine:
    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._store = context.store
        self._clock = context.clock
        self._catalogue = context.catalogue
        self.show = context.show
        self.open = context.post_card
        self.forget_queue = context.forget_queue
        self.uptime = context.uptime
        self.stops = context.stops_on_cancel
        self._held: dict[int, datetime] = {}
        """When queued jobs were last seen to wait for the end of a pause."""
        self._holding: set[int] = set()
        """Those that did at the last look."""

    def available_providers(self) -> frozenset[str]:
        """The providers that may be sent a job now."""
        now = self._clock.now()
        return frozenset(
            name for name in self._catalogue.providers if self._catalogue.health[name].is_available(now)
        )

    @property
    def stopping(self) -> asyncio.Event:
        """Set to make every drive end after the call it has in flight."""
        return self._context.stopping

    async def drive(self, job: Job) -> Job:
        """Live the job's life from its present state until it is over, queued again, or the bot stops."""
        try:
            while job.state.is_open and job.state is not JobState.QUEUED:
                await self.show(job)
                job = await self._step(job)
        except Moved:
            # Whoever was faster shows the end; should the job still be open, it is driven again from its row.
            return await self._store.jobs.get(job.id) or job
        except Stopping:
            return job
        if not job.state.is_open:
            await self.finish(job)
        return job

    async def expire(self, job: Job, since: datetime | None = None) -> bool:
        """End an open job whose time is up, and say whether it was.

        `since` then each drive of it has failed for a reason of ours.
        """
        deadline = self._deadline(job) if since is None else self._last_deadline(job)
        awake = max(self._context.awake_since(), self._held.get(job.id, self._context.awake_since()))
        began = awake + AWAY - GRACE if since is None else since
        if not self._context.is_time_up(deadline, began):
            return False
        # A video that is here already stays, and can be asked for.
        is_here = job.state is JobState.DELIVERING
        with suppress(Moved):
            failure = Failure.UNDELIVERABLE if is_here else Failure.TIMED_OUT
            await self.finish(await self._context.fail(job, failure))
        return True

    async def review_queue(self, queue: Sequence[Job]) -> None:
        """See to those who wait: end what has waited too long, find others who can do it, tell the rest.

        `queue` is in the order of promotion.
        """
        held = await self._hold(queue)
        free = [job for job in queue if job.id not in held]
        is_over = await asyncio.gather(*(self._leaves(job) for job in free))
        gone = {job.id for job, over in zip(free, is_over, strict=True) if over}
        await self._context.show_queue(
            [(job, place, held.get(job.id)) for place, job in enumerate(queue, start=1) if job.id not in gone]
        )

    async def _hold(self, queue: Sequence[Job]) -> Mapping[int, Hold]:
        """The jobs that wait for the end of a pause, or for the next hour's budget: no time runs then."""
        now, pauses = self._clock.now(), await self._store.pauses.get()
        servers = {job.guild_id for job in queue}
        paused = {server for server in servers if (await self._store.decisions.rules(server)).paused(now)}
        still = [job for job in queue if job.guild_id in paused or pauses.why(job.provider) is not None]
        held = dict.fromkeys((job.id for job in still), Hold.PAUSE)
        others = [job for job in queue if job.id not in held]
        held |= dict.fromkeys(await self._store.spending.waiting(others, now), Hold.BUDGET)
        # Whose pause has ended since the last look was held until now, for all we know.
        fresh = held.keys() | self._holding
        known = {job.id: now if job.id in fresh else self._held.get(job.id) for job in queue}
        self._held = {job_id: at for job_id, at in known.items() if at is not None}
        self._holding = set(held)
        return held

    async def _leaves(self, job: Job) -> bool:
        """Whether a job leaves the queue, or its place in it; trouble with one job is not everybody's."""
        try:
            return await self._is_sent_away(job)
        except Stopping:
            return True
        except Exception:
            log.exception("job %d could not be seen to in the queue", job.id)
            return False

    async def _is_sent_away(self, job: Job) -> bool:
        """End a queued job whose time is up, or take it from a provider that is unavailable or gone."""
        gone = job.provider not in self._catalogue.providers
        health = self._catalogue.health[job.provider]
        if await self.expire(job):
            return True
        if not gone and health.is_available(self._clock.now()):
            return False
        try:
            diverted = await move_elsewhere(
                self._context, job, Failure.NO_PROVIDER if gone else health.paused
            )
        except Moved:
            return True
        if not diverted.state.is_open:
            await self.finish(diverted)
        return diverted is not job

    async def cancel(self, job: Job, user_id: int) -> Job:
        """End a job because a person wants it to. Raises Moved if it has got on meanwhile, or StoreError.

        What its provider has started on costs the operator all the same: it stays in the budget, and takes a
        place of its member's until the provider is done with it.
        """
        at, changes = self._clock.now(), Changes(ended_by=user_id)
        if self._context.stops_on_cancel(job):
            changes["cost_micros"] = 0
        elif job.state in AT_THE_PROVIDER:
            changes["held_until"] = at + await self._left(job)
        try:
            cancelled = await self._store.jobs.move(job, JobState.CANCELLED, at=at, **changes)
        except StoreError:
            # Perhaps it is only the answer that did not arrive: made again, the move finds itself.
            cancelled = await self._store.jobs.move(job, JobState.CANCELLED, at=at, again=True, **changes)
        await self.finish(cancelled)
        return cancelled

    async def _left(self, job: Job) -> timedelta:
        """How long its provider usually goes on with a job that it cannot be told to stop."""
        spec = self._catalogue.spec(job.provider, job.request.model)
        times = await self._store.jobs.durations(job.provider, job.request.model)
        usual = typical(times, spec.typical_seconds if spec else None) or UNKNOWN_SECONDS
        spent = (self._clock.now() - (job.submitted_at or job.state_at)).total_seconds()
        return timedelta(seconds=max(LEAST_SECONDS, usual - spent))

    async def check_held_jobs(self) -> None:
        """Ask providers once more for jobs that are over here, when they must be done with them by now."""
        for job in await self._store.jobs.held():
            await check_held_job(self._context, job, self._deadline(replace(job, state=JobState.RUNNING)))

    async def _step(self, job: Job) -> Job:
        context, deadline = self._context, self._deadline(job)
        match job.state:
            case JobState.DELIVERING:
                return await deliver(context, job, deadline)
            case _ if job.provider not in self._catalogue.providers:
                return await context.fail(job, Failure.NO_PROVIDER)
            case JobState.SUBMITTING if job.asked_at is not None:
                # Whoever asked did not live to write down the answer.
                return await outcome_unknown(context, job, "found without an answer")
            case JobState.SUBMITTING:
                return await submit(context, job)
            case JobState.RUNNING:
                return await poll(context, job, deadline)
            case _:
                return await download(context, job, deadline)

    def _is_safe(self, job: Job) -> bool:
        """Whether the vendor may forget the video: it is kept here, nobody wants it, or there is none."""
        if job.state is not JobState.FAILED or job.failure in REFUSED_BY_THE_VENDOR:
            return True
        return job.failure in KEPT and self._context.files.video(job.id).exists()

    def _deadline(self, job: Job) -> datetime:
        limits = TimeLimits()
        if spec := self._catalogue.spec(job.provider, job.request.model):
            limits = replace(limits, running=timedelta(seconds=spec.deadline_seconds))
        return deadline(job, limits)

    def _last_deadline(self, job: Job) -> datetime:
        """When even a job ends that fails for reasons of ours: what is paid for is tried while it is kept."""
        if job.state in {JobState.RUNNING, JobState.DOWNLOADING}:
            return max(self._deadline(job), self._context.kept_until(job))
        return self._deadline(job)

    async def finish(self, job: Job) -> None:
        """Show the end, and let go of what the job has left at the vendor and on disk. May be repeated."""
        await self.show(job)
        provider = self._catalogue.providers.get(job.provider)
        if provider is not None and job.operation is not None:
            # What its provider goes on with is looked at once more.
            is_safe = self._is_safe(job) and job.held_until is None
            if job.state is JobState.CANCELLED or not (is_safe or job.ready_at):
                # We wait no longer; where it can be stopped, it need not be made either.
                await quietly(provider.cancel(job.operation))
            if is_safe:
                await quietly(provider.cleanup(job.operation))
        files = self._context.files
        delivered = job.state is JobState.DELIVERED and bool(files.kept_for)
        await files.clear(job.id, keep_video=delivered or job.failure in KEPT)
