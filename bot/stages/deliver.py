"""`delivering`: post the video in two moves; whichever is repeated, there is one message with one file."""

import logging
from collections.abc import Mapping
from datetime import datetime

from bot.cadence import backoff
from bot.errors import TooLarge, Undeliverable, Undelivered
from bot.jobs import Failure, Job, JobState
from bot.media.child import ChildFailed
from bot.media.videos import BadVideo
from bot.stages.fetch import download
from bot.stages.floor import Floor
from bot.stages.pack import TooMuch, pack
from providers.errors import ProviderError

log = logging.getLogger(__name__)

STEPS = 3
"""How often a video is made smaller because Discord refused it."""


_FINAL: Mapping[type[Exception], Failure] = {
    TooMuch: Failure.TOO_LARGE,
    Undeliverable: Failure.UNDELIVERABLE,
    BadVideo: Failure.BAD_VIDEO,
}
"""What no other try would change."""


async def deliver(floor: Floor, job: Job, give_up_at: datetime) -> Job:
    """Announce the video, then attach it, until Discord has it or the time is up."""
    failures = steps = 0
    while True:
        try:
            job = await _announced(floor, job, give_up_at)
            await floor.letterbox.attach(job, message_id=job.message_id or 0)
            return await floor.store.jobs.move(job, JobState.DELIVERED)
        except tuple(_FINAL) as error:
            return await floor.fail(job, _FINAL[type(error)], str(error))
        except TooLarge as error:
            steps += 1
            if steps > STEPS:
                return await floor.fail(job, Failure.TOO_LARGE, str(error))
            # What Discord refused is remembered, so that the next one comes out smaller.
            floor.files.fitted(job.id).unlink(missing_ok=True)
            continue
        except Undelivered as error:
            failure = _later(job, error, Failure.UNDELIVERABLE)
        except (ProviderError, ChildFailed, OSError) as error:
            # The file was gone, and has to be fetched again before it can be posted.
            failure = _later(job, error, Failure.BAD_VIDEO)
        failures += 1
        if floor.clock.now() >= give_up_at:
            return await floor.fail(job, failure, "it could not be posted in time")
        await floor.pause(backoff(failures, None, floor.chance()))


async def _announced(floor: Floor, job: Job, give_up_at: datetime) -> Job:
    """The job with its message to be; nobody is told of a video that is not here, or does not fit."""
    if not floor.files.video(job.id).exists():
        await download(floor, job, give_up_at)
    await pack(floor, job, give_up_at)
    if job.message_id is not None:
        return job
    message_id = await floor.letterbox.announce(job)
    return await floor.store.jobs.move(job, JobState.DELIVERING, message_id=message_id)


def _later(job: Job, error: Exception, failure: Failure) -> Failure:
    """What the job fails with, should this be its last try."""
    log.warning("job %d could not be delivered yet: %s", job.id, error)
    return failure
