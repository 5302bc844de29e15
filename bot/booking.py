"""The desk: what a person may ask for. Everything is checked here before one row books the job."""

import functools
import logging
from collections.abc import Callable, Collection, Iterable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace

from bot import safety
from bot.catalogue import Catalogue
from bot.clock import Clock
from bot.engine.cadence import ENOUGH, typical
from bot.engine.engine import Engine
from bot.errors import BadRequest, NotAllowed, NotNow, OverAllowance
from bot.intake import Intake, Order
from bot.jobs import CANCELLABLE, Job, JobState
from bot.media.job_files import JobFiles
from bot.notices import reason
from bot.offers import ModelOffer, ProviderOffer
from bot.outages import DOUBT, is_doubtful, outage
from bot.pricing import check_price
from bot.quota.allowances import Allowance, Refusal, Standing
from bot.quota.limits import NO_LIMITS, Limits
from bot.quota.rules import ServerRules
from bot.refusals import refusal, stopped
from bot.store import Store
from bot.store.accounts import NotBooked
from bot.store.db import StoreError, Unanswered
from bot.store.jobs import Moved
from bot.waste import Waste
from bot.words import escape
from providers.child import Children
from providers.specs import ModelSpec, OptionRefused, VideoRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HouseRules:
    """What the operator has decided; of the first and the last, a server may decide otherwise."""

    allowance: Allowance
    max_file_bytes: int
    blocked_words: Iterable[str]
    fallback: bool
    """Whether a job that no provider has accepted may go to another one, where the member named none."""
    limits: Limits = NO_LIMITS


class Booking:
    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        engine: Engine,
        files: JobFiles,
        children: Children,
        clock: Clock,
        rules: HouseRules,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self.catalogue = catalogue
        self._engine = engine
        self._files = files
        self._intake = Intake(children, rules.max_file_bytes)
        self._clock = clock
        self.waste = Waste(store, clock)
        self._rules = rules
        self._wake = wake

    async def enqueue(self, order: Order) -> Job:
        """Check everything, book the job, post its card. Raises UserFault: then nothing was charged.

        Only where the database does not even say what it has, the fault says how to find out.
        """
        if self._engine.stopping.is_set():
            raise NotNow("I am being restarted. Try again in a minute; nothing was charged.")
        async with self._intake.place(order):
            try:
                if (booked := await self._store.jobs.get(order.id)) is not None:
                    return booked
                new = await self._prepare(order)
            except (StoreError, OSError) as error:
                raise self._no(error) from error
            booked = await self._book(order, new)
        return await self._post_card(booked)

    async def _prepare(self, order: Order) -> Job:
        """Everything before the job is booked; its files are kept afterwards. Raises UserFault."""
        safety.check(order.prompt, self._rules.blocked_words)
        self._intake.check(order.files)
        wish = order.wish()
        rules = await self._store.decisions.rules(order.guild_id)
        now = self._clock.now()
        pauses = await self._store.pauses.get()
        if pauses.everything is not None:
            raise NotNow(stopped(pauses.everything))
        name, spec = self.catalogue.choose(
            wish, order.provider, now, rules.default_provider, pauses.providers.keys()
        )
        if (why := pauses.why(name)) is not None:
            raise NotNow(stopped(why, self.catalogue.label(name)))
        self._check(name, spec, wish)
        price = rules.price(name, spec, wish)
        await self.waste.check_order(order.guild_id, order.user_id)
        standing = await self.standing(order.guild_id, order.user_id, order.role_ids)
        if (why := standing.refusal(price, 0)) is not None:
            raise OverAllowance(refusal(why, standing, price))
        wish = wish.model_copy(update={"model": spec.id})
        request, thumbnail = await self._intake.read(order, spec, wish)
        self._check(name, spec, request)
        quoted = await self.catalogue.quote(name, spec, request)
        check_price(self.catalogue.providers[name], quoted, rules, self._rules.limits)
        if (why := standing.refusal(price, quoted or 0)) is not None:
            raise self._refused(order, why, standing, price, quoted or 0)
        try:
            await self._files.keep(order.id, request, thumbnail)
        except OSError:
            await self._discard(order.id)
            raise
        return self._new_job(order, name, request, price, quoted, rules)

    def _refused(
        self, order: Order, why: Refusal, standing: Standing, price: int, cost: int
    ) -> OverAllowance:
        if why is Refusal.OPERATOR_BUDGET_SPENT:
            self._store.spending.was_refused(standing.exceeded(cost), order.guild_id, self._clock.now())
        return OverAllowance(refusal(why, standing, price, cost))

    async def _book(self, order: Order, new: Job) -> Job:
        """Write the row. The files took their time: what counts is how things stand now. Raises UserFault."""
        try:
            booked = await self._reserve(order, new)
        except StoreError as error:
            if is_doubtful(error):
                raise NotNow(f"{outage(error)} {DOUBT}") from error
            await self._discard(new.id)
            raise self._no(error) from error
        if isinstance(booked, NotBooked):
            await self._discard(new.id)
            raise self._refused(order, booked.why, booked.standing, new.price, new.cost_micros)
        return booked

    async def _reserve(self, order: Order, new: Job) -> Job | NotBooked:
        """Book the job; where that was not answered, once more: what is there already is found."""
        reserve = functools.partial(self._store.accounts.reserve, new, order.role_ids, self._rules.allowance)
        try:
            return await reserve()
        except Unanswered as unanswered:
            log.warning("whether job %d was booked is not known: %s", new.id, unanswered)
            with suppress(StoreError):
                return await reserve()
            # A failed look changes nothing: it may have been booked.
            with suppress(StoreError):
                if (booked := await self._store.jobs.get(new.id)) is not None:
                    return booked
            raise

    def _no(self, error: StoreError | OSError) -> Exception:
        """What a fault before the booking is to the person; itself, if there is nothing to tell."""
        what = outage(error)
        log.warning("an order was not taken: %r", error)
        return NotNow(f"{what} Try again in a minute. Nothing was charged.") if what else error

    async def _discard(self, job_id: int) -> None:
        with suppress(OSError):  # what is left is swept away later
            await self._files.discard(job_id)

    def close(self) -> None:
        """Take nothing more: the bot is being stopped."""
        self._engine.stopping.set()

    async def cancel(self, job_id: int, guild_id: int, user_id: int, moderates: Callable[[int], bool]) -> Job:
        """End a job of this server for its requester or a moderator of its channel. Raises UserFault."""
        job = await self._store.jobs.get(job_id)
        if job is None or job.guild_id != guild_id:
            raise NotNow("I do not know this job any more; `/jobs list` shows yours and what was charged.")
        moderator = user_id != job.user_id
        if moderator and not moderates(job.channel_id):
            raise NotAllowed("Only the member who asked for this video, or a moderator, can cancel it.")
        # A job may get on just now; as long as its new state allows it, it is cancelled all the same.
        while job is not None and job.state in CANCELLABLE:
            is_late = not moderator and job.asked_at is not None and not self._engine.stops(job)
            async with self.waste.one_at_a_time(user_id) if is_late else nullcontext():
                if is_late:
                    await self.waste.check_cancel(job, self.catalogue.label(job.provider))
                try:
                    return await self._engine.cancel(job, user_id)
                except Moved:
                    job = await self._store.jobs.get(job_id)
        if job is not None and job.state is JobState.DELIVERING:
            raise NotNow("Too late to cancel: the video is being posted right now.")
        raise NotNow("This job is over already; `/jobs list` shows how, and what was charged.")

    async def standing(self, guild_id: int, user_id: int, role_ids: Collection[int]) -> Standing:
        """Where the member stands now."""
        return await self._store.accounts.standing(
            guild_id, user_id, role_ids, self._rules.allowance, self._clock.now()
        )

    async def providers(self, guild_id: int) -> list[ProviderOffer]:
        """Every enabled provider with its models, the server's default first."""
        rules = await self._store.decisions.rules(guild_id)
        now = self._clock.now()
        makers: list[ProviderOffer] = []
        for name in self.catalogue.ranked(rules.default_provider):
            health = self.catalogue.health[name]
            offers = [await self._offer(name, spec, rules) for spec in self.catalogue.specs(name)]
            makers.append(ProviderOffer(self.catalogue.label(name), health, health.is_available(now), offers))
        return makers

    async def _offer(self, name: str, spec: ModelSpec, rules: ServerRules) -> ModelOffer:
        times = await self._store.jobs.durations(name, spec.id)
        return ModelOffer(
            spec=spec,
            tariff=rules.tariff(name, spec.id),
            typical_seconds=typical(times, spec.typical_seconds),
            measured=len(times) >= ENOUGH,
        )

    async def recent(self, guild_id: int, user_id: int, limit: int) -> list[Job]:
        """The member's latest jobs in this server, newest first."""
        return await self._store.jobs.recent(guild_id, user_id, limit)

    def _check(self, name: str, spec: ModelSpec, request: VideoRequest) -> None:
        """Whether the provider can be asked now, and the model takes this request. Raises UserFault."""
        if (paused := self.catalogue.health[name].paused) is not None:
            raise NotNow(f"{reason(paused, self.catalogue.providers[name].label)} Nothing was charged.")
        try:
            spec.check(request)
        except OptionRefused as refusal:
            others = self.catalogue.takers(spec.mode, refusal.option) if refusal.option else []
            instead = (
                f" Models that do take it: {', '.join(escape(other) for other in others)}." if others else ""
            )
            raise BadRequest(f"{escape(str(refusal), 900)}{instead} Nothing was charged.") from refusal

    async def _post_card(self, job: Job) -> Job:
        """Show the job and let it go. Where not even its card can be posted, no video could be either."""
        try:
            card_id = await self._engine.open(job)
            if card_id is not None:
                return replace(job, card_id=card_id)
            try:
                await self._engine.cancel(job, job.user_id)
            except (Moved, StoreError):
                return (
                    job  # it was promoted meanwhile, or is booked for all we know: it goes on without a card
                )
            raise NotAllowed("I could not post in this channel just now. Nothing was charged.")
        finally:
            self._wake()

    def _new_job(
        self,
        order: Order,
        provider: str,
        request: VideoRequest,
        price: int,
        quoted: int | None,
        rules: ServerRules,
    ) -> Job:
        now = self._clock.now()
        allowed = self._rules.fallback if rules.fallback is None else rules.fallback
        return Job(
            id=order.id,
            guild_id=order.guild_id,
            channel_id=order.channel_id,
            parent_id=order.parent_id,
            is_public=order.is_public,
            user_id=order.user_id,
            provider=provider,
            request=request,
            state=JobState.QUEUED,
            price=price,
            charged=price,
            quoted_micros=quoted,
            cost_micros=quoted or 0,
            role_ids=tuple(order.role_ids),
            may_fall_back=allowed and order.provider is None and order.model is None,
            created_at=now,
            state_at=now,
            not_before=now,
        )
