"""`running`: look until there is a verdict. A look that finds nothing new writes nothing."""

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from http import HTTPStatus

from bot.engine import retry
from bot.engine.cadence import Pace, next_look
from bot.engine.context import JobContext
from bot.jobs import Failure, Job, JobState, billed
from providers import AnyProvider
from providers.base import Failed, Pending, Succeeded
from providers.errors import NotFound, Overloaded, ProviderError, Uncertain

log = logging.getLogger(__name__)

POLL_AGAIN = timedelta(minutes=1)
"""Between two looks at a job that is over here and not yet at its provider."""


class _Lost(Exception):
    """The vendor does not bring the video any more; that is our own verdict."""


async def poll(context: JobContext, job: Job, give_up_at: datetime) -> Job:
    """Look until there is a verdict, or until the vendor keeps the video no longer."""
    provider = context.catalogue.providers[job.provider]
    context.polled[provider.name] += 1
    try:
        verdict = await _Poll(context, job, provider, give_up_at).verdict()
    except _Lost as lost:
        return await context.fail(job, Failure.LOST, str(lost))
    finally:
        context.polled[provider.name] -= 1
    match verdict:
        case Succeeded():
            # What was reserved of the server's budget becomes what was spent.
            cost = job.cost_micros if verdict.cost_micros is None else verdict.cost_micros
            return await context.store.jobs.move(
                job,
                JobState.DOWNLOADING,
                video=verdict,
                ready_at=context.clock.now(),
                overdue_at=None,
                cost_micros=cost,
            )
        case Failed():
            failure = Failure.REFUSED if verdict.refused else Failure.PROVIDER_FAILED
            return await context.fail(job, failure, verdict.detail, verdict.advice)
        case None:
            return await context.fail(job, Failure.TIMED_OUT)


class _Poll:
    """The looks at one operation."""

    def __init__(self, context: JobContext, job: Job, provider: AnyProvider, give_up_at: datetime) -> None:
        self._context = context
        self._job = job
        self._provider = provider
        self._give_up_at = give_up_at
        """When a vendor that answers has had its time."""
        self._kept_until = give_up_at + timedelta(seconds=provider.terms.keeps_for)
        """When a vendor that does not answer keeps the video no longer, should it have finished in time."""
        self._began = context.clock.now()
        self._submitted_at = job.submitted_at or job.state_at
        self._failures: list[ProviderError] = []
        """In a row."""
        self._broken_since: datetime | None = None
        self._answers_since: datetime | None = None
        """The first answer since it could not be reached, or since we could not ask."""
        self._pending = Pending()

    async def verdict(self) -> Succeeded | Failed | None:
        """The vendor's verdict; None if its time is up. Raises _Lost, Moved, Stopping or StoreError."""
        context, job = self._context, self._job
        times = await context.store.jobs.durations(job.provider, job.request.model)
        wait = self._until_next_look(times)
        while True:
            await context.pause(wait)
            await context.check_unmoved(job)
            try:
                answer = await self._provider.poll(job.operation or {})
            except ProviderError as error:
                wait = await self._failed(error)
            else:
                if not isinstance(answer, Pending):
                    return answer
                if await self._is_up(answer):
                    return None
                wait = self._until_next_look(times)
            left = (self._give_up_at - context.clock.now()).total_seconds()
            wait = min(wait, left) if left > 0 else wait

    async def _is_up(self, answer: Pending) -> bool:
        """Take note of an answer; whether the vendor has had its time and has been answering for a while."""
        context, now = self._context, self._context.clock.now()
        context.catalogue.health[self._provider.name].record_answer()
        self._failures.clear()
        self._broken_since = None
        self._answers_since = max(self._answers_since or now, context.awake_since())
        if answer != self._pending:
            await context.show(self._job, progress=answer.progress, remaining=answer.remaining_seconds)
        self._pending = answer
        return context.is_time_up(self._give_up_at, self._answers_since)

    async def _failed(self, error: ProviderError) -> float:
        """Take note of a look that failed; seconds to the next one. Raises _Lost."""
        context, job = self._context, self._job
        log.info("job %d could not be looked at: %s", job.id, error.detail)
        context.record_answer(self._provider.name, error, job.id)
        self._answers_since = None
        self._failures.append(error)
        now = context.clock.now()
        if error.status is not None or not isinstance(error, Overloaded):
            self._broken_since = (self._broken_since or now) if _is_broken(error) else None
        is_over = (
            retry.is_forgotten(self._failures, self._submitted_at, now)
            or retry.is_hopeless(
                self._broken_since, self._provider.terms.hopeless_after, context.awake_since(), now
            )
            or context.is_time_up(self._kept_until, self._began)
        )
        if is_over:
            raise _Lost(error.detail) from error
        if now >= self._give_up_at:
            self._job = await context.mark_overdue(job)
        is_overdue = self._job.overdue_at is not None
        return retry.after_call(error, len(self._failures), context.jitter(), is_overdue=is_overdue)

    def _until_next_look(self, times: list[float]) -> float:
        provider, context = self._provider, self._context
        elapsed = (context.clock.now() - self._submitted_at).total_seconds()
        terms = provider.terms
        pace = Pace(terms.poll_interval, terms.polls_per_minute, context.polled[provider.name])
        return next_look(elapsed, times, self._pending.remaining_seconds, pace)


def _is_broken(error: ProviderError) -> bool:
    return isinstance(error, Uncertain) and error.status == HTTPStatus.INTERNAL_SERVER_ERROR


async def check_held_job(context: JobContext, job: Job, give_up_at: datetime) -> None:
    """Look once at a job that is over here. Without a verdict by `give_up_at` it counts as made.

    Raises StoreError.
    """
    provider, now = context.catalogue.providers.get(job.provider), context.clock.now()
    cost, until = job.cost_micros, None
    if provider is not None and job.operation is not None:
        try:
            answer = await provider.poll(job.operation)
        except NotFound:
            pass
        except ProviderError as error:
            log.info("job %d is over, and could not be looked at: %s", job.id, error.detail)
            until = now + POLL_AGAIN
        else:
            cost, until = _settled(job, answer, now)
    if until is not None and until < give_up_at:
        await context.store.jobs.hold(job, until, cost)
        return
    log.info("job %d is over at %s, too, and has cost %d", job.id, job.provider, cost)
    await context.store.jobs.hold(job, None, cost)
    if provider is not None and job.operation is not None:
        with suppress(ProviderError):
            await provider.cleanup(job.operation)


def _settled(job: Job, answer: Pending | Succeeded | Failed, now: datetime) -> tuple[int, datetime | None]:
    """What the job costs by the provider's answer, and when to look again."""
    match answer:
        case Pending():
            return job.cost_micros, now + POLL_AGAIN
        case Succeeded():
            return job.cost_micros if answer.cost_micros is None else answer.cost_micros, None
        case Failed():
            failure = Failure.REFUSED if answer.refused else Failure.PROVIDER_FAILED
            return job.cost_micros if billed(job, failure, answer.advice.refunded) else 0, None
