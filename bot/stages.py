"""What each state of a job asks for: the outside calls, and what each of their outcomes means."""

import asyncio
import logging
import random
from collections import Counter, deque
from collections.abc import Awaitable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TypeVar

from bot.cadence import Pace, backoff, next_look, typical
from bot.cards import Card, Letterbox
from bot.catalogue import Catalogue
from bot.clock import Clock
from bot.errors import TooLarge, Undeliverable, Undelivered
from bot.jobs import Failure, Job, JobState
from bot.media.child import ChildFailed, Children
from bot.media.files import FileSink
from bot.media.jobfiles import JobFiles
from bot.media.videos import BadVideo, verify
from bot.store import Store
from bot.store.db import StoreError
from bot.store.jobs import Moved
from providers import AnyProvider
from providers.base import Failed, Operation, Pending, Succeeded
from providers.errors import (
    NotFound,
    OutOfFunds,
    Overloaded,
    ProviderError,
    Rejected,
    Unauthorized,
    Unreachable,
    Unusable,
)

log = logging.getLogger(__name__)
T = TypeVar("T")

JUST_SUBMITTED = timedelta(seconds=60)
"""Some vendors do not know an operation for a while after they have accepted it."""
UNKNOWN_LOOKS = 3
"""How often in a row a vendor must say that it does not know an operation before that is believed."""
DOWNLOADS = 5
"""How often a finished file is fetched before what comes is believed to be all there is."""


class Stopping(Exception):
    """The bot is being stopped; the row waits for the next start."""


class Stages:
    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        letterbox: Letterbox,
        files: JobFiles,
        children: Children,
        clock: Clock,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._letterbox = letterbox
        self._files = files
        self._children = children
        self._clock = clock
        self._chance = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._watched: Counter[str] = Counter()
        self.stopping = asyncio.Event()

    async def submit(self, job: Job, give_up_at: datetime) -> Job:
        """Buy the video, once."""
        if self.stopping.is_set():
            return await self._store.jobs.move(job, JobState.QUEUED)
        image = await self._files.image(job.id)
        if image is None:
            return await self.fail(job, Failure.IMAGE_LOST)
        request = job.request.model_copy(update={"image": image})
        try:
            operation = await self._within(
                give_up_at, self._catalogue.providers[job.provider].submit(request)
            )
        except (Overloaded, Unreachable) as error:
            return await self._requeue(job, error)
        except (ProviderError, TimeoutError) as error:
            return await self.fail(job, _failure_of(error), str(error))
        return await self._record(job, operation)

    async def _requeue(self, job: Job, error: Overloaded | Unreachable) -> Job:
        """Nothing was accepted: the job goes back to the queue and is tried again, later each time."""
        age = (self._clock.now() - job.created_at).total_seconds()
        wait = min(7200.0, max(_asked_wait(error) or 0.0, min(120.0, 5.0 + age / 4)))
        log.info("job %d goes back to the queue for %.0f s: %s", job.id, wait, error.detail)
        not_before = self._clock.now() + timedelta(seconds=wait)
        return await self._store.jobs.move(job, JobState.QUEUED, not_before=not_before)

    async def _record(self, job: Job, operation: Operation) -> Job:
        """Write down what was bought, however long the database takes: a lost operation is a lost payment."""
        submitted_at = self._clock.now()
        failures = 0
        while True:
            try:
                return await self._store.jobs.move(
                    job, JobState.RUNNING, operation=operation, submitted_at=submitted_at
                )
            except StoreError:
                log.exception("job %d was accepted as %s, which cannot be stored yet", job.id, operation)
                failures += 1
                await self._clock.wait(asyncio.Event(), backoff(failures, None, self._chance.random()))
            except Moved:
                await self.abandon(job.provider, operation)
                raise

    async def watch(self, job: Job, give_up_at: datetime) -> Job:
        """Look until there is a verdict or the time is up."""
        provider = self._catalogue.providers[job.provider]
        self._watched[provider.name] += 1
        try:
            verdict = await self._verdict(job, provider, give_up_at)
        finally:
            self._watched[provider.name] -= 1
        match verdict:
            case Succeeded():
                ready_at = self._clock.now()
                return await self._store.jobs.move(
                    job, JobState.DOWNLOADING, video=verdict, ready_at=ready_at
                )
            case Failed():
                return await self.fail(job, Failure.PROVIDER_FAILED, verdict.detail)
            case None:
                return await self.fail(job, Failure.TIMED_OUT)

    async def _verdict(
        self, job: Job, provider: AnyProvider, give_up_at: datetime
    ) -> Succeeded | Failed | None:
        """What the vendor says in the end. A look that finds nothing new writes nothing."""
        times = await self._store.jobs.durations(job.provider, job.request.model)
        submitted_at = job.submitted_at or job.state_at
        pending = Pending()
        outages: deque[ProviderError] = deque(maxlen=8)
        wait = self._until_next_look(provider, submitted_at, times, pending)
        while True:
            await self._pause(wait)
            await self._still(job)
            try:
                answer = await provider.poll(job.operation or {})
            except ProviderError as error:
                log.info("job %d could not be looked at: %s", job.id, error.detail)
                outages.append(error)
                if _is_unknown(outages) and self._clock.now() > submitted_at + JUST_SUBMITTED:
                    return Failed(detail=error.detail)
                wait = backoff(len(outages), _asked_wait(error), self._chance.random())
            else:
                outages.clear()
                if not isinstance(answer, Pending):
                    return answer
                if answer != pending:
                    await self.show(job, progress=answer.progress)
                pending = answer
                wait = self._until_next_look(provider, submitted_at, times, pending)
            left = (give_up_at - self._clock.now()).total_seconds()
            if left <= 0:
                return None
            wait = min(wait, left)

    async def fetch(self, job: Job, give_up_at: datetime) -> Job:
        """Bring the finished file here and make sure that it is a video."""
        failures = bad = 0
        while True:
            try:
                await self._download(job, give_up_at)
                return await self._store.jobs.move(job, JobState.DELIVERING)
            except (Unusable, NotFound, BadVideo) as error:
                await self._still(job)
                log.warning("job %d: the download is no video: %s", job.id, error)
                bad += 1
                if bad >= DOWNLOADS:
                    return await self.fail(job, Failure.BAD_VIDEO, str(error))
            except TimeoutError:
                return await self.fail(job, Failure.TIMED_OUT)
            except (ProviderError, ChildFailed, OSError) as error:
                await self._still(job)
                log.warning("job %d: the download failed: %s", job.id, error)
            failures += 1
            if self._clock.now() >= give_up_at:
                return await self.fail(job, Failure.TIMED_OUT)
            await self._pause(backoff(failures, None, self._chance.random()))

    async def _download(self, job: Job, give_up_at: datetime) -> None:
        provider = self._catalogue.providers.get(job.provider)
        if provider is None or job.video is None:
            raise Unusable(f"{job.provider} is not set up any more")
        path = self._files.video(job.id)
        async with FileSink(path) as sink:
            await self._within(give_up_at, provider.download(job.operation or {}, job.video, sink))
        await verify(self._children, path)

    async def deliver(self, job: Job, give_up_at: datetime) -> Job:
        """Post the video in two moves; whichever of them is repeated, there is one message with one file."""
        failures = 0
        while True:
            try:
                if not self._files.video(job.id).exists():
                    await self._download(job, give_up_at)
                if job.message_id is None:
                    message_id = await self._letterbox.announce(job)
                    job = await self._store.jobs.move(job, JobState.DELIVERING, message_id=message_id)
                await self._letterbox.attach(job, message_id=job.message_id or 0)
                return await self._store.jobs.move(job, JobState.DELIVERED)
            except TooLarge as error:
                return await self.fail(job, Failure.TOO_LARGE, str(error))
            except (Undeliverable, BadVideo) as error:
                return await self.fail(job, Failure.UNDELIVERABLE, str(error))
            except (Undelivered, ProviderError, ChildFailed, OSError) as error:
                log.warning("job %d could not be delivered yet: %s", job.id, error)
                failures += 1
            if self._clock.now() >= give_up_at:
                return await self.fail(job, Failure.UNDELIVERABLE, "Discord did not take it in time")
            await self._pause(backoff(failures, None, self._chance.random()))

    async def fail(self, job: Job, failure: Failure, detail: str | None = None) -> Job:
        log.warning("job %d on %s failed: %s: %s", job.id, job.provider, failure, detail)
        return await self._store.jobs.move(job, JobState.FAILED, failure=failure, detail=detail or "")

    async def show(self, job: Job, *, position: int | None = None, progress: float | None = None) -> None:
        """Tell the card how the job stands."""
        card = await self._card(job, position, progress)
        with suppress(StoreError):
            fresh = await self._store.jobs.get(job.id)
            if fresh is not None and fresh.state is not job.state:
                return  # somebody moved it meanwhile, and shows what came of it
        self._letterbox.show(card)

    async def open(self, job: Job) -> int | None:
        """Post the card of a new job; its message id, or None if Discord does not take it."""
        return await self._letterbox.open(await self._card(job, None, None))

    async def abandon(self, provider_name: str, operation: Operation) -> None:
        provider = self._catalogue.providers.get(provider_name)
        if provider is not None:
            with suppress(ProviderError, TimeoutError):
                await provider.cancel(operation)

    async def _card(self, job: Job, position: int | None, progress: float | None) -> Card:
        spec = self._catalogue.spec(job.provider, job.request.model)
        provider = self._catalogue.providers.get(job.provider)
        times: list[float] = []
        with suppress(StoreError):  # a card without an estimate is better than a job that stands still
            times = await self._store.jobs.durations(job.provider, job.request.model)
        return Card(
            job=job,
            provider=provider.label if provider else job.provider,
            model=spec.name if spec else job.request.model,
            position=position,
            progress=progress,
            typical_seconds=typical(times, spec.typical_seconds if spec else None),
        )

    def _until_next_look(
        self, provider: AnyProvider, submitted_at: datetime, times: list[float], pending: Pending
    ) -> float:
        elapsed = (self._clock.now() - submitted_at).total_seconds()
        pace = Pace(provider.shortest_wait, provider.looks_per_minute, self._watched[provider.name])
        return next_look(elapsed, times, pending.remaining_seconds, pace)

    async def _still(self, job: Job) -> None:
        """Raise Moved if somebody ended the job while we waited; the vendor need not be asked then."""
        fresh = await self._store.jobs.get(job.id)
        if fresh is None or fresh.state is not job.state:
            raise Moved(f"job {job.id} is no longer {job.state}")

    async def _pause(self, seconds: float) -> None:
        if await self._clock.wait(self.stopping, seconds):
            raise Stopping

    async def _within(self, give_up_at: datetime, call: Awaitable[T]) -> T:
        """Await an outside call until the job would be given up; raises TimeoutError."""
        async with asyncio.timeout(max(1.0, (give_up_at - self._clock.now()).total_seconds())):
            return await call


def _failure_of(error: ProviderError | TimeoutError) -> Failure:
    """What a submit that did not yield an operation means for the job."""
    match error:
        case Unauthorized():
            return Failure.UNAUTHORIZED
        case OutOfFunds():
            return Failure.OUT_OF_FUNDS
        case Rejected():
            return Failure.REJECTED
        case _:
            return Failure.OUTCOME_UNKNOWN


def _asked_wait(error: ProviderError) -> float | None:
    """Seconds that the vendor asks us to stay away, where it says so."""
    return error.retry_after if isinstance(error, Overloaded) else None


def _is_unknown(outages: deque[ProviderError]) -> bool:
    """Whether the vendor keeps saying that it does not know the operation."""
    latest = list(outages)[-UNKNOWN_LOOKS:]
    return len(latest) == UNKNOWN_LOOKS and all(isinstance(error, NotFound) for error in latest)
