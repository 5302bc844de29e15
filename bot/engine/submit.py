"""`submitting`: buy the video, once."""

import asyncio
import logging
from datetime import timedelta
from http import HTTPStatus

from bot.engine import retry
from bot.engine.context import JobContext, Stopping
from bot.jobs import Failure, Job, JobState
from bot.pricing import is_unknown
from bot.quota.rules import ServerRules
from bot.store.jobs import Moved
from providers.base import Operation
from providers.errors import (
    NO_ADVICE,
    ContentRefused,
    Forbidden,
    InvalidRequest,
    NeedsConsent,
    NotFound,
    OutOfFunds,
    Overloaded,
    ProviderError,
    Rejected,
    Unauthorized,
    Unreachable,
)
from providers.specs import Mode, ModelSpec, VideoRequest

log = logging.getLogger(__name__)

SUBMIT_TIMEOUT = 600.0
"""Seconds; providers have shorter ones of their own."""

_FAILURES: tuple[tuple[type[ProviderError], Failure], ...] = (
    (Unauthorized, Failure.UNAUTHORIZED),
    (Forbidden, Failure.FORBIDDEN),
    (NotFound, Failure.MODEL_GONE),
    (OutOfFunds, Failure.OUT_OF_FUNDS),
    (ContentRefused, Failure.REFUSED),
    (NeedsConsent, Failure.NEEDS_CONSENT),
    (Rejected, Failure.REJECTED),
)
"""What a refused submit means for the job."""


async def submit(context: JobContext, job: Job) -> Job:
    """Ask the vendor to start: once, unless it is certain that nothing was accepted."""
    if context.videos.may_post(job) is False:
        return await context.fail(job, Failure.MAY_NOT_POST)
    try:
        asked = await context.files.complete(job.id, job.request)
    except OSError as error:
        return await _requeue(context, job, Unreachable(f"its files cannot be read now: {error}"))
    if asked is None:
        return await context.fail(job, Failure.IMAGE_LOST)
    spec = context.catalogue.spec(job.provider, asked.model)
    return await (_buy(context, job, asked, spec) if spec else _without_model(context, job, asked))


async def _buy(context: JobContext, job: Job, asked: VideoRequest, spec: ModelSpec) -> Job:
    """Wait for the rate limit, take the right to ask, and send the request."""
    provider = context.catalogue.providers[job.provider]
    try:
        async with provider.rate_limit():
            # From here on the vendor may have been asked, whatever happens to this process.
            job = await context.ask(job)
            async with asyncio.timeout(SUBMIT_TIMEOUT):
                operation = await provider.submit(spec.complete(asked))
    except Stopping:
        return await context.store.jobs.move(job, JobState.QUEUED, asked_at=None)
    except (Rejected, Unreachable) as error:
        # Nothing was accepted. That is written down first: whatever goes wrong then, nothing is in doubt.
        job = await context.move(job, JobState.SUBMITTING, asked_at=None)
        context.record_answer(job.provider, error, job.id if error.status is not None else None)
        if isinstance(error, OutOfFunds):
            context.record_unpaid(job)
        return await _refused(context, job, asked, error)
    except ProviderError as error:
        context.record_answer(job.provider, error)
        return await outcome_unknown(context, job, error.detail)
    except TimeoutError:
        return await outcome_unknown(context, job, "no answer in time")
    context.record_answer(job.provider, None)
    context.catalogue.health[job.provider].funds.take(job.cost_micros)
    return await _record(context, job, operation)


async def outcome_unknown(context: JobContext, job: Job, why: str) -> Job:
    """Nobody can tell whether the vendor has accepted it: it is sent again only where that costs nothing."""
    if context.catalogue.providers[job.provider].terms.is_free:
        return await _requeue(context, job, Unreachable(why))
    return await context.fail(job, Failure.OUTCOME_UNKNOWN, why)


async def _without_model(context: JobContext, job: Job, asked: VideoRequest) -> Job:
    """The model is not in the provider's list: it is gone, unless there is no list."""
    if not context.catalogue.knows(job.provider):
        # Without the model's defaults this would be another request than the one that was shown.
        return await _requeue(context, job, Overloaded("its catalogue is not known now"))
    fallen = await _fall_back(context, job, asked, "the model is gone")
    return fallen or await context.fail(job, Failure.MODEL_GONE, "the model is not in the list any more")


async def _refused(context: JobContext, job: Job, asked: VideoRequest, error: Rejected | Unreachable) -> Job:
    """Where nothing was accepted, another provider may do the same, or this one later; else it is over."""
    if isinstance(error, InvalidRequest | NotFound | Forbidden) and not isinstance(error, ContentRefused):
        context.catalogue.mark_stale(job.provider)
    # Our own limits and a full house ask for patience, and for nobody else.
    is_full = isinstance(error, Overloaded) and error.status in {None, HTTPStatus.CONFLICT}
    if isinstance(error, Unauthorized | Forbidden | OutOfFunds | Overloaded | Unreachable) and not is_full:
        fallen = await _fall_back(context, job, asked, error.detail)
        if fallen is not None:
            return fallen
    if isinstance(error, Overloaded | Unreachable):
        return await _requeue(context, job, error)
    failure = next(failure for kind, failure in _FAILURES if isinstance(error, kind))
    advice = error.advice if isinstance(error, InvalidRequest) else NO_ADVICE
    return await context.fail(job, failure, error.detail, advice)


async def move_elsewhere(context: JobContext, job: Job, reason: Failure | None) -> Job:
    """Take a queued job away from a provider that is paused for a reason, to another or to its end.

    Without a reason the provider only rests: who can go to another does, who cannot waits.
    """
    spec = context.catalogue.spec(job.provider, job.request.model)
    offers = _offers(context, job, spec.mode if spec else None)
    # Files are read last, a few at a time, and not again for those who have declined already.
    if not offers.keys() <= context.declined.get(job.id, frozenset()):
        async with context.fallback_slots:
            asked = await context.files.complete(job.id, job.request)
            why = f"it is unavailable ({reason or 'outages'})"
            if asked is not None and (fallen := await _fall_back(context, job, asked, why)) is not None:
                return fallen
        context.declined[job.id] = frozenset(offers)
    return await context.fail(job, reason, f"{job.provider} cannot take it: {reason}") if reason else job


def _offers(
    context: JobContext, job: Job, mode: Mode | None, first: str | None = None
) -> dict[tuple[str, str], ModelSpec]:
    """What other providers, fit now, could be asked to do instead, by provider and model, the best first.

    Only where the member named none, and only once.
    """
    if not job.may_fall_back or job.fallback_from is not None:
        return {}
    now = context.clock.now()
    return {
        (name, spec.id): spec
        for wanted in ([mode] if mode else Mode)
        for name, spec in context.catalogue.candidates(wanted, None, None, first)
        if name != job.provider and context.catalogue.health[name].is_available(now)
    }


async def _fall_back(context: JobContext, job: Job, asked: VideoRequest, why: str) -> Job | None:
    """Hand the job to another provider that takes exactly what was asked for no more; None without."""
    mode = Mode.TEXT_TO_VIDEO if asked.image is None else Mode.IMAGE_TO_VIDEO
    if not _offers(context, job, mode):
        return None
    rules = await context.store.decisions.rules(job.guild_id)
    if rules.fallback is False:  # decided since the job was booked
        return None
    for (name, _), spec in _offers(context, job, mode, rules.default_provider).items():
        if not spec.takes(asked) or rules.price(name, spec, asked) > job.price:
            continue
        quoted = await context.catalogue.quote(name, spec, asked)
        if _is_dearer(context, job, rules, name, quoted):
            continue
        log.warning("job %d falls back from %s to %s: %s", job.id, job.provider, name, why)
        return await context.move(
            job,
            JobState.QUEUED,
            provider=name,
            model=spec.id,
            request=job.request.model_copy(update={"model": spec.id}),
            fallback_from=job.provider,
            not_before=context.clock.now(),  # whatever the first one has asked for
            quoted_micros=quoted,
            cost_micros=quoted or 0,
        )
    return None


def _is_dearer(context: JobContext, job: Job, rules: ServerRules, provider: str, quoted: int | None) -> bool:
    """Whether another provider may cost more than was reserved, where that counts."""
    if is_unknown(context.catalogue.providers[provider], quoted, rules, context.limits):
        return True
    counts = rules.budget is not None or context.limits.needs_prices
    return counts and (quoted or 0) > job.cost_micros


async def _requeue(context: JobContext, job: Job, error: Overloaded | Unreachable) -> Job:
    """Nothing was accepted: the job goes back to the queue and is tried again, later each time."""
    wait = retry.in_queue((context.clock.now() - job.created_at).total_seconds(), error)
    log.info("job %d goes back to the queue for %.0f s: %s", job.id, wait, error.detail)
    not_before = context.clock.now() + timedelta(seconds=wait)
    return await context.move(job, JobState.QUEUED, asked_at=None, not_before=not_before)


async def _record(context: JobContext, job: Job, operation: Operation) -> Job:
    """Write down what was bought, however long the database takes: a lost operation is a lost payment."""
    submitted_at = context.clock.now()
    # A link is a key to the video, and no log is as well kept as the database.
    shown = {name: value for name, value in operation.items() if "://" not in str(value)}
    try:
        return await context.move(job, JobState.RUNNING, operation=operation, submitted_at=submitted_at)
    except Moved:
        log.warning("job %d was ended while %s accepted it as %s", job.id, job.provider, shown)
        await context.cancel_at_provider(job.provider, operation)
        raise
