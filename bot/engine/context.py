"""What the engine's modules share: store, catalogue, files, cards, and how waiting and writing are done."""

import asyncio
import logging
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Unpack

from bot.catalogue import Catalogue
from bot.clock import Clock
from bot.engine import retry
from bot.engine.cadence import typical
from bot.engine.uptime import Uptime
from bot.jobs import Failure, Job, JobState, billed
from bot.media.job_files import JobFiles
from bot.posting import Card, Hold, Posters
from bot.quota.limits import NO_LIMITS, Limits
from bot.store import Store
from bot.store.db import StoreError
from bot.store.jobs import Changes, Moved
from providers.base import Operation, Provider
from providers.child import Children
from providers.errors import NO_ADVICE, Advice, OutOfFunds, ProviderError, Unauthorized

log = logging.getLogger(__name__)
_QUARTER = 15
STILL_THERE = timedelta(minutes=5)
"""How long a provider may still work on what was given up here."""
FALLBACKS_AT_ONCE = 4
"""Queued jobs whose files are held in memory at the same time."""


class Stopping(Exception):
    """The bot is being stopped; the row waits for the next start."""


class JobContext:
    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        posters: Posters,
        files: JobFiles,
        children: Children,
        encoders: Children,
        clock: Clock,
        limits: Limits = NO_LIMITS,
    ) -> None:
        self.store = store
        self.limits = limits
        """The operator's."""
        self.catalogue = catalogue
        self.cards = posters.cards
        self.videos = posters.videos
        self.files = files
        self.children = children
        self.encoders = encoders
        """For what takes minutes, so that nothing short waits for it."""
        self.clock = clock
        self.polled: Counter[str] = Counter()
        """How many operations of each provider are being looked at."""
        self.stopping = asyncio.Event()
        self.declined: dict[int, frozenset[tuple[str, str]]] = {}
        """Queued jobs that could go to another provider, and the offers that turned out not to do."""
        self.fallback_slots = asyncio.Semaphore(FALLBACKS_AT_ONCE)
        self._in_queue: dict[int, Card] = {}
        """What the cards of queued jobs show."""
        self.uptime = Uptime(clock.now())
        self._chance = random.Random()  # noqa: S311 - spreads retries, guards nothing

    def jitter(self) -> float:
        return self._chance.random()

    async def fail(
        self, job: Job, failure: Failure, detail: str | None = None, advice: Advice | None = None
    ) -> Job:
        """End the job; the detail is for the log and the row, the advice for the member."""
        log.warning("job %d on %s failed: %s: %s", job.id, job.provider, failure, detail)
        changes = Changes(failure=failure, detail=detail or "")
        if not billed(job, failure, advice.refunded if advice else None):
            changes["cost_micros"] = 0
        if failure in {Failure.TIMED_OUT, Failure.OUTCOME_UNKNOWN} and not self.stops_on_cancel(job):
            changes["held_until"] = self.clock.now() + STILL_THERE
        if advice is not None and advice != NO_ADVICE:
            changes["advice"] = advice
        return await self.move(job, JobState.FAILED, **changes)

    def stops_on_cancel(self, job: Job) -> bool:
        """Whether the job's provider stops working on it when it is told to."""
        provider = self.catalogue.providers.get(job.provider)
        return provider is None or provider.terms.stops_on_cancel

    async def move(self, job: Job, state: JobState, **changes: Unpack[Changes]) -> Job:
        """Move a job, however long the database takes. Raises Moved.

        Raises Stopping if the bot is stopped meanwhile, but not for what a vendor has answered to a purchase:
        that cannot be found out a second time.
        """
        at = self.clock.now()
        return await self._written(
            job, lambda again: self.store.jobs.move(job, state, at=at, again=again, **changes)
        )

    async def ask(self, job: Job) -> Job:
        """Take the right to ask the vendor to start. Raises Stopping, or Moved if it is no longer wanted."""
        if self.stopping.is_set():
            raise Stopping
        at = self.clock.now()
        return await self._written(job, lambda again: self.store.jobs.ask(job, at=at, again=again))

    async def _written(self, job: Job, write: Callable[[bool], Awaitable[Job]]) -> Job:
        """Write until the database answers: an answer that did not arrive is no answer."""
        has_asked = job.state is JobState.SUBMITTING and job.asked_at is not None
        failures = retry.Failures(self.jitter)
        while True:
            try:
                return await write(failures.count > 0)
            except StoreError as error:
                log.warning("job %d cannot be written down yet: %s", job.id, error)
            wait = failures.next_wait()
            if not has_asked:
                await self.pause(wait)
            elif self.stopping.is_set():
                # Little time is left, and the database may be back any moment.
                await self.clock.wait(asyncio.Event(), min(wait, 1.0))
            else:
                await self.clock.wait(self.stopping, wait)

    async def mark_overdue(self, job: Job) -> Job:
        """Note that a job waits beyond its usual time, so that others need not wait for it.

        Raises Moved or StoreError.
        """
        if job.overdue_at is not None:
            return job
        log.warning("job %d waits for %s beyond its usual time", job.id, job.provider)
        job = await self.store.jobs.move(job, job.state, overdue_at=self.clock.now())
        await self.show(job)
        return job

    def kept_until(self, job: Job) -> datetime:
        """Until when the vendor keeps a finished video: as its answer says, else as it usually does."""
        if job.video is not None and job.video.expires_at is not None:
            return job.video.expires_at
        provider = self.catalogue.providers.get(job.provider)
        seconds = (provider.terms if provider else Provider.terms).keeps_for
        return (job.ready_at or job.overdue_at or job.state_at) + timedelta(seconds=seconds)

    def awake_since(self) -> datetime:
        """The end of the latest pause of the bot, or its start."""
        return self.uptime.awake_since(self.clock.now())

    def is_time_up(self, deadline: datetime, since: datetime) -> bool:
        """Whether a time is up: past its deadline, and GRACE after `since` and after any pause of ours."""
        return retry.is_time_up(self.clock.now(), deadline, since, self.awake_since())

    def record_answer(self, provider: str, error: ProviderError | None, job_id: int | None = None) -> None:
        """Remember how a provider has answered; say it once when it begins to rest.

        The job is named where an answer may be about that job alone.
        """
        health = self.catalogue.health[provider]
        if error is None:
            health.record_answer()
            return
        rests = health.rest_count
        health.record_failure(error, self.clock.now(), job_id)
        if isinstance(error, Unauthorized | OutOfFunds):
            self.catalogue.suspect_key(provider)
        if health.rest_count > rests:
            log.warning("%s rests until %s after outages in a row", provider, health.resting_until)

    def record_unpaid(self, job: Job) -> None:
        """Remember that a provider has refused a job for lack of money; say it once when that pauses it."""
        health = self.catalogue.health[job.provider]
        was_paused = health.paused
        health.record_unpaid(job.user_id, job.cost_micros, self.clock.now())
        if health.paused is not was_paused:
            log.error("%s is paused: it refuses everybody's videos for lack of credit", job.provider)

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
        self.cards.show(card)

    async def show_queue(self, places: Sequence[tuple[Job, int, Hold | None]]) -> None:
        """Tell the cards of queued jobs their places; as many reads, however many jobs there are."""
        times: dict[tuple[str, str], list[float]] = {}
        cards = [replace(await self._card(job, place, times=times), hold=hold) for job, place, hold in places]
        changed = [card for card in cards if self._in_queue.get(card.job.id) != card]
        self._in_queue = {card.job.id: card for card in cards}
        self.declined = {job.id: self.declined[job.id] for job, *_ in places if job.id in self.declined}
        if changed:
            still = await self.store.jobs.queued_still()
            for card in changed:
                if card.job.id in still:  # whoever moved it meanwhile shows what came of it
                    self.cards.show(card)

    def forget_queue(self) -> None:
        """Show all places again at the next round: a card may have been lost on its way."""
        self._in_queue.clear()

    async def progress_reporter(self, job: Job) -> Callable[[float], None]:
        """Something to tell the card how far its video is."""
        card = await self._card(job)
        return lambda share: self.cards.show(replace(card, progress=share))

    async def post_card(self, job: Job) -> int | None:
        """Post the card of a new job; its message id, or None if Discord does not take it."""
        return await self.cards.open(await self._card(job))

    async def cancel_at_provider(self, provider_name: str, operation: Operation) -> None:
        """Tell the vendor to stop, as well as it can be told."""
        provider = self.catalogue.providers.get(provider_name)
        if provider is not None:
            await quietly(provider.cancel(operation))

    async def check_unmoved(self, job: Job) -> None:
        """Raise Moved if somebody ended the job while we waited; the vendor need not be asked then."""
        fresh = await self.store.jobs.get(job.id)
        if fresh is None or fresh.state is not job.state:
            raise Moved(f"job {job.id} is no longer {job.state}")

    async def pause(self, seconds: float) -> None:
        """Wait; raises Stopping as soon as the bot is being stopped."""
        due = self.clock.now() + timedelta(seconds=seconds)
        if await self.clock.wait(self.stopping, seconds):
            raise Stopping
        self.uptime.awake_since(self.clock.now(), due)

    async def _card(
        self,
        job: Job,
        position: int | None = None,
        progress: float | None = None,
        remaining: float | None = None,
        *,
        times: dict[tuple[str, str], list[float]] | None = None,
    ) -> Card:
        """What the card says; `times` keeps what models have taken, for whoever asks for many cards."""
        spec = self.catalogue.spec(job.provider, job.request.model)
        known = {} if times is None else times
        model = job.provider, job.request.model
        if model not in known:
            known[model] = []
            with suppress(StoreError):  # a card without an estimate is better than a job that stands still
                known[model] = await self.store.jobs.durations(*model)
        return Card(
            job=replace(job, request=spec.complete(job.request)) if spec else job,
            provider=self.catalogue.label(job.provider),
            model=spec.name if spec else job.request.model,
            position=position,
            progress=progress,
            promised_at=None if remaining is None else _rounded(self.clock.now(), remaining),
            price_at_least=bool(spec and spec.price and spec.price.at_least),
            typical_seconds=typical(known[model], spec.typical_seconds if spec else None),
            kept_until=self.kept_until(job) if job.overdue_at else None,
            fallback_from=self.catalogue.label(job.fallback_from) if job.fallback_from else None,
        )


async def quietly(telling: Awaitable[None]) -> None:
    """Tell a vendor something that nothing of ours depends on."""
    try:
        await telling
    except (ProviderError, TimeoutError) as error:
        log.info("a vendor could not be told: %r", error)
    except Exception:
        log.exception("a vendor could not be told")


def _rounded(now: datetime, remaining: float) -> datetime:
    """When that is, to the next quarter of a minute: a card is not edited for seconds."""
    return datetime.fromtimestamp(math.ceil((now.timestamp() + remaining) / _QUARTER) * _QUARTER, UTC)
