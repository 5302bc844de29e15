"""`running`: look until there is a verdict. A look that finds nothing new writes nothing."""

import logging
from collections import deque
from datetime import datetime, timedelta
from http import HTTPStatus

from bot.cadence import Pace, backoff, next_look
from bot.jobs import Failure, Job, JobState
from bot.stages.floor import Floor
from providers import AnyProvider
from providers.base import Failed, Pending, Succeeded
from providers.errors import NotFound, Overloaded, ProviderError, Uncertain

log = logging.getLogger(__name__)

JUST_SUBMITTED = timedelta(seconds=60)
"""Some vendors do not know an operation for a while after they have accepted it."""
UNKNOWN_LOOKS = 3
"""How often in a row a vendor must say that it does not know an operation before that is believed."""


class _Lost(Exception):
    """The vendor does not bring the video any more; that is our own verdict."""


async def watch(floor: Floor, job: Job, give_up_at: datetime) -> Job:
    """Look until there is a verdict or the time is up."""
    provider = floor.catalogue.providers[job.provider]
    floor.watched[provider.name] += 1
    try:
        verdict = await _verdict(floor, job, provider, give_up_at)
    except _Lost as lost:
        return await floor.fail(job, Failure.LOST, str(lost))
    finally:
        floor.watched[provider.name] -= 1
    match verdict:
        case Succeeded():
            # What was reserved of the server's budget becomes what was spent.
            cost = job.cost_micros if verdict.cost_micros is None else verdict.cost_micros
            return await floor.store.jobs.move(
                job, JobState.DOWNLOADING, video=verdict, ready_at=floor.clock.now(), cost_micros=cost
            )
        case Failed():
            failure = Failure.REFUSED if verdict.refused else Failure.PROVIDER_FAILED
            return await floor.fail(job, failure, verdict.detail, verdict.advice)
        case None:
            return await floor.fail(job, Failure.TIMED_OUT)


async def _verdict(
    floor: Floor, job: Job, provider: AnyProvider, give_up_at: datetime
) -> Succeeded | Failed | None:
    times = await floor.store.jobs.durations(job.provider, job.request.model)
    submitted_at = job.submitted_at or job.state_at
    pending = Pending()
    outages: deque[ProviderError] = deque(maxlen=8)
    broken_since: datetime | None = None
    wait = _until_next_look(floor, provider, submitted_at, times, pending)
    while True:
        await floor.pause(wait)
        await floor.still(job)
        try:
            answer = await provider.poll(job.operation or {})
        except ProviderError as error:
            log.info("job %d could not be looked at: %s", job.id, error.detail)
            floor.heard(provider.name, error, job.id)
            outages.append(error)
            now = floor.clock.now()
            if error.status is not None or not isinstance(error, Overloaded):
                broken_since = (broken_since or now) if _is_broken(error) else None
            if _is_unknown(outages) and now > submitted_at + JUST_SUBMITTED:
                raise _Lost(error.detail) from error
            if _is_hopeless(provider, broken_since, now):
                raise _Lost(error.detail) from error
            asked_wait = error.retry_after if isinstance(error, Overloaded) else None
            wait = backoff(len(outages), asked_wait, floor.chance())
        else:
            floor.catalogue.ward[provider.name].seen()
            outages.clear()
            broken_since = None
            if not isinstance(answer, Pending):
                return answer
            if answer != pending:
                await floor.show(job, progress=answer.progress, remaining=answer.remaining_seconds)
            pending = answer
            wait = _until_next_look(floor, provider, submitted_at, times, pending)
        left = (give_up_at - floor.clock.now()).total_seconds()
        if left <= 0:
            return None
        wait = min(wait, left)


def _until_next_look(
    floor: Floor, provider: AnyProvider, submitted_at: datetime, times: list[float], pending: Pending
) -> float:
    elapsed = (floor.clock.now() - submitted_at).total_seconds()
    pace = Pace(provider.shortest_wait, provider.looks_per_minute, floor.watched[provider.name])
    return next_look(elapsed, times, pending.remaining_seconds, pace)


def _is_unknown(outages: deque[ProviderError]) -> bool:
    """Whether the vendor keeps saying that it does not know the operation."""
    latest = list(outages)[-UNKNOWN_LOOKS:]
    return len(latest) == UNKNOWN_LOOKS and all(isinstance(error, NotFound) for error in latest)


def _is_broken(error: ProviderError) -> bool:
    return isinstance(error, Uncertain) and error.status == HTTPStatus.INTERNAL_SERVER_ERROR


def _is_hopeless(provider: AnyProvider, broken_since: datetime | None, now: datetime) -> bool:
    """Whether the vendor has answered with nothing but errors for so long that it means a failed video."""
    if broken_since is None or provider.hopeless_after is None:
        return False
    return (now - broken_since).total_seconds() >= provider.hopeless_after
