"""What the operator is told directly: once when something needs them, and once when that is over.

What was told is remembered in the database, so that a restart repeats nothing.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from bot.catalogue import Catalogue
from bot.clock import Clock
from bot.errors import DeliveryFault, Undelivered
from bot.jobs import Failure
from bot.provider_health import ProviderHealth
from bot.quota.limits import Limits, OperatorBudget, Period, Scope
from bot.store import Store
from bot.words import count, dollars, escape, relative

log = logging.getLogger(__name__)

ROUND = 60.0
"""Seconds between two looks."""
QUIET = timedelta(minutes=5)
"""Between two messages; what comes up meanwhile is told in one."""
CALM = timedelta(minutes=10)
"""How long something has to be away to be over."""
NEAR = 0.8
"""The share of a budget from which on it is nearly used up."""
_LISTED = 10
_A = {Period.HOUR: "hourly", Period.DAY: "daily", Period.MONTH: "monthly"}
_NOTE = "what the operator was told"
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Trouble:
    """Something that needs the operator."""

    key: str
    text: str
    over: str
    """What is said when it has ended."""
    level: int = 1
    """The same trouble is told again when it has become worse."""


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)

    level: int
    over: str
    gone_since: AwareDatetime | None = None


class Memory(BaseModel):
    """What the operator knows."""

    model_config = ConfigDict(frozen=True)

    told: dict[str, _Told] = {}
    at: AwareDatetime | None = None
    """The time of the latest message."""


@dataclass(frozen=True)
class News:
    """What is to be remembered, and what is to be told before, if anything is."""

    memory: Memory
    lines: Sequence[str] = ()
    about: str = ""
    """The same for the same news."""


def news(memory: Memory, troubles: Sequence[Trouble], now: datetime) -> News:
    """What has come up, become worse or ended since the operator was told. Pure."""
    present = {trouble.key: trouble for trouble in troubles}
    told = {key: _seen(known, now, is_present=key in present) for key, known in memory.told.items()}
    ended = [key for key, known in told.items() if known.gone_since and abs(now - known.gone_since) >= CALM]
    begun = [
        trouble for trouble in troubles if trouble.key not in told or trouble.level > told[trouble.key].level
    ]
    is_quiet = memory.at is not None and abs(now - memory.at) < QUIET
    if not (begun or ended) or is_quiet:
        return News(memory.model_copy(update={"told": told}))
    lines = [*(trouble.text for trouble in begun), *(f"Over: {told[key].over}" for key in ended)]
    told |= {trouble.key: _Told(level=trouble.level, over=trouble.over) for trouble in begun}
    about = " ".join([*(f"{trouble.key} {trouble.level}" for trouble in begun), *ended])
    kept = {key: known for key, known in told.items() if key not in ended}
    return News(Memory(told=kept, at=now), lines, about)


def _seen(known: _Told, now: datetime, *, is_present: bool) -> _Told:
    if is_present:
        return known.model_copy(update={"gone_since": None})
    return known.model_copy(update={"gone_since": known.gone_since or now})


def budget_trouble(budget: OperatorBudget, guild_id: int, *, was_refused: bool) -> Trouble | None:
    """Whether a budget is nearly or wholly used up; the latter, too, if a video did not fit. Pure."""
    if budget.spent < budget.limit * NEAR and not was_refused:
        return None
    whose = "the bot" if budget.scope is Scope.BOT else f"server {guild_id}"
    name = f"the {_A[budget.period]} budget of {whose}"
    key = f"budget {budget.scope} {guild_id if budget.scope is Scope.SERVER else 0} {budget.period}"
    spent = f"{dollars(budget.spent)} of {dollars(budget.limit)}"
    over = f"{name} has room again."
    if was_refused or budget.spent >= budget.limit:
        until = "" if budget.period is Period.HOUR else f" until {relative(budget.window.end)}"
        return Trouble(key, f"Used up: {name} ({spent}). Videos that do not fit are refused{until}.", over, 2)
    return Trouble(key, f"{NEAR:.0%} used: {name} ({spent}).", over)


def provider_troubles(name: str, label: str, health: ProviderHealth) -> Iterator[Trouble]:
    """What only the operator can put right at a provider. Pure."""
    label, funds = escape(label), health.funds
    if health.paused is Failure.UNAUTHORIZED:
        text = f"{label} does not accept the bot's key any more. No job is sent there until it does."
        yield Trouble(f"provider {name} {health.paused}", text, f"{label} accepts the bot's key again.")
    # Its pause ends where nobody can ask for its balance, and its account may still be empty.
    if health.paused is Failure.OUT_OF_FUNDS or funds.is_empty:
        text = f"The bot's account at {label} has no credit left. No job is sent there until it has."
        key = f"provider {name} {Failure.OUT_OF_FUNDS}"
        yield Trouble(key, text, f"{label} takes the bot's jobs again.")
    if funds.cost is not None:
        text = f"{label} refused a video for lack of credit. Look at the bot's account there."
        yield Trouble(f"funds {name}", text, f"{label} takes such videos again.")


class Watch:
    """Looks every minute, and tells."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        limits: Limits,
        clock: Clock,
        tell: Callable[[str, str], Awaitable[None]],
        free: Callable[[], int],
        least: int,
    ) -> None:
        """`tell` takes a text and what it is about; it raises DeliveryFault."""
        self._store = store
        self._catalogue = catalogue
        self._limits = limits
        self._clock = clock
        self._tell = tell
        self._free = free
        """Bytes that the disk has free. Raises OSError."""
        self._least = least
        self._memory = Memory()

    async def start(self) -> None:
        """Remember what was told. A provider's key that did not work is tried before it is used again.

        Raises StoreError.
        """
        try:
            memory = Memory.model_validate_json(await self._store.notes.get(_NOTE) or "{}")
        except ValidationError:
            log.warning("nobody knows what the operator was told")
            return
        told = dict(memory.told)
        for key in memory.told:
            match key.split():
                case ["provider" | "funds", name, *_] if name not in self._catalogue.providers:
                    # It was switched off, and nobody learns any more whether that is over.
                    del told[key]
                case ["provider", name, why]:
                    self._catalogue.health[name].restore_pause(Failure(why), self._clock.now())
                case ["funds", name]:
                    self._catalogue.health[name].funds.cost = 0
                case _:
                    pass
        self._memory = memory.model_copy(update={"told": told})

    async def keep(self) -> None:
        """For ever. Whatever goes wrong here is nobody else's trouble."""
        never = asyncio.Event()
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("what the operator has to know could not be looked at")
            await self._clock.wait(never, ROUND)

    async def look(self) -> None:
        """One look. Raises StoreError."""
        now = self._clock.now()
        found = news(self._memory, await self._troubles(now), now)
        if found.lines:
            text = _text(found.lines)
            log.warning("to the operator: %s", text)
            try:
                await self._tell(text, found.about)
            except Undelivered as error:
                log.warning("the operator could not be told yet: %s", error)
                return
            except DeliveryFault as error:
                log.warning("the operator cannot be told directly: %s", error)
        if found.memory != self._memory:
            await self._store.notes.set(_NOTE, found.memory.model_dump_json())
            self._memory = found.memory

    async def _troubles(self, now: datetime) -> list[Trouble]:
        health = self._catalogue.health
        providers = [
            trouble
            for name, provider in self._catalogue.providers.items()
            for trouble in provider_troubles(name, provider.label, health[name])
        ]
        budgets = [trouble async for trouble in self._budgets(now)]
        return [
            trouble
            for trouble in (*providers, *budgets, *await asyncio.to_thread(lambda: list(self._disk())))
            if trouble
        ]

    async def _budgets(self, now: datetime) -> AsyncIterator[Trouble | None]:
        spending = self._store.spending
        for scope, period, limit, window in self._limits.windows(now):
            spent = await spending.by_server(period, now)
            refused = spending.refused(scope, period, window)
            if scope is Scope.BOT:
                budget = OperatorBudget(limit, sum(spent.values()), window, scope, period)
                yield budget_trouble(budget, 0, was_refused=bool(refused))
                continue
            for guild_id in {*spent, *refused}:
                budget = OperatorBudget(limit, spent.get(guild_id, 0), window, scope, period)
                yield budget_trouble(budget, guild_id, was_refused=guild_id in refused)

    def _disk(self) -> Iterator[Trouble]:
        # Once it was told, a little more has to be free until it is over.
        least = self._least * (1.5 if "disk" in self._memory.told else 1)
        with suppress(OSError):
            if (free := self._free()) < least:
                yield Trouble(
                    "disk",
                    f"The disk is nearly full: {free // _MEGABYTE} MB are free for videos.",
                    "the disk has room again.",
                )


def _text(lines: Sequence[str]) -> str:
    more = len(lines) - _LISTED
    shown = [*lines[:_LISTED], *([f"and {count(more, 'other thing')}; the log has them"] if more > 0 else [])]
    return "\n".join(shown)
