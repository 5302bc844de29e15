"""Time for tests: it starts at noon and runs a hundred times as fast, for everybody who has this clock."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from bot.clock import Clock

NOON = datetime(2026, 5, 20, 12, tzinfo=UTC)


class FastClock(Clock):
    def __init__(self, speed: float = 100, start: datetime = NOON) -> None:
        self._speed = speed
        self._start = start
        self._born = time.perf_counter()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=(time.perf_counter() - self._born) * self._speed)

    def pass_by(self, span: timedelta) -> None:
        """Let so much time be over."""
        self._start += span

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        return await super().wait(event, seconds / self._speed)
