"""`delivering`: post the video in two moves, at the first place that takes it; repeated, still one post."""

import logging
from collections.abc import Mapping
from datetime import datetime

from bot.errors import DeliveryFault, MessageGone, TooLarge, Undeliverable, Undelivered
from bot.jobs import Failure, Job, JobState, Place
from bot.media.child import ChildFailed
from bot.media.videos import BadVideo
from bot.stages.fetch import download, make_room_if_full
from bot.stages.floor import Floor, retry_wait
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

    Past `give_up_at` each place that is left is tried once. That a time is up is for answers of Discord to
    say: while it cannot be reached, the video waits.
    """
    delivery = _Delivery(floor, job, give_up_at)
    while delivery.job.state is JobState.DELIVERING:
        await delivery.try_once()
    return delivery.job


class _Delivery:
    """What is known of one delivery while it is tried."""

    def __init__(self, floor: Floor, job: Job, give_up_at: datetime) -> None:
        self.job = job
        self._floor = floor
        self._give_up_at = give_up_at
        self._began = floor.clock.now()
        self._failures = self._steps = 0
        self._unsure = job.message_id is not None
        """The message may have its video: it was found after a restart, or its last edit was not answered.

        Then a second post elsewhere would be worse than a video that can be asked for.
        """

    async def try_once(self) -> None:
        """One way through; waits after one that changed nothing."""
        floor, before = self._floor, self.job
        try:
            await self._post()
        except tuple(_FINAL) as error:
            self.job = await floor.fail(self.job, _FINAL[type(error)], str(error))
        except TooLarge as error:
            await self._step_down(error)
            return
        except Undeliverable as error:
            before = self.job
            await self._go_on(error)
        except (Undelivered, ProviderError, ChildFailed, OSError) as error:
            log.warning("job %d could not be delivered yet: %s", self.job.id, error)
            self._unsure |= isinstance(error, Undelivered) and self.job.message_id is not None
            await make_room_if_full(floor, self.job, error)
            if floor.clock.now() >= self._give_up_at:
                self.job = await floor.overdue(self.job)
            before = self.job
            if floor.is_up(self._until(error), self._began):
                await self._out_of_time(error)
        if self.job.place is not before.place:
            self._unsure = False
        if self.job is before:
            self._failures += 1
            wait = retry_wait(None, self._failures, floor.chance(), is_overdue=before.overdue_at is not None)
            await floor.pause(wait)

    async def _post(self) -> None:
        floor = self._floor
        await self._pack()
        again = self.job.announcing_at is not None
        if not again:
            # From here on there may be a message whose id nobody has written down.
            now = floor.clock.now()
            self.job = await floor.store.jobs.move(self.job, JobState.DELIVERING, announcing_at=now)
        if self.job.message_id is None:
            await self._announce(again=again)
        await floor.letterbox.attach(self.job)
        self.job = await floor.settle(self.job, JobState.DELIVERED)

    async def _pack(self) -> None:
        """Have the file here as its place takes it. Making it fit takes no time from the delivery."""
        floor = self._floor
        if not floor.files.video(self.job.id).exists():
            await download(floor, self.job)
        began = floor.clock.now()
        await pack(floor, self.job)
        self._give_up_at += floor.clock.now() - began

    async def _announce(self, *, again: bool) -> None:
        """Give the job its message; nobody is told of a video that is not here, or does not fit."""
        posted = await self._floor.letterbox.announce(self.job, again=again)
        place_id = None if posted.channel_id == self.job.channel_id else posted.channel_id
        self.job = await self._floor.settle(
            self.job, JobState.DELIVERING, message_id=posted.message_id, place_id=place_id
        )

    async def _step_down(self, error: TooLarge) -> None:
        """What Discord refused is remembered, so that the next one comes out smaller."""
        self._steps += 1
        if self._steps > STEPS:
            self.job = await self._floor.fail(self.job, Failure.TOO_LARGE, str(error))
        else:
            self._floor.files.fitted(self.job.id).unlink(missing_ok=True)

    def _until(self, error: Exception) -> datetime:
        """Until when it is tried: a file that is not here, for as long as the vendor keeps it."""
        is_here = isinstance(error, DeliveryFault) or self._floor.files.video(self.job.id).exists()
        return self._give_up_at if is_here else max(self._give_up_at, self._floor.kept_until(self.job))

    async def _out_of_time(self, error: Exception) -> None:
        if isinstance(error, DeliveryFault):
            await self._go_on(error)
            return
        # Without its file, nobody will ever have it; with it, something here was in the way.
        is_here = self._floor.files.video(self.job.id).exists()
        failure = Failure.UNDELIVERABLE if is_here else Failure.LOST
        self.job = await self._floor.fail(self.job, failure, f"{self.job.place}: {error}")

    async def _go_on(self, refusal: DeliveryFault) -> None:
        """Send the job to the next place, or to its end; it stays while Discord does not answer."""
        floor, job = self._floor, self.job
        # The row says what each place answered.
        detail = "; ".join(filter(None, (job.detail, f"{job.place}: {refusal}")))
        try:
            is_there = await floor.letterbox.withdraw(job)
            place = None if is_there else await self._next_place(refusal)
        except Undelivered as error:
            log.warning("job %d stays where it is: %s", job.id, error)
            return
        if is_there:
            self.job = await floor.settle(job, JobState.DELIVERED)
        elif place is None or (is_there is None and self._unsure):
            self.job = await floor.fail(job, Failure.UNDELIVERABLE, detail)
        else:
            log.warning("job %d goes on to the next place, %s: %s", job.id, place[0], refusal)
            self.job = await floor.settle(
                job,
                JobState.DELIVERING,
                place=place[0],
                place_id=place[1],
                message_id=None,
                announcing_at=None,
                detail=detail,
            )

    async def _next_place(self, refusal: DeliveryFault) -> tuple[Place, int | None] | None:
        """The next place; when the time is up, one that is not known now is passed over."""
        next_place = self._floor.letterbox.next_place
        try:
            return await next_place(self.job, unwanted=isinstance(refusal, MessageGone))
        except Undelivered:
            if not self._floor.is_up(self._give_up_at, self._began):
                raise
            return await next_place(self.job, unwanted=True)
