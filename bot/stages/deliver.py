"""`delivering`: post the video in two moves, at the first place that takes it; repeated, still one post."""

import logging
from collections.abc import Mapping
from datetime import datetime

from bot.cadence import backoff
from bot.errors import DeliveryFault, MessageGone, TooLarge, Undeliverable, Undelivered
from bot.jobs import Failure, Job, JobState, Place
from bot.media.child import ChildFailed
from bot.media.videos import BadVideo
from bot.stages.fetch import download, make_room_if_full
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
    # Found after a restart, a message may have its video already.
    unsure = job.message_id is not None
    while job.state is JobState.DELIVERING:
        try:
            give_up_at = await _packed(floor, job, give_up_at)
            again = job.announcing_at is not None
            if not again:
                # From here on there may be a message whose id nobody has written down.
                now = floor.clock.now()
                job = await floor.store.jobs.move(job, JobState.DELIVERING, announcing_at=now)
            if job.message_id is None:
                job = await _announced(floor, job, again=again)
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
            place = job.place
            job = await _elsewhere(floor, job, error, give_up_at, unsure=unsure)
            unsure &= job.place is place
        except (Undelivered, ProviderError, ChildFailed, OSError) as error:
            log.warning("job %d could not be delivered yet: %s", job.id, error)
            unsure |= isinstance(error, Undelivered) and job.message_id is not None
            await make_room_if_full(floor, job, error)
            if floor.clock.now() >= give_up_at:
                job = await _out_of_time(floor, job, error, unsure=unsure)
                continue
            failures += 1
            await floor.pause(backoff(failures, None, floor.chance()))
    return job


async def _packed(floor: Floor, job: Job, give_up_at: datetime) -> datetime:
    """Have the file here as its place takes it; returns when to give up: making it fit does not count."""
    if not floor.files.video(job.id).exists():
        await download(floor, job, give_up_at)
    began = floor.clock.now()
    await pack(floor, job)
    return give_up_at + (floor.clock.now() - began)


async def _announced(floor: Floor, job: Job, *, again: bool) -> Job:
    """The job with its message; nobody is told of a video that is not here, or does not fit."""
    posted = await floor.letterbox.announce(job, again=again)
    place_id = None if posted.channel_id == job.channel_id else posted.channel_id
    return await floor.store.jobs.move(
        job, JobState.DELIVERING, message_id=posted.message_id, place_id=place_id
    )


async def _out_of_time(floor: Floor, job: Job, error: Exception, *, unsure: bool) -> Job:
    if isinstance(error, DeliveryFault):
        return await _elsewhere(floor, job, error, floor.clock.now(), unsure=unsure)
    # Without its file, nobody will ever have it; with it, something here was in the way.
    is_here = floor.files.video(job.id).exists()
    failure = Failure.UNDELIVERABLE if is_here else Failure.BAD_VIDEO
    return await floor.fail(job, failure, f"{job.place}: {error}")


async def _elsewhere(
    floor: Floor, job: Job, refusal: DeliveryFault, give_up_at: datetime, *, unsure: bool
) -> Job:
    """Send the job to the next place, or to its end; the row says what each place answered.

    `unsure` says that the message here may have its video: then a second post elsewhere would be worse than
    one that can be asked for.
    """
    detail = "; ".join(filter(None, (job.detail, f"{job.place}: {refusal}")))
    is_late = floor.clock.now() >= give_up_at
    try:
        is_there = await floor.letterbox.withdraw(job)
        if is_there:
            return await floor.store.jobs.move(job, JobState.DELIVERED)
        place = await _next_place(floor, job, refusal, is_late=is_late)
    except Undelivered as error:
        if not is_late:
            await floor.pause(backoff(1, None, floor.chance()))
            return job
        return await floor.fail(job, Failure.UNDELIVERABLE, f"{detail}; {error}")
    if is_there is None and unsure:
        return await floor.fail(job, Failure.UNDELIVERABLE, detail)
    if place is None:
        return await floor.fail(job, Failure.UNDELIVERABLE, detail)
    log.warning("job %d goes on to the next place, %s: %s", job.id, place[0], refusal)
    return await floor.store.jobs.move(
        job,
        JobState.DELIVERING,
        place=place[0],
        place_id=place[1],
        message_id=None,
        announcing_at=None,
        detail=detail,
    )


async def _next_place(
    floor: Floor, job: Job, refusal: DeliveryFault, *, is_late: bool
) -> tuple[Place, int | None] | None:
    """The next place; when the time is up, one that is not known now is passed over."""
    try:
        return await floor.letterbox.next_place(job, unwanted=isinstance(refusal, MessageGone))
    except Undelivered:
        if not is_late:
            raise
        return await floor.letterbox.next_place(job, unwanted=True)
