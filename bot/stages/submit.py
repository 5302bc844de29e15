"""`submitting`: buy the video, once."""

import asyncio
import logging
from datetime import timedelta
from http import HTTPStatus

from bot.jobs import Failure, Job, JobState
from bot.pricing import is_unknown
from bot.rules import ServerRules
from bot.stages.floor import Floor, Stopping
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
from providers.specs import Mode, ModelSpec, VideoRequest

log = logging.getLogger(__name__)

SUBMIT_TIMEOUT = 600.0
"""Seconds; providers have shorter ones of their own."""
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
"""What a refused submit means for the job."""


async def submit(floor: Floor, job: Job) -> Job:
    """Ask the vendor to start: once, unless it is certain that nothing was accepted."""
    if floor.letterbox.may_post(job) is False:
        return await floor.fail(job, Failure.MAY_NOT_POST)
    try:
        asked = await floor.files.complete(job.id, job.request)
    except OSError as error:
        return await _requeue(floor, job, Unreachable(f"its files cannot be read now: {error}"))
    if asked is None:
        return await floor.fail(job, Failure.IMAGE_LOST)
    spec = floor.catalogue.spec(job.provider, asked.model)
    return await (_buy(floor, job, asked, spec) if spec else _without_model(floor, job, asked))


async def _buy(floor: Floor, job: Job, asked: VideoRequest, spec: ModelSpec) -> Job:
    """Wait for a turn, take the right to ask, and send the request."""
    provider = floor.catalogue.providers[job.provider]
    try:
        async with provider.turn():
            # From here on the vendor may have been asked, whatever happens to this process.
            job = await floor.ask(job)
            async with asyncio.timeout(SUBMIT_TIMEOUT):
                operation = await provider.submit(spec.complete(asked))
    except Stopping:
        return await floor.store.jobs.move(job, JobState.QUEUED, asked_at=None)
    except (Rejected, Unreachable) as error:
        # Nothing was accepted. That is written down first: whatever goes wrong then, nothing is in doubt.
        job = await floor.settle(job, JobState.SUBMITTING, asked_at=None)
        floor.heard(job.provider, error, job.id if error.status is not None else None)
        if isinstance(error, OutOfFunds):
            floor.unpaid(job)
        return await _refused(floor, job, asked, error)
    except ProviderError as error:
        floor.heard(job.provider, error)
        return await in_doubt(floor, job, error.detail)
    except TimeoutError:
        return await in_doubt(floor, job, "no answer in time")
    floor.heard(job.provider, None)
    floor.catalogue.ward[job.provider].funds.take(job.cost_micros)
    return await _record(floor, job, operation)


async def in_doubt(floor: Floor, job: Job, why: str) -> Job:
    """Nobody can tell whether the vendor has accepted it: it is sent again only where that costs nothing."""
    if floor.catalogue.providers[job.provider].is_free:
        return await _requeue(floor, job, Unreachable(why))
    return await floor.fail(job, Failure.OUTCOME_UNKNOWN, why)


async def _without_model(floor: Floor, job: Job, asked: VideoRequest) -> Job:
    """The model is not in the provider's list: it is gone, unless there is no list."""
    if not floor.catalogue.knows(job.provider):
        # Without the model's defaults this would be another request than the one that was shown.
        return await _requeue(floor, job, Overloaded("its catalogue is not known now"))
    fallen = await _fall_over(floor, job, asked, "the model is gone")
    return fallen or await floor.fail(job, Failure.MODEL_GONE, "the model is not in the list any more")


async def _refused(floor: Floor, job: Job, asked: VideoRequest, error: Rejected | Unreachable) -> Job:
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
    failure = next(failure for kind, failure in _FAILURES if isinstance(error, kind))
    advice = error.advice if isinstance(error, InvalidRequest) else NO_ADVICE
    return await floor.fail(job, failure, error.detail, advice)


async def divert(floor: Floor, job: Job, reason: Failure | None) -> Job:
    """Take a queued job away from a provider that is paused for a reason, to another or to its end.

    Without a reason the provider only rests: who can go to another does, who cannot waits.
    """
    spec = floor.catalogue.spec(job.provider, job.request.model)
    offers = _offers(floor, job, spec.mode if spec else None)
    # Files are read last, a few at a time, and not again for those who have declined already.
    if not offers.keys() <= floor.declined.get(job.id, frozenset()):
        async with floor.diverting:
            asked = await floor.files.complete(job.id, job.request)
            why = f"it is left alone ({reason or 'outages'})"
            if asked is not None and (fallen := await _fall_over(floor, job, asked, why)) is not None:
                return fallen
        floor.declined[job.id] = frozenset(offers)
    return await floor.fail(job, reason, f"{job.provider} cannot take it: {reason}") if reason else job


def _offers(
    floor: Floor, job: Job, mode: Mode | None, first: str | None = None
) -> dict[tuple[str, str], ModelSpec]:
    """What other providers, fit now, could be asked to do instead, by provider and model, the best first.

    Only where the member named none, and only once.
    """
    if not job.may_fall_over or job.fell_from is not None:
        return {}
    now = floor.clock.now()
    return {
        (name, spec.id): spec
        for wanted in ([mode] if mode else Mode)
        for name, spec in floor.catalogue.candidates(wanted, None, None, first)
        if name != job.provider and floor.catalogue.ward[name].fit(now)
    }


async def _fall_over(floor: Floor, job: Job, asked: VideoRequest, why: str) -> Job | None:
    """Hand the job to another provider that takes exactly what was asked for no more; None without."""
    mode = Mode.TEXT_TO_VIDEO if asked.image is None else Mode.IMAGE_TO_VIDEO
    if not _offers(floor, job, mode):
        return None
    rules = await floor.store.acts.rules(job.guild_id)
    if rules.fall_over is False:  # decided since the job was booked
        return None
    for (name, _), spec in _offers(floor, job, mode, rules.default_provider).items():
        if not floor.catalogue.can(name, spec, asked) or rules.price(name, spec, asked) > job.price:
            continue
        quoted = await floor.catalogue.quote(name, spec, asked)
        if _is_dearer(floor, job, rules, name, quoted):
            continue
        log.warning("job %d falls over from %s to %s: %s", job.id, job.provider, name, why)
        return await floor.settle(
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


def _is_dearer(floor: Floor, job: Job, rules: ServerRules, provider: str, quoted: int | None) -> bool:
    """Whether another provider may cost more than was reserved, where that counts."""
    if is_unknown(floor.catalogue.providers[provider], quoted, rules, floor.limits):
        return True
    counts = rules.budget is not None or floor.limits.needs_prices
    return counts and (quoted or 0) > job.cost_micros


async def _requeue(floor: Floor, job: Job, error: Overloaded | Unreachable) -> Job:
    """Nothing was accepted: the job goes back to the queue and is tried again, later each time."""
    # Negative where the clock was put back since.
    age = max(0.0, (floor.clock.now() - job.created_at).total_seconds())
    asked_wait = error.retry_after if isinstance(error, Overloaded) else None
    wait = min(LONGEST_WAIT, max(asked_wait or 0.0, min(120.0, 5.0 + age / 4)))
    log.info("job %d goes back to the queue for %.0f s: %s", job.id, wait, error.detail)
    not_before = floor.clock.now() + timedelta(seconds=wait)
    return await floor.settle(job, JobState.QUEUED, asked_at=None, not_before=not_before)


async def _record(floor: Floor, job: Job, operation: Operation) -> Job:
    """Write down what was bought, however long the database takes: a lost operation is a lost payment."""
    submitted_at = floor.clock.now()
    # A link is a key to the video, and no log is as well kept as the database.
    shown = {name: value for name, value in operation.items() if "://" not in str(value)}
    try:
        return await floor.settle(job, JobState.RUNNING, operation=operation, submitted_at=submitted_at)
    except Moved:
        log.warning("job %d was ended while %s accepted it as %s", job.id, job.provider, shown)
        await floor.abandon(job.provider, operation)
        raise
