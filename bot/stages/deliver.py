"""`delivering`: post the video in two moves; whichever is repeated, there is one message with one file."""

import logging
from datetime import datetime

from bot.cadence import backoff
from bot.errors import TooLarge, Undeliverable, Undelivered
from bot.jobs import Failure, Job, JobState
from bot.media.child import ChildFailed
from bot.media.videos import BadVideo
from bot.stages.fetch import download
from bot.stages.floor import Floor
from providers.errors import ProviderError

log = logging.getLogger(__name__)


async def deliver(floor: Floor, job: Job, give_up_at: datetime) -> Job:
    """Announce the video, then attach it, until Discord has it or the time is up."""
    failures = 0
    while True:
        try:
            # First of all: nobody is told of a video that is not here.
            if not floor.files.video(job.id).exists():
                await download(floor, job, give_up_at)
            if job.message_id is None:
                message_id = await floor.letterbox.announce(job)
                job = await floor.store.jobs.move(job, JobState.DELIVERING, message_id=message_id)
            await floor.letterbox.attach(job, message_id=job.message_id or 0)
            return await floor.store.jobs.move(job, JobState.DELIVERED)
        except TooLarge as error:
            return await floor.fail(job, Failure.TOO_LARGE, str(error))
        except Undeliverable as error:
            return await floor.fail(job, Failure.UNDELIVERABLE, str(error))
        except BadVideo as error:
            return await floor.fail(job, Failure.BAD_VIDEO, str(error))
        except Undelivered as error:
            failure = _later(job, error, Failure.UNDELIVERABLE)
        except (ProviderError, ChildFailed, OSError) as error:
            # The file was gone, and has to be fetched again before it can be posted.
            failure = _later(job, error, Failure.BAD_VIDEO)
        failures += 1
        if floor.clock.now() >= give_up_at:
            return await floor.fail(job, failure, "it could not be posted in time")
        await floor.pause(backoff(failures, None, floor.chance()))


def _later(job: Job, error: Exception, failure: Failure) -> Failure:
    """What the job fails with, should this be its last try."""
    log.warning("job %d could not be delivered yet: %s", job.id, error)
    return failure
