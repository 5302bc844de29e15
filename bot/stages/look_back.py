"""After a cancel: what became of a video that nobody waits for, and what it costs."""

import logging
from contextlib import suppress
from datetime import datetime, timedelta

from bot.jobs import Failure, Job, billed
from bot.stages.floor import Floor
from providers.base import Failed, Pending, Succeeded
from providers.errors import NotFound, ProviderError

log = logging.getLogger(__name__)

AGAIN = timedelta(minutes=1)


async def look_back(floor: Floor, job: Job, give_up_at: datetime) -> None:
    """Look once at a job that is over here. Without a verdict by `give_up_at` it counts as made.

    Raises StoreError.
    """
    provider, now = floor.catalogue.providers.get(job.provider), floor.clock.now()
    cost, until = job.cost_micros, None
    if provider is not None and job.operation is not None:
        try:
            answer = await provider.poll(job.operation)
        except NotFound:
            pass
        except ProviderError as error:
            log.info("job %d is over, and could not be looked at: %s", job.id, error.detail)
            until = now + AGAIN
        else:
            cost, until = _settled(job, answer, now)
    if until is not None and until < give_up_at:
        await floor.store.jobs.hold(job, until, cost)
        return
    log.info("job %d is over at %s, too, and has cost %d", job.id, job.provider, cost)
    await floor.store.jobs.hold(job, None, cost)
    if provider is not None and job.operation is not None:
        with suppress(ProviderError):
            await provider.cleanup(job.operation)


def _settled(job: Job, answer: Pending | Succeeded | Failed, now: datetime) -> tuple[int, datetime | None]:
    """What the job costs by the provider's answer, and when to look again."""
    match answer:
        case Pending():
            return job.cost_micros, now + AGAIN
        case Succeeded():
            return job.cost_micros if answer.cost_micros is None else answer.cost_micros, None
        case Failed():
            failure = Failure.REFUSED if answer.refused else Failure.PROVIDER_FAILED
            return job.cost_micros if billed(job, failure, answer.advice.refunded) else 0, None
