"""What the operator allows at most and has paused, whatever moderators decide. Pure: time is a parameter."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from bot.quota.allowances import Allowance, Budget, Window, WindowKind, window_at
from providers.options import Frozen

_UTC = ZoneInfo("UTC")
"""The operator's days and months: in those of servers, moderators could begin a day anew."""
HOUR = timedelta(hours=1)
LONGEST_REASON = 300
"""Characters; members read all of it."""


class Scope(StrEnum):
    """Whose videos a budget pays for."""

    BOT = "bot"
    SERVER = "server"


class Period(StrEnum):
    HOUR = "hour"
    """The last sixty minutes, whenever that is."""
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True)
class OperatorBudget(Budget):
    """What is left of one of the operator's budgets."""

    scope: Scope
    period: Period


@dataclass(frozen=True)
class Limits:
    """Nothing is limited that is None or not named."""

    allowance: int | None = None
    """Credits that one member may use in a day, over all servers."""
    member_jobs: int | None = None
    """Of one member in one server, at once."""
    server_jobs: int | None = None
    video_micros: int | None = None
    """What one video may cost, in millionths of a US dollar, as budgets are."""
    budgets: Mapping[tuple[Scope, Period], int] = field(default_factory=dict[tuple[Scope, Period], int])
    servers: frozenset[int] = frozenset()
    """The servers that the bot works in; all, if there is none."""

    @property
    def ceiling(self) -> Allowance | None:
        """The most generous allowance that a member can have."""
        return None if self.allowance is None else Allowance(amount=self.allowance, kind=WindowKind.DAY)

    @property
    def needs_prices(self) -> bool:
        """Whether a video whose cost nobody knows cannot be booked."""
        return self.video_micros is not None or bool(self.budgets)

    @property
    def counts_all_servers(self) -> bool:
        """Whether bookings in one server depend on those in others."""
        return any(scope is Scope.BOT for scope, _ in self.budgets)

    def admits(self, guild_id: int) -> bool:
        return not self.servers or guild_id in self.servers

    def windows(self, now: datetime) -> Iterator[tuple[Scope, Period, int, Window]]:
        """Each budget with its limit and the time in which it counts what was spent."""
        for (scope, period), limit in self.budgets.items():
            yield scope, period, limit, window_of(period, now)


@dataclass(frozen=True)
class HourlyRoom:
    """What may still be sent to providers now, of what an hour may cost at most."""

    limits: Mapping[Scope, int]
    sent: Mapping[int, int]
    """By server, in millionths of a US dollar, within the last hour."""

    def waits(self, queue: Iterable[tuple[int, int]]) -> Iterator[bool]:
        """Whether each of these videos, by server and cost, has to wait until the hour has room for it.

        Who comes later does not take what somebody waits for. What can never fit does not wait.
        """
        everywhere, servers = False, set[int]()
        for guild_id, cost in queue:
            here = self.sent.get(guild_id, 0)
            everywhere |= self._lacks(Scope.BOT, sum(self.sent.values()), cost)
            if self._lacks(Scope.SERVER, here, cost):
                servers.add(guild_id)
            yield cost > 0 and (everywhere or guild_id in servers)

    def _lacks(self, scope: Scope, sent: int, cost: int) -> bool:
        limit = self.limits.get(scope)
        return limit is not None and 0 < cost <= limit < sent + cost


NO_LIMITS = Limits()


def window_of(period: Period, now: datetime) -> Window:
    match period:
        case Period.HOUR:
            # Its end is ahead: what was booked before the clock was put back counts as well.
            return Window(now - HOUR, now + HOUR)
        case Period.DAY:
            return window_at(WindowKind.DAY, now, _UTC)
        case Period.MONTH:
            return window_at(WindowKind.MONTH, now, _UTC)


def day_of(now: datetime) -> Window:
    """The day in which a member's ceiling counts."""
    return window_of(Period.DAY, now)


class Pauses(Frozen):
    """What the operator has stopped, each with the reason that members read; that may be empty."""

    everything: str | None = None
    providers: Mapping[str, str] = {}

    def why(self, provider: str) -> str | None:
        """Why nothing is sent to a provider, if nothing is."""
        return self.providers.get(provider) if self.everything is None else self.everything
