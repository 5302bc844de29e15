"""`delivering`: post the video in two moves, at the first place that takes it; repeated, still one post."""

import asyncio
import logging
import shutil
from datetime import datetime
from enum import Enum, auto
from pathlib import Path

from bot.engine import retry
from bot.engine.context import JobContext
from bot.engine.download import download_once, make_room_if_full, verify_download
from bot.errors import DeliveryFault, MessageGone, TooLarge, Undeliverable, Undelivered
from bot.jobs import Failure, Job, JobState, Place
from bot.media.transcode import TooMuch, transcode
from bot.media.videos import BadVideo, recall
from providers.child import ChildFailed, ChildrenClosed
from providers.errors import ProviderError

log = logging.getLogger(__name__)

_TROUBLE = (Undelivered, ProviderError, ChildFailed, OSError)
"""What may go better the next time."""


class Next(Enum):
    """What follows a try that has not brought the video to Discord; a Failure is the end."""

    RETRY = auto()
    SMALLER = auto()
    ELSEWHERE = auto()


def after(error: Exception, *, steps: int, is_time_up: bool, is_here: bool) -> Next | Failure:
    """What follows from an error; the video was made smaller `steps` times, and its file is here or not."""
    match error:
        case TooMuch():
            return Failure.TOO_LARGE
        case BadVideo():
            return Failure.BAD_VIDEO
        case TooLarge():
            return Next.SMALLER if steps < retry.SMALLER_VIDEOS else Failure.TOO_LARGE
        case Undelivered() | ProviderError() | ChildFailed() | OSError() if not is_time_up:
            return Next.RETRY
        case DeliveryFault():
            return Next.ELSEWHERE
        case _:
            # Without its file, nobody will ever have it; with it, something here was in the way.
            return Failure.UNDELIVERABLE if is_here else Failure.LOST


def after_refusal(*, is_there: bool | None, is_unsure: bool, has_place: bool) -> JobState:
    """What follows where a place takes no video; `is_there` is None if nobody knows whether it has it."""
    if is_there:
        return JobState.DELIVERED
    if not has_place or (is_there is None and is_unsure):
        return JobState.FAILED
    return JobState.DELIVERING


async def deliver(context: JobContext, job: Job, give_up_at: datetime) -> Job:
    """Announce the video, then attach it, until Discord has it, or no place is left that could take it.

    Past `give_up_at` each place that is left is tried once. That a time is up is for answers of Discord to
    say: while it cannot be reached, the video waits.
    """
    delivery = _Delivery(context, job, give_up_at)
    while delivery.job.state is JobState.DELIVERING:
        await delivery.try_once()
    return delivery.job


class _Delivery:
    """What is known of one delivery while it is tried."""

    def __init__(self, context: JobContext, job: Job, give_up_at: datetime) -> None:
        self.job = job
        self._context = context
        self._give_up_at = give_up_at
        self._began = context.clock.now()
        self._failures = self._steps = 0
        self._unsure = job.message_id is not None
        """The message may have its video: it was found after a restart, or its last edit was not answered.

        Then a second post elsewhere would be worse than a video that can be asked for.
        """

    async def try_once(self) -> None:
        """One way through; waits after one that changed nothing."""
        try:
            await self._post()
        except (TooMuch, BadVideo, TooLarge, Undeliverable, *_TROUBLE) as error:
            await self._go_on(error)

    async def _go_on(self, error: Exception) -> None:
        context = self._context
        if isinstance(error, _TROUBLE):
            await self._note(error)
        before = self.job
        is_time_up = context.is_time_up(self._until(error), self._began)
        match after(error, steps=self._steps, is_time_up=is_time_up, is_here=self._is_here()):
            case Failure() as failure:
                self.job = await context.fail(self.job, failure, f"{self.job.place}: {error}")
            case Next.SMALLER:
                # What Discord refused is remembered, so that the next one comes out smaller.
                self._steps += 1
                context.files.fitted(self.job.id).unlink(missing_ok=True)
                return
            case Next.ELSEWHERE:
                await self._go_elsewhere(error)
            case Next.RETRY:
                pass
        if self.job.place is not before.place:
            self._unsure = False
        if self.job is before:
            self._failures += 1
            is_overdue = before.overdue_at is not None
            await context.pause(
                retry.after_call(None, self._failures, context.jitter(), is_overdue=is_overdue)
            )

    async def _note(self, error: Exception) -> None:
        """Take note of what may go better the next time."""
        context, job = self._context, self.job
        log.warning("job %d could not be delivered yet: %s", job.id, error)
        self._unsure |= isinstance(error, Undelivered) and job.message_id is not None
        await make_room_if_full(context, job, error)
        if context.clock.now() >= self._give_up_at:
            self.job = await context.mark_overdue(job)

    def _is_here(self) -> bool:
        return self._context.files.video(self.job.id).exists()

    async def _post(self) -> None:
        context = self._context
        await self._fit()
        again = self.job.announcing_at is not None
        if not again:
            # From here on there may be a message whose id nobody has written down.
            now = context.clock.now()
            self.job = await context.store.jobs.move(self.job, JobState.DELIVERING, announcing_at=now)
        if self.job.message_id is None:
            await self._announce(again=again)
        await context.videos.attach(self.job)
        self.job = await context.move(self.job, JobState.DELIVERED)

    async def _fit(self) -> None:
        """Have the file here as its place takes it. Making it fit takes no time from the delivery."""
        context = self._context
        if not self._is_here():
            await download_once(context, self.job)
        began = context.clock.now()
        await fit(context, self.job)
        self._give_up_at += context.clock.now() - began

    async def _announce(self, *, again: bool) -> None:
        """Give the job its message; nobody is told of a video that is not here, or does not fit."""
        posted = await self._context.videos.announce(self.job, again=again)
        place_id = None if posted.channel_id == self.job.channel_id else posted.channel_id
        self.job = await self._context.move(
            self.job, JobState.DELIVERING, message_id=posted.message_id, place_id=place_id
        )

    def _until(self, error: Exception) -> datetime:
        """Until when it is tried: a file that is not here, for as long as the vendor keeps it."""
        is_here = isinstance(error, DeliveryFault) or self._is_here()
        return self._give_up_at if is_here else max(self._give_up_at, self._context.kept_until(self.job))

    async def _go_elsewhere(self, refusal: Exception) -> None:
        """Send the job to the next place, or to its end; it stays while Discord does not answer."""
        context, job = self._context, self.job
        # The row says what each place answered.
        detail = "; ".join(filter(None, (job.detail, f"{job.place}: {refusal}")))
        try:
            is_there = await context.videos.withdraw(job)
            place = None if is_there else await self._next_place(refusal)
        except Undelivered as error:
            log.warning("job %d stays where it is: %s", job.id, error)
            return
        state = after_refusal(is_there=is_there, is_unsure=self._unsure, has_place=place is not None)
        if state is JobState.FAILED:
            self.job = await context.fail(job, Failure.UNDELIVERABLE, detail)
        elif place is None:
            self.job = await context.move(job, state)
        else:
            log.warning("job %d goes on to the next place, %s: %s", job.id, place[0], refusal)
            self.job = await context.move(
                job,
                state,
                place=place[0],
                place_id=place[1],
                message_id=None,
                announcing_at=None,
                detail=detail,
            )

    async def _next_place(self, refusal: Exception) -> tuple[Place, int | None] | None:
        """The next place; when the time is up, one that is not known now is passed over."""
        next_place = self._context.videos.next_place
        try:
            return await next_place(self.job, unwanted=isinstance(refusal, MessageGone))
        except Undelivered:
            if not self._context.is_time_up(self._give_up_at, self._began):
                raise
            return await next_place(self.job, unwanted=True)


async def fit(context: JobContext, job: Job) -> None:
    """See that what is posted fits its channel and plays in place; the download itself stays as it is.

    It may wait for others whose videos are worked on; its own work is bounded. Raises TooMuch, or BadVideo
    for what turns out not to decode.
    """
    limit = await context.videos.limit(job)
    source, target = context.files.video(job.id), context.files.fitted(job.id)
    if target.exists() and target.stat().st_size <= limit:
        return
    fits = source.stat().st_size <= limit
    if fits and (recall(context.files.facts(job.id)) or await verify_download(context, job)).ready:
        target.unlink(missing_ok=True)
        return
    report = await context.progress_reporter(job)
    try:
        await transcode(context.encoders, source, target, limit, report)
    except ChildrenClosed:
        raise
    except (TooMuch, ChildFailed) as error:
        if not fits:
            raise TooMuch(str(error)) from error
        # Some players will not show it, but what is not posted is shown by none. The copy is not tried again.
        log.warning("job %d is posted as it came: %s", job.id, error)
        await asyncio.to_thread(_copy, source, target)


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(f"{target.name}.part")
    shutil.copyfile(source, part)
    part.replace(target)
