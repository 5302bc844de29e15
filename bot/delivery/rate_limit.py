"""How often a channel may be written to: no more than Discord takes, and what people wait for goes first."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum

from bot.clock import Clock
from bot.tasks import Tasks

WRITES, WINDOW = 5, 5.0
"""Calls of one kind in one channel, and seconds, as observed (discord-api-docs#2761)."""
OLD_WRITES, OLD_WINDOW = 3, 6.0
"""Edits of messages of more than an hour; these stand in no header of Discord's."""
LONGEST_PAUSE = 60.0


class CallKind(StrEnum):
    """Calls that Discord counts together in each channel."""

    CREATE = "create"
    EDIT = "edit"


class Rank(IntEnum):
    """Who goes first."""

    FIRST = 0
    """Cards that are not there yet: somebody waits for an answer to their command."""
    END = 1
    """Videos, and cards that show how it ended."""
    NEWS = 2


class ChannelRateLimiter:
    """One queue for each channel and kind of call."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks = Tasks()
        self._lanes: dict[tuple[int, CallKind], _Lane] = {}

    @asynccontextmanager
    async def acquire(
        self, channel_id: int, kind: CallKind, rank: Callable[[], Rank], *, old: bool = False
    ) -> AsyncGenerator[None]:
        """Wait for the permit for one call.

        The rank is asked each time a permit is given, as it may change meanwhile. `old` says that a
        message of more than an hour is edited, which Discord counts once more.
        """
        lane = self._lane(channel_id, kind)
        waiting = _Waiting(rank, lane.limits[: 2 if old else 1])
        lane.waiting.append(waiting)
        self._serve(lane)
        try:
            await waiting.granted.wait()
            yield
        finally:
            lane.leave(waiting, self._clock.now())

    async def close(self) -> None:
        await self._tasks.close()

    def _lane(self, channel_id: int, kind: CallKind) -> "_Lane":
        key = channel_id, kind
        if key not in self._lanes:
            now = self._clock.now()
            self._lanes = {name: lane for name, lane in self._lanes.items() if not lane.is_idle(now)}
            self._lanes[key] = _Lane()
        return self._lanes[key]

    def _serve(self, lane: "_Lane") -> None:
        lane.news.set()
        if not lane.is_served:
            lane.is_served = True
            self._tasks.spawn(self._serving(lane), "limiter")

    async def _serving(self, lane: "_Lane") -> None:
        """Give permits as long as anybody waits."""
        try:
            while lane.waiting:
                lane.news.clear()
                pause = lane.advance(self._clock.now())
                if pause > 0:
                    await self._clock.wait(lane.news, min(pause, LONGEST_PAUSE))
        finally:
            lane.is_served = False


@dataclass(eq=False)
class _Limit:
    """So many calls in so many seconds; each counts until so long after its answer, to be safe."""

    most: int
    seconds: float
    under_way: int = 0
    ended: deque[datetime] = field(default_factory=deque[datetime])

    def pause(self, now: datetime) -> float:
        """Seconds until one more may be made; infinite while nothing but answers are waited for."""
        if self.counts(now) < self.most:
            return 0.0
        return self.seconds - (now - self.ended[0]).total_seconds() if self.ended else math.inf

    def counts(self, now: datetime) -> int:
        """How many calls count now."""
        # A clock that was put back would let the future count for long.
        while self.ended and abs((now - self.ended[0]).total_seconds()) >= self.seconds:
            self.ended.popleft()
        return self.under_way + len(self.ended)


@dataclass(eq=False)
class _Waiting:
    rank: Callable[[], Rank]
    limits: list[_Limit]
    granted: asyncio.Event = field(default_factory=asyncio.Event)

    def pause(self, now: datetime) -> float:
        return max(limit.pause(now) for limit in self.limits)


class _Lane:
    def __init__(self) -> None:
        self.limits = [_Limit(WRITES, WINDOW), _Limit(OLD_WRITES, OLD_WINDOW)]
        self.waiting: list[_Waiting] = []
        self.news = asyncio.Event()
        """Somebody came or went."""
        self.is_served = False

    def advance(self, now: datetime) -> float:
        """Give the next permit, if anybody may have it; seconds until it is worth looking again."""
        pauses = [(waiting.pause(now), waiting) for waiting in self.waiting]
        ready = [waiting for pause, waiting in pauses if pause <= 0]
        if not ready:
            return min(pause for pause, _ in pauses)
        # Of equals the one that came first.
        chosen = min(ready, key=lambda waiting: waiting.rank())
        self.waiting.remove(chosen)
        for limit in chosen.limits:
            limit.under_way += 1
        chosen.granted.set()
        return 0.0

    def leave(self, waiting: _Waiting, now: datetime) -> None:
        """The call has been answered, or whoever waited does no longer."""
        if waiting in self.waiting:
            self.waiting.remove(waiting)
        else:
            for limit in waiting.limits:
                limit.under_way -= 1
                limit.ended.append(now)
        self.news.set()

    def is_idle(self, now: datetime) -> bool:
        return not self.waiting and not any(limit.counts(now) for limit in self.limits)
