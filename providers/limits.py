"""A vendor's limit on calls, kept by everybody who shares one key."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Budget:
    """At most so many calls in any stretch of so many seconds; callers wait their turn, in order."""

    def __init__(self, calls: int, seconds: float = 60.0) -> None:
        self._calls = calls
        self._seconds = seconds
        self._times: deque[float] = deque(maxlen=calls)
        self._turn = asyncio.Lock()

    async def spend(self) -> None:
        """Return as soon as one more call is allowed, and count it."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            if len(self._times) == self._calls:
                await asyncio.sleep(max(0.0, self._times[0] + self._seconds - loop.time()))
            self._times.append(loop.time())


class Breather:
    """Stops calling for a while after so many failures in a row of time, before the vendor locks us out."""

    def __init__(self, failures: int, seconds: float) -> None:
        self._failures = failures
        self._seconds = seconds
        self._times: deque[float] = deque(maxlen=failures)

    @asynccontextmanager
    async def watch(self) -> AsyncGenerator[None]:
        """Wait while there were too many failures lately; count one if the block raises."""
        loop = asyncio.get_running_loop()
        if len(self._times) == self._failures:
            await asyncio.sleep(max(0.0, self._times[0] + self._seconds - loop.time()))
        try:
            yield
        except Exception:
            self._times.append(loop.time())
            raise
