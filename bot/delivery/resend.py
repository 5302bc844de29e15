"""A video that is over and still on disk, sent once more: whose it is, what it costs, in which size."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from weakref import WeakValueDictionary

from bot.clock import Clock
from bot.delivery.upload_limits import STEP
from bot.engine.retry import SMALLER_VIDEOS
from bot.errors import (
    BadRequest,
    DeliveryFault,
    NotAllowed,
    NotNow,
    OverAllowance,
    TooLarge,
    Undeliverable,
    Undelivered,
    UserFault,
)
from bot.jobs import KEPT, Job, JobState
from bot.media.job_files import JobFiles
from bot.media.transcode import TooMuch, transcode
from bot.media.videos import BadVideo
from bot.posting import VideoPoster
from bot.quota.allowances import Allowance
from bot.refusals import refusal
from bot.store import Store
from bot.store.accounts import NotBooked
from providers.child import ChildFailed, Children

log = logging.getLogger(__name__)

LONGEST, LONGEST_COPY = 840.0, 720.0
"""Seconds for everything, and for making a smaller copy; a command's reply has to come within 15 minutes."""
LISTED = 25
_WITHOUT = "without `show`, you alone get it"


Post: TypeAlias = Callable[[Path], Awaitable[None]]
"""Send a file where it was asked for. Raises DeliveryFault."""


class Unsure(NotNow):
    """The video may have arrived."""


@dataclass(frozen=True)
class Sent:
    is_original: bool
    """As it was made, and not a smaller copy."""
    is_paid: bool
    """Its price was charged with this."""


class Resend:
    def __init__(
        self,
        store: Store,
        files: JobFiles,
        videos: VideoPoster,
        encoders: Children,
        clock: Clock,
        allowance: Allowance,
    ) -> None:
        """`encoders` are its own: nobody's new video waits for an old one."""
        self._store = store
        self._files = files
        self._videos = videos
        self._encoders = encoders
        self._clock = clock
        self._allowance = allowance
        self._busy: set[int] = set()
        """Members who are being sent something."""
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def of(self, guild_id: int, user_id: int) -> list[Job]:
        """The member's latest jobs in this server whose videos are still here, newest first."""
        recent = await self._store.jobs.recent(guild_id, user_id, LISTED)
        return await asyncio.to_thread(lambda: [job for job in recent if self._has(job)])

    def _has(self, job: Job) -> bool:
        """A cancelled job may have left a video behind, and that is nobody's."""
        is_whole = job.state is JobState.DELIVERED or job.failure in KEPT
        return is_whole and self._files.video(job.id).exists()

    async def find(self, job_id: int, guild_id: int, user_id: int, moderates: Callable[[int], bool]) -> Job:
        """A job whose video this person may have: their own, or one of a channel that they moderate.

        Raises UserFault.
        """
        job = await self._store.jobs.get(job_id)
        is_known = job is not None and job.guild_id == guild_id
        if job is None or not is_known or (job.user_id != user_id and not moderates(job.channel_id)):
            raise NotNow("I know no such video of yours here; choose one of those I suggest.")
        if job.state.is_open:
            raise NotNow("This video is still under way; its card shows how it goes.")
        if not await asyncio.to_thread(self._has, job):
            raise NotNow("That video is not kept here any more.")
        return job

    async def send(
        self, job: Job, user_id: int, role_ids: Collection[int], limit: int, post: Post, *, show: bool
    ) -> Sent:
        """Send a video to this person, or with `show` to everybody, in files of at most `limit` bytes.

        The roles are the person's, who pays if it was not charged. Raises UserFault.
        """
        if show:
            await self._show(job)
        payer = role_ids if user_id == job.user_id else job.role_ids
        try:
            async with asyncio.timeout(LONGEST), self.paid(job, payer) as is_paid:
                return Sent(await self._send(job, user_id, limit, post), is_paid)
        except FileNotFoundError as swept:
            raise NotNow("That video is not kept here any more.") from swept
        except (TimeoutError, OSError, Undelivered) as error:
            log.warning("job %d was not sent again: %r", job.id, error)
            raise Unsure(
                "I cannot tell whether Discord took the video. If it is not there, try again: "
                "it is charged once."
            ) from error
        except (DeliveryFault, UserFault) as fault:
            if show:
                await self._store.jobs.show_once(job.id, taken=False)  # nobody was shown anything
            if isinstance(fault, UserFault):
                raise
            raise NotNow("Discord does not take it here. Try it in another channel.") from fault

    async def _send(self, job: Job, user_id: int, limit: int, post: Post) -> bool:
        """Whether it went as it was made. Raises UserFault or DeliveryFault."""
        for _ in range(SMALLER_VIDEOS):
            async with self.copy(job, user_id, limit) as path:
                try:
                    await post(path)
                except TooLarge:
                    limit = int(min(limit, path.stat().st_size) * STEP)
                    continue
                return path == self._files.video(job.id)
        raise NotNow("Discord takes no file as large as this video here.")

    @asynccontextmanager
    async def paid(self, job: Job, role_ids: Collection[int]) -> AsyncGenerator[bool]:
        """Book the price of a video that was not charged while it is sent, and say whether that was done.

        It is given back if the video certainly did not arrive. Raises UserFault: then nothing was charged.
        """
        if job.state is JobState.DELIVERED or job.charged:
            yield False
            return
        booked = await self._store.accounts.book_again(job, role_ids, self._allowance, self._clock.now())
        if isinstance(booked, NotBooked):
            raise OverAllowance(refusal(booked.why, booked.standing, job.price))
        if booked is None:
            yield False  # somebody else has just paid for it, and has that back if theirs does not arrive
            return
        try:
            yield True
        except (FileNotFoundError, UserFault, TooLarge, Undeliverable):
            await self._store.accounts.release(job)
            raise

    async def _show(self, job: Job) -> None:
        """Take the right to show it to everybody, which there is once. Raises UserFault."""
        rules = await self._store.decisions.rules(job.guild_id, job.user_id)
        if rules.block(job.user_id, self._clock.now()) is not None:
            raise NotAllowed(f"Videos of <@{job.user_id}> may not be posted now; {_WITHOUT}.")
        if job.state is JobState.DELIVERED:
            await self._check_post(job)
        if not await self._store.jobs.show_once(job.id):
            raise NotAllowed(f"It was shown once more already; {_WITHOUT}.")

    async def _check_post(self, job: Job) -> None:
        """A post that a moderator has deleted is not made a second time."""
        try:
            is_there = await self._videos.is_there(job)
        except Undelivered as fault:
            raise NotNow("Discord does not answer just now. Try again in a minute.") from fault
        except DeliveryFault as fault:
            raise NotAllowed(f"I cannot see any more whether its post is still there; {_WITHOUT}.") from fault
        if not is_there:
            raise NotAllowed(f"Its post was deleted, and I do not post it a second time; {_WITHOUT}.")

    @asynccontextmanager
    async def copy(self, job: Job, user_id: int, limit: int) -> AsyncGenerator[Path]:
        """The video in at most `limit` bytes, as it was made if that is possible. Raises UserFault."""
        if user_id in self._busy:
            raise NotNow("I am still sending you another video. Try again when it is there.")
        self._busy.add(user_id)
        try:
            yield await self._copy(job, limit)
        finally:
            self._busy.discard(user_id)

    async def _copy(self, job: Job, limit: int) -> Path:
        original, fitted = self._files.video(job.id), self._files.fitted(job.id)
        try:
            if await asyncio.to_thread(_fits, original, limit):
                return original
            async with asyncio.timeout(LONGEST_COPY), self._locks.setdefault(job.id, asyncio.Lock()):
                if not await asyncio.to_thread(_fits, fitted, limit):
                    await transcode(self._encoders, original, fitted, limit)
        except (TooMuch, BadVideo) as error:
            raise BadRequest("That video cannot be made small enough for this place.") from error
        except (ChildFailed, TimeoutError, OSError) as error:
            raise NotNow("I could not get that video ready just now. Try again later.") from error
        return fitted


def _fits(path: Path, limit: int) -> bool:
    return path.exists() and path.stat().st_size <= limit
