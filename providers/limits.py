"""A vendor's limits on calls, kept by everybody who shares one key.

Given here is what the vendor publishes; what is kept is a little less (MARGIN): its clock is not ours,
and calls do not arrive as evenly as they leave.

Nobody waits for long: who would wait beyond `patience` is told Overloaded, and nothing was sent then.
"""

import asyncio
from bisect import insort
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic

from providers.errors import Overloaded, ProviderError

MARGIN = 0.03
"""The share that stays unused, of the calls and of the time alike."""


def below(published: int, margin: float = MARGIN) -> int:
    """How many of the calls that a vendor allows are made: one at least."""
    return max(1, int(published * (1 - margin)))


def rate_below(published: int) -> int:
    """How many calls a minute keep within a RateLimit of so many, without waiting for it."""
    return max(1, int(below(published) / (1 + MARGIN)))


class RateLimit:
    """A little less than the calls allowed in any stretch of so many seconds; callers wait in order."""

    def __init__(
        self,
        calls: int,
        seconds: float = 60.0,
        *,
        margin: float = MARGIN,
        patience: float = 20.0,
        time: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._calls = below(calls, margin)
        self._seconds = seconds * (1 + margin)
        self._patience = patience
        self._time = time
        self._sleep = sleep
        self._calls_at: list[float] = []
        """When calls were or will be made, in order."""

    async def spend(self) -> None:
        """Return as soon as one more call is allowed, and count it."""
        now = self._time()
        self._calls_at = [at for at in self._calls_at if at > now - self._seconds]
        is_full = len(self._calls_at) >= self._calls
        at = max(now, self._calls_at[-self._calls] + self._seconds) if is_full else now
        wait = at - now
        if wait > self._patience:
            raise Overloaded(f"our own limit of {self._calls} calls in {self._seconds:g} s", retry_after=wait)
        insort(self._calls_at, at)
        if wait:
            try:
                await self._sleep(wait)
            except BaseException:
                self._calls_at.remove(at)
                raise


class FailureLimit:
    """Keeps failures below what a vendor allows in any stretch of so many seconds, before it locks us out.

    A call without an answer yet may be a failure, too: no more are under way than may still fail.
    """

    def __init__(
        self, failures: int, seconds: float, *, margin: float = MARGIN, patience: float = 20.0
    ) -> None:
        self._seconds = seconds * (1 + margin)
        self._patience = patience
        self._left = asyncio.Semaphore(below(failures, margin))

    @asynccontextmanager
    async def watch(self) -> AsyncGenerator[None]:
        """Wait while too many calls failed lately; count one if the block raises what the vendor answered."""
        try:
            async with asyncio.timeout(self._patience):
                await self._left.acquire()
        except TimeoutError:
            raise Overloaded("too many calls failed lately", retry_after=self._seconds) from None
        rest = 0.0
        try:
            yield
        except ProviderError as error:
            rest = self._seconds if error.status is not None else 0.0
            raise
        finally:
            if rest:
                asyncio.get_running_loop().call_later(rest, self._left.release)
            else:
                self._left.release()
