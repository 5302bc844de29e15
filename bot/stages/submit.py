"""`submitting`: buy the video, once."""

import asyncio
import logging
from datetime import datetime, timedelta
from http import HTTPStatus

from bot.cadence import backoff
from bot.jobs import Failure, Job, JobState
from bot.stages.floor import Floor, Stopping
from bot.store.db import StoreError
from bot.store.jobs import Moved
from providers.base import Operation
from providers.errors import (
    NO_ADVICE,
    Forbidden,
    InvalidRequest,
    NeedsConsent,
    NotFound,
    OutOfFunds,
    Overloaded,
    ProviderError,
    Refused,
    Rejected,
    Unauthorized,
    Unreachable,
)
from providers.specs import Mode, VideoRequest

log = logging.getLogger(__name__)

LONGEST_WAIT = 7200.0
"""Seconds; whatever a vendor asks for, a job does not stay in the queue for longer."""

_FAILURES: tuple[tuple[type[ProviderError], Failure], ...] = (
    (Unauthorized, Failure.UNAUTHORIZED),
    (Forbidden, Failure.FORBIDDEN),
    (NotFound, Failure.MODEL_GONE),
    (OutOfFunds, Failure.OUT_OF_FUNDS),
    (Refused, Failure.REFUSED),
    (NeedsConsent, Failure.NEEDS_CONSENT),
    (Rejected, Failure.REJECTED),
)
"""What a refused submit means for the job; whatever is no refusal leaves the outcome unknown."""


async def submit(floor: Floor, job: Job, give_up_at: datetime) -> Job:
    """Ask the vendor to start. Nobody else does, and nobody ever does again unless nothing was accepted."""
    asked = await floor.files.complete(job.id, job.request)
    if asked is None:
        return await floor.fail(job, Failure.IMAGE_LOST)
    spec = floor.catalogue.spec(job.provider, asked.model)
    if spec is None:
        return await _without_model(floor, job, asked)
    try:
        operation = await floor.within(give_up_at, _buy(floor, job, spec.complete(asked)))
    except Stopping:
        return await floor.store.jobs.move(job, JobState.QUEUED)
    except ProviderError as error:
        floor.heard(job.provider, error)
        return await _refused(floor, job, asked, error)
    except TimeoutError:
        return await floor.fail(job, Failure.OUTCOME_UNKNOWN, "no answer in time")
    floor.heard(job.provider, None)
    return await _record(floor, job, operation)


async def _buy(floor: Floor, job: Job, request: VideoRequest) -> Operation:
    """Wait for a turn, look whether the video is still wanted, and send the order."""
    provider = floor.catalogue.providers[job.provider]
    async with provider.turn():
        if floor.stopping.is_set():
            raise Stopping
        await floor.still(job)
        return await provider.submit(request)


async def _without_model(floor: Floor, job: Job, asked: VideoRequest) -> Job:
    """The model is not in the provider's list: it is gone, unless there is no list."""
    if not floor.catalogue.knows(job.provider):
        # Without the model's defaults this would be another request than the one that was shown.
        return await _requeue(floor, job, Overloaded("its catalogue is not known now"))
    fallen = await _fall_over(floor, job, asked, "the model is gone")
    return fallen or await floor.fail(job, Failure.MODEL_GONE, "the model is not in the list any more")


async def _refused(floor: Floor, job: Job, asked: VideoRequest, error: ProviderError) -> Job:
    """Where nothing was accepted, another provider may do the same, or this one later; else it is over."""
    if isinstance(error, InvalidRequest | NotFound | Forbidden) and not isinstance(error, Refused):
        floor.catalogue.doubt(job.provider)
    # Our own limits and a full house ask for patience, and for nobody else.
    is_full = isinstance(error, Overloaded) and error.status in {None, HTTPStatus.CONFLICT}
    if isinstance(error, Unauthorized | Forbidden | OutOfFunds | Overloaded | Unreachable) and not is_full:
        fallen = await _fall_over(floor, job, asked, error.detail)
        if fallen is not None:
            return fallen
    if isinstance(error, Overloaded | Unreachable):
        return await _requeue(floor, job, error)
    failure = next((failure for kind, failure in _FAILURES if isinstance(error, kind)), None)
    advice = error.advice if isinstance(error, InvalidRequest) else NO_ADVICE
    return await floor.fail(job, failure or Failure.OUTCOME_UNKNOWN, error.detail, advice)


async def divert(floor: Floor, job: Job, reason: Failure | None) -> Job:
    """Take a queued job away from a provider that is paused for a reason, to another or to its end.

    Without a reason the provider only rests: who can go to another does, who cannot waits.
    """
    asked = await floor.files.complete(job.id, job.request) if reason or job.may_fall_over else None
    if asked is not None:
        fallen = await _fall_over(floor, job, asked, f"it is left alone ({reason or 'outages'})")
        if fallen is not None:
            return fallen
    return await floor.fail(job, reason, f"{job.provider} cannot take it: {reason}") if reason else job


async def _fall_over(floor: Floor, job: Job, asked: VideoRequest, why: str) -> Job | None:
    """Hand the job to another provider, fit now, that takes exactly what was asked for no more; None without.

    Only where the member named none, and only once.
    """
    if not job.may_fall_over or job.fell_from is not None:
        return None
    mode = Mode.TEXT_TO_VIDEO if asked.image is None else Mode.IMAGE_TO_VIDEO
    now = floor.clock.now()
    rules = await floor.store.acts.rules(job.guild_id)
    if rules.fall_over is False:  # decided since the job was booked
        return None
    for name, spec in floor.catalogue.candidates(mode, None, None, rules.default_provider):
        fit = name != job.provider and floor.catalogue.ward[name].fit(now)
        if (
            not fit
            or not floor.catalogue.can(name, spec, asked)
            or rules.price(name, spec, asked) > job.price
        ):
            continue
        quoted = await floor.catalogue.quote(name, spec, asked)
        is_unknown = quoted is None and floor.catalogue.providers[name].quotes
        if rules.budget is not None and (is_unknown or (quoted or 0) > job.cost_micros):
            continue
        log.warning("job %d falls over from %s to %s: %s", job.id, job.provider, name, why)
        return await floor.store.jobs.move(
            job,
            JobState.QUEUED,
            provider=name,
            model=spec.id,
            request=job.request.model_copy(update={"model": spec.id}),
            fell_from=job.provider,
            not_before=floor.clock.now(),  # whatever the first one has asked for
            quoted_micros=quoted,
            cost_micros=quoted or 0,
        )
    return None


async def _requeue(floor: Floor, job: Job, error: Overloaded | Unreachable) -> Job:
    """Nothing was accepted: the job goes back to the queue and is tried again, later each time."""
    age = (floor.clock.now() - job.created_at).total_seconds()
    asked_wait = error.retry_after if isinstance(error, Overloaded) else None
    wait = min(LONGEST_WAIT, max(asked_wait or 0.0, min(120.0, 5.0 + age / 4)))
    log.info("job %d goes back to the queue for %.0f s: %s", job.id, wait, error.detail)
    not_before = floor.clock.now() + timedelta(seconds=wait)
    return await floor.store.jobs.move(job, JobState.QUEUED, not_before=not_before)


async def _record(floor: Floor, job: Job, operation: Operation) -> Job:
    """Write down what was bought, however long the database takes: a lost operation is a lost payment."""
    submitted_at = floor.clock.now()
    # A link is a key to the video, and no log is as well kept as the database.
    shown = {name: value for name, value in operation.items() if "://" not in str(value)}
    failures = 0
    while True:
        try:
            return await floor.store.jobs.move(
                job, JobState.RUNNING, operation=operation, submitted_at=submitted_at
            )
        except StoreError:
            log.exception("job %d was accepted as %s, which cannot be stored yet", job.id, shown)
            failures += 1
            await floor.clock.wait(asyncio.Event(), backoff(failures, None, floor.chance()))
        except Moved:
            log.warning("job %d was ended while %s accepted it as %s", job.id, job.provider, shown)
            await floor.abandon(job.provider, operation)
            raise
