"""When to look again. Pure: the past is a parameter."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

LONGEST_WAIT = 20.0
"""Seconds. A failure is seen this soon even when a video usually takes much longer."""
GROWTH = 0.15
"""Without knowledge, wait this share of the time already spent: few looks, and a wait in proportion."""
ENOUGH = 3
"""Past jobs needed before their times are believed."""
STRAGGLER = 1.25
"""A video this many times slower than the slowest before it is still expected at any moment."""


@dataclass(frozen=True)
class Pace:
    """What one provider asks of those who poll it."""

    shortest: float
    """Seconds between two looks at one operation."""
    per_minute: int | None
    """Looks allowed for the key, over all jobs."""
    sharing: int
    """Jobs that share that budget now."""


def next_look(elapsed: float, history: Sequence[float], remaining: float | None, pace: Pace) -> float:
    """Seconds to wait before the next look.

    `elapsed` counts from the submit, `history` holds how long this model's past jobs took, `remaining` is the
    vendor's own estimate. Looks start late, grow dense around the time at which videos usually finish, and
    thin out again afterwards.
    """
    wait = _unhurried(elapsed, history, remaining, pace.shortest)
    if pace.per_minute:
        wait = max(wait, pace.sharing * 60 / pace.per_minute)
    return max(pace.shortest, wait)


def _unhurried(elapsed: float, history: Sequence[float], remaining: float | None, shortest: float) -> float:
    if remaining is not None:
        return min(remaining, LONGEST_WAIT)
    if len(history) >= ENOUGH and elapsed < STRAGGLER * max(history):
        earliest = min(history) * 0.95
        if elapsed < earliest:
            return min(earliest - elapsed, LONGEST_WAIT)
        return max(shortest, 0.05 * median(history))
    return min(GROWTH * elapsed, LONGEST_WAIT)


def typical(history: Sequence[float], guess: float | None) -> float | None:
    """Seconds a model usually takes: measured where enough was seen, else the published guess."""
    return median(history) if len(history) >= ENOUGH else guess
