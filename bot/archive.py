"""Videos that are over and still on disk: whose they are, and in which size a place takes them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from bot.clock import Clock
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
from bot.media.child import ChildFailed, Children
from bot.media.job_files import JobFiles
from bot.media.transcode import TooMuch, transcode
from bot.media.videos import BadVideo
from bot.messenger import Messenger
from bot.quota.allowances import Allowance
from bot.refusals import refusal
from bot.store import Store
from bot.store.accounts import NotBooked

LONGEST = 720.0
"""Seconds; a command's reply has to come within fifteen minutes."""
LISTED = 25
_WITHOUT = "without `show`, you alone get it"


@dataclass(frozen=True)
class Sendable:
    """A file to send."""

    job: Job
    path: Path
    is_original: bool


class Archive:
    def __init__(
        self,
        store: Store,
        files: JobFiles,
        messenger: Messenger,
        encoders: Children,
        clock: Clock,
        allowance: Allowance,
    ) -> None:
        """`encoders` are its own: nobody's new video waits for an old one."""
        self._store = store
        self._files = files
        self._messenger = messenger
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

    async def show(self, job: Job) -> None:
        """Take the right to show it to everybody, which there is once. Raises UserFault."""
        rules = await self._store.decisions.rules(job.guild_id, job.user_id)
        if rules.block(job.user_id, self._clock.now()) is not None:
            raise NotAllowed(f"Videos of <@{job.user_id}> may not be posted now; {_WITHOUT}.")
        if job.state is JobState.DELIVERED:
            await self._check_post(job)
        if not await self._store.jobs.show_once(job.id):
            raise NotAllowed(f"It was shown once more already; {_WITHOUT}.")

    async def show_no_more(self, job: Job) -> None:
        """Give that right back: nobody was shown anything."""
        await self._store.jobs.show_once(job.id, taken=False)

    async def _check_post(self, job: Job) -> None:
        """A post that a moderator has deleted is not made a second time."""
        try:
            is_there = await self._messenger.is_there(job)
        except Undelivered as fault:
            raise NotNow("Discord does not answer just now. Try again in a minute.") from fault
        except DeliveryFault as fault:
            raise NotAllowed(f"I cannot see any more whether its post is still there; {_WITHOUT}.") from fault
        if not is_there:
            raise NotAllowed(f"Its post was deleted, and I do not post it a second time; {_WITHOUT}.")

    @asynccontextmanager
    async def copy(self, job: Job, user_id: int, limit: int) -> AsyncGenerator[Sendable]:
        """The video in at most `limit` bytes, as it was made if that is possible. Raises UserFault."""
        if user_id in self._busy:
            raise NotNow("I am still sending you another video. Try again when it is there.")
        self._busy.add(user_id)
        try:
            yield await self._copy(job, limit)
        finally:
            self._busy.discard(user_id)

    async def _copy(self, job: Job, limit: int) -> Sendable:
        original, fitted = self._files.video(job.id), self._files.fitted(job.id)
        try:
            if await asyncio.to_thread(_fits, original, limit):
                return Sendable(job, original, is_original=True)
            async with asyncio.timeout(LONGEST), self._locks.setdefault(job.id, asyncio.Lock()):
                if not await asyncio.to_thread(_fits, fitted, limit):
                    await transcode(self._encoders, original, fitted, limit)
            return Sendable(job, fitted, is_original=False)
        except (TooMuch, BadVideo) as error:
            raise BadRequest("That video cannot be made small enough for this place.") from error
        except (ChildFailed, TimeoutError, OSError) as error:
            raise NotNow("I could not get that video ready just now. Try again later.") from error


def _fits(path: Path, limit: int) -> bool:
    return path.exists() and path.stat().st_size <= limit
