"""Windows and allowances. Pure: time is a parameter."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum


class WindowKind(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True)
class Window:
    """A stretch of time in which usage is summed; `start` belongs to it, `end` does not. Both in UTC."""

    start: datetime
    end: datetime


def window_at(kind: WindowKind, now: datetime) -> Window:
    """The window around `now`: it starts at midnight UTC, weeks on Monday, months on the first."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match kind:
        case WindowKind.DAY:
            return Window(midnight, midnight + timedelta(days=1))
        case WindowKind.WEEK:
            start = midnight - timedelta(days=midnight.weekday())
            return Window(start, start + timedelta(days=7))
        case WindowKind.MONTH:
            start = midnight.replace(day=1)
            return Window(start, (start + timedelta(days=32)).replace(day=1))


@dataclass(frozen=True)
class Allowance:
    """How many credits a member may use in each window."""

    amount: int
    kind: WindowKind


@dataclass(frozen=True)
class Balance:
    """Where a member stands in the present window."""

    allowance: Allowance
    window: Window
    used: int

    @property
    def left(self) -> int:
        return max(0, self.allowance.amount - self.used)
