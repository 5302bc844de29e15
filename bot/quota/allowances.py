"""Windows, allowances, prices, who wins, and whether another video fits. Pure: time is a parameter."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, PlainSerializer

from providers.options import Frozen
from providers.specs import ModelSpec, Per, VideoRequest

MOST_CREDITS = 1_000_000
"""No allowance, grant or price is larger."""
MOST_MICROS = 1_000_000_000_000
"""No budget is larger: a million US dollars."""


class WindowKind(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


_DAYS = {WindowKind.DAY: 1, WindowKind.WEEK: 7, WindowKind.MONTH: 30}


@dataclass(frozen=True)
class Window:
    """A stretch of time in which usage is summed; `start` belongs to it, `end` does not. Both in UTC."""

    start: datetime
    end: datetime


def window_at(kind: WindowKind, now: datetime, zone: ZoneInfo) -> Window:
    """The window around `now`: it starts at midnight in `zone`, weeks on Monday, months on the first."""
    day = now.astimezone(zone).date()
    match kind:
        case WindowKind.DAY:
            first, after = day, day + timedelta(days=1)
        case WindowKind.WEEK:
            first = day - timedelta(days=day.weekday())
            after = first + timedelta(days=7)
        case WindowKind.MONTH:
            first = day.replace(day=1)
            after = (first + timedelta(days=32)).replace(day=1)
    # Where the clock skips midnight, this is the moment at which it does; where it has two, the first.
    start, end = (datetime.combine(date, time(), zone).astimezone(UTC) for date in (first, after))
    return Window(start, end)


class Allowance(Frozen):
    """How many credits a member may use in each window."""

    amount: int | None = Field(ge=0, le=MOST_CREDITS)
    """None is without limit, 0 is none at all."""
    kind: WindowKind

    @property
    def generosity(self) -> tuple[bool, Fraction, int]:
        """What tells the better of two: no limit, else more a day, else more at once."""
        amount = self.amount or 0
        return self.amount is None, Fraction(amount, _DAYS[self.kind]), amount


def within(allowance: Allowance, ceiling: Allowance | None) -> Allowance:
    """The less generous of the two, by what they give a day."""
    if ceiling is None or allowance.generosity[:2] <= ceiling.generosity[:2]:
        return allowance
    return ceiling


class Source(StrEnum):
    """Whose rule it is."""

    MEMBER = "member"
    ROLE = "role"
    SERVER = "server"
    BOT = "bot"


@dataclass(frozen=True)
class Ruling:
    """The allowance that counts for a member, and why it does."""

    allowance: Allowance
    source: Source
    role_id: int | None = None
    decided: Allowance | None = None
    """What the rule itself says, where the operator allows less."""

    def within(self, ceiling: Allowance | None) -> "Ruling":
        """What is left of the rule under the operator's ceiling: the less generous of the two."""
        counted = within(self.allowance, ceiling)
        return self if counted == self.allowance else replace(self, allowance=counted, decided=self.allowance)


def winner(
    member: Allowance | None,
    roles: Mapping[int, Allowance],
    server: Allowance | None,
    default: Allowance,
    role_ids: Collection[int],
) -> Ruling:
    """Member beats role, the best of the member's roles beats the server, the server beats the bot."""
    if member is not None:
        return Ruling(member, Source.MEMBER)
    held = [(roles[role_id], role_id) for role_id in role_ids if role_id in roles]
    if held:
        best, role_id = max(held, key=lambda rule: (rule[0].generosity, -rule[1]))
        return Ruling(best, Source.ROLE, role_id)
    return Ruling(server, Source.SERVER) if server is not None else Ruling(default, Source.BOT)


class Tariff(Frozen):
    """What a server lets its members pay for a model."""

    credits: int = Field(ge=0, le=MOST_CREDITS)
    per: Per | None = None
    """None: by the second where the model's own price is, else for each video."""

    def of(self, spec: ModelSpec, request: VideoRequest) -> int:
        """Credits for this request."""
        by_second = spec.price is not None and spec.price.per is Per.SECOND
        per = self.per or (Per.SECOND if by_second else Per.VIDEO)
        return self.credits * ((spec.complete(request).duration or 1) if per is Per.SECOND else 1)


def _with_keys(pairs: Iterable[tuple[Iterable[object], object]]) -> dict[tuple[object, ...], object]:
    return {tuple(key): value for key, value in pairs}


Tariffs: TypeAlias = Annotated[
    dict[tuple[str, str | None], Tariff],
    PlainSerializer(lambda tariffs: list(tariffs.items())),  # JSON has no such keys
    BeforeValidator(_with_keys),
]
"""By provider and model."""


@dataclass(frozen=True)
class Grant:
    """Extra credits, used when the window has none left."""

    id: int
    amount: int
    expires_at: datetime | None
    """None is never."""
    drawn: int
    reason: str | None

    @property
    def left(self) -> int:
        return self.amount - self.drawn

    def is_over(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True)
class Block:
    """A member who may not make videos."""

    until: datetime | None
    """None is for good."""
    reason: str | None


@dataclass(frozen=True)
class Pause:
    """No new videos in a server; those that wait in the queue wait on."""

    until: datetime | None
    """None is until somebody ends it."""
    reason: str | None


@dataclass(frozen=True)
class Budget:
    """What a server's videos may cost in a month, in millionths of a US dollar."""

    limit: int
    spent: int
    """What is spent or reserved."""
    window: Window

    @property
    def left(self) -> int:
        return max(0, self.limit - self.spent)


@dataclass(frozen=True)
class Ceiling:
    """What the operator lets a member use in a day, over all servers: grants and resets do not lift it."""

    limit: int
    """Credits; a video that a server gives for nothing counts as one."""
    used: int
    window: Window

    def allows(self, price: int) -> bool:
        return self.used + max(1, price) <= self.limit


class Refusal(StrEnum):
    """Why a video is not booked."""

    PAUSED = "paused"
    BLOCKED = "blocked"
    NOTHING_LEFT = "nothing-left"
    BUDGET_SPENT = "budget-spent"
    CEILING_REACHED = "ceiling-reached"
    """The operator's, for a member."""
    TOO_EXPENSIVE = "too-expensive"
    """The operator allows no video at this price."""
    OPERATOR_BUDGET_SPENT = "operator-budget-spent"


@dataclass(frozen=True)
class Standing:
    """Where a member stands now: everything that decides whether another video may be booked."""

    ruling: Ruling
    window: Window
    used: int
    """Credits of the window's allowance."""
    grants: Sequence[Grant]
    """Those with something left that have not expired, the one that expires first at the front."""
    block: Block | None = None
    pause: Pause | None = None
    budget: Budget | None = None
    ceiling: Ceiling | None = None
    most_micros: int | None = None
    """What the operator lets one video cost."""
    operator_budgets: Sequence[Budget] = ()

    @property
    def granted(self) -> int:
        return sum(grant.left for grant in self.grants)

    @property
    def in_window(self) -> int | None:
        """What is left of the window's allowance; None is without limit."""
        amount = self.ruling.allowance.amount
        return None if amount is None else max(0, amount - self.used)

    @property
    def left(self) -> int | None:
        """Credits in all; None is without limit."""
        return None if self.in_window is None else self.in_window + self.granted

    @property
    def is_exceeded(self) -> bool:
        """Whether more is used than the allowance has by now."""
        amount = self.ruling.allowance.amount
        return amount is not None and self.used > amount

    def refusal(self, price: int, cost: int) -> Refusal | None:
        """Why a video for so many credits and millionths of a dollar may not be booked, if it may not."""
        if self.pause is not None:
            return Refusal.PAUSED
        if self.block is not None:
            return Refusal.BLOCKED
        amount = self.ruling.allowance.amount
        if self.left is not None and (price > self.left or (amount == 0 and not self.granted)):
            return Refusal.NOTHING_LEFT
        if self.budget is not None and cost > self.budget.left:
            return Refusal.BUDGET_SPENT
        return self._operators_refusal(price, cost)

    def _operators_refusal(self, price: int, cost: int) -> Refusal | None:
        if self.ceiling is not None and not self.ceiling.allows(price):
            return Refusal.CEILING_REACHED
        if self.most_micros is not None and cost > self.most_micros:
            return Refusal.TOO_EXPENSIVE
        return Refusal.OPERATOR_BUDGET_SPENT if self.exceeded(cost) else None

    def exceeded(self, cost: int) -> Budget | None:
        """The operator's budget that has too little left for a video at this cost."""
        # What costs nothing is made however much was spent.
        over = (budget for budget in self.operator_budgets if cost and cost > budget.left)
        return max(over, key=lambda budget: budget.window.end, default=None)

    def draws(self, price: int) -> Mapping[int, int]:
        """How much of the price each grant pays, by its id; the window pays first."""
        rest = 0 if self.in_window is None else max(0, price - self.in_window)
        draws: dict[int, int] = {}
        for grant in self.grants:
            if rest and (share := min(rest, grant.left)):
                draws[grant.id] = share
                rest -= share
        return draws
