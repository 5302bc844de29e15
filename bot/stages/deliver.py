"""`delivering`: post the video in two moves, at the first place that takes it; repeated, still one post."""

import logging
from collections.abc import Mapping
from datetime import datetime

from bot.cadence import backoff
from bot.errors import DeliveryFault, TooLarge, Undeliverable, Undelivered
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
    BadVideo: Failure.BAD_VIDEO,
}
"""What no other try would change."""


async def deliver(floor: Floor, job: Job, give_up_at: datetime) -> Job:
    """Announce the video, then attach it, until Discord has it, or no place is left that could take it.

    Past `give_up_at` each place that is left is tried once.
    """
    failures = steps = 0
    while job.state is JobState.DELIVERING:
        try:
            job = await _announced(floor, job, give_up_at)
            await floor.letterbox.attach(job)
            return await floor.store.jobs.move(job, JobState.DELIVERED)
        except tuple(_FINAL) as error:
            return await floor.fail(job, _FINAL[type(error)], str(error))
        except TooLarge as error:
            steps += 1
            if steps > STEPS:
                return await floor.fail(job, Failure.TOO_LARGE, str(error))
            # What Discord refused is remembered, so that the next one comes out smaller.
            floor.files.fitted(job.id).unlink(missing_ok=True)
        except Undeliverable as error:
            job = await _elsewhere(floor, job, error, give_up_at)
        except (Undelivered, ProviderError, ChildFailed, OSError) as error:
            log.warning("job %d could not be delivered yet: %s", job.id, error)
            if floor.clock.now() >= give_up_at:
                job = await _out_of_time(floor, job, error, give_up_at)
                continue
            failures += 1
            await floor.pause(backoff(failures, None, floor.chance()))
    return job


async def _announced(floor: Floor, job: Job, give_up_at: datetime) -> Job:
    """The job with its message to be; nobody is told of a video that is not here, or does not fit."""
    if not floor.files.video(job.id).exists():
        await download(floor, job, give_up_at)
    await pack(floor, job, give_up_at)
    if job.message_id is not None:
        return job
    posted = await floor.letterbox.announce(job)
    place_id = None if posted.channel_id == job.channel_id else posted.channel_id
    return await floor.store.jobs.move(
        job, JobState.DELIVERING, message_id=posted.message_id, place_id=place_id
    )


async def _out_of_time(floor: Floor, job: Job, error: Exception, give_up_at: datetime) -> Job:
    if isinstance(error, DeliveryFault):
        return await _elsewhere(floor, job, error, give_up_at)
    # The file was gone, and could not be fetched again.
    return await floor.fail(job, Failure.BAD_VIDEO, str(error))


async def _elsewhere(floor: Floor, job: Job, refusal: DeliveryFault, give_up_at: datetime) -> Job:
    """Send the job to the next place, or to its end; the row says what each place answered."""
    detail = "; ".join(filter(None, (job.detail, f"{job.place}: {refusal}")))
    try:
        if await floor.letterbox.withdraw(job):
            return await floor.store.jobs.move(job, JobState.DELIVERED)
    except Undelivered as error:
        if floor.clock.now() < give_up_at:
            await floor.pause(backoff(1, None, floor.chance()))
            return job
        # Perhaps it is there. A second post elsewhere would be worse than one that can be asked for.
        return await floor.fail(job, Failure.UNDELIVERABLE, f"{detail}; {error}")
    place = await floor.letterbox.next_place(job)
    if place is None:
        return await floor.fail(job, Failure.UNDELIVERABLE, detail)
    log.warning("job %d goes on to the next place, %s: %s", job.id, place[0], refusal)
    return await floor.store.jobs.move(
        job, JobState.DELIVERING, place=place[0], place_id=place[1], message_id=None, detail=detail
    )
