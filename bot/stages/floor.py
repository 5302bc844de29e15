"""What the stages of a job have in common: where rows, files and cards are, and how waiting is done."""

import asyncio
import logging
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from bot.cadence import typical
from bot.cards import Card, Letterbox
from bot.catalogue import Catalogue
from bot.clock import Clock
from bot.jobs import Failure, Job, JobState
from bot.media.child import Children
from bot.media.jobfiles import JobFiles
from bot.store import Store
from bot.store.db import StoreError
from bot.store.jobs import Changes, Moved
from providers.base import Operation
from providers.errors import NO_ADVICE, Advice, ProviderError

log = logging.getLogger(__name__)
T = TypeVar("T")
_QUARTER = 15


class Stopping(Exception):
    """The bot is being stopped; the row waits for the next start."""


class Floor:
    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        letterbox: Letterbox,
        files: JobFiles,
        children: Children,
        encoders: Children,
        clock: Clock,
    ) -> None:
        self.store = store
        self.catalogue = catalogue
        self.letterbox = letterbox
        self.files = files
        self.children = children
        self.encoders = encoders
        """For what takes minutes, so that nothing short waits for it."""
        self.clock = clock
        self.watched: Counter[str] = Counter()
        """How many operations of each provider are being looked at."""
        self.stopping = asyncio.Event()
        self._chance = random.Random()  # noqa: S311 - spreads retries, guards nothing

    def chance(self) -> float:
        return self._chance.random()

    async def fail(
        self, job: Job, failure: Failure, detail: str | None = None, advice: Advice | None = None
    ) -> Job:
        """End the job; the detail is for the log and the row, the advice for the member."""
        log.warning("job %d on %s failed: %s: %s", job.id, job.provider, failure, detail)
        changes = Changes(failure=failure, detail=detail or "")
        if advice is not None and advice != NO_ADVICE:
            changes["advice"] = advice
        return await self.store.jobs.move(job, JobState.FAILED, **changes)

    def heard(self, provider: str, error: ProviderError | None, job_id: int | None = None) -> None:
        """Remember how a provider has answered; say it once when it is left alone for a while.

        The job is named where it was only looked at.
        """
        fitness = self.catalogue.ward[provider]
        if error is None:
            fitness.seen()
            return
        paused, rests = fitness.paused, fitness.rests
        fitness.failed(error, self.clock.now(), job_id)
        if fitness.paused is not None and paused is None:
            log.error("%s is paused for everybody (%s): %s", provider, fitness.paused, error.detail)
        elif fitness.rests > rests:
            log.warning("%s is left alone until %s after outages in a row", provider, fitness.rests_until)

    async def show(
        self,
        job: Job,
        *,
        position: int | None = None,
        progress: float | None = None,
        remaining: float | None = None,
    ) -> None:
        """Tell the card how the job stands; `remaining` is the vendor's own guess in seconds."""
        card = await self._card(job, position, progress, remaining)
        with suppress(StoreError):
            fresh = await self.store.jobs.get(job.id)
            if fresh is not None and fresh.state is not job.state:
                return  # somebody moved it meanwhile, and shows what came of it
        self.letterbox.show(card)

    async def reporter(self, job: Job) -> Callable[[float], None]:
        """Something to tell the card how far its video is."""
        card = await self._card(job)
        return lambda share: self.letterbox.show(replace(card, progress=share))

    async def open(self, job: Job) -> int | None:
        """Post the card of a new job; its message id, or None if Discord does not take it."""
        return await self.letterbox.open(await self._card(job))

    async def abandon(self, provider_name: str, operation: Operation) -> None:
        """Tell the vendor to stop, as well as it can be told."""
        provider = self.catalogue.providers.get(provider_name)
        if provider is not None:
            with suppress(ProviderError, TimeoutError):
                await provider.cancel(operation)

    async def still(self, job: Job) -> None:
        """Raise Moved if somebody ended the job while we waited; the vendor need not be asked then."""
        fresh = await self.store.jobs.get(job.id)
        if fresh is None or fresh.state is not job.state:
            raise Moved(f"job {job.id} is no longer {job.state}")

    async def pause(self, seconds: float) -> None:
        """Wait; raises Stopping as soon as the bot is being stopped."""
        if await self.clock.wait(self.stopping, seconds):
            raise Stopping

    async def within(self, give_up_at: datetime, call: Awaitable[T]) -> T:
        """Await an outside call until the job would be given up; raises TimeoutError."""
        async with asyncio.timeout(max(1.0, (give_up_at - self.clock.now()).total_seconds())):
            return await call

    async def _card(
        self,
        job: Job,
        position: int | None = None,
        progress: float | None = None,
        remaining: float | None = None,
    ) -> Card:
        spec = self.catalogue.spec(job.provider, job.request.model)
        times: list[float] = []
        with suppress(StoreError):  # a card without an estimate is better than a job that stands still
            times = await self.store.jobs.durations(job.provider, job.request.model)
        return Card(
            job=replace(job, request=spec.complete(job.request)) if spec else job,
            provider=self.catalogue.label(job.provider),
            model=spec.name if spec else job.request.model,
            position=position,
            progress=progress,
            promised_at=None if remaining is None else _rounded(self.clock.now(), remaining),
            price_at_least=bool(spec and spec.price and spec.price.at_least),
            typical_seconds=typical(times, spec.typical_seconds if spec else None),
            fell_from=self.catalogue.label(job.fell_from) if job.fell_from else None,
        )


def _rounded(now: datetime, remaining: float) -> datetime:
    """When that is, to the next quarter of a minute: a card is not edited for seconds."""
    return datetime.fromtimestamp(math.ceil((now.timestamp() + remaining) / _QUARTER) * _QUARTER, UTC)
