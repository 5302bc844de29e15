"""Time for tests: it passes as it does, but what only waits for it does not wait.

A `FastClock` starts at noon. While anything is under way (callbacks, threads, queries, child processes) it
runs like any other clock, so no deadline ever races real work. Once everything in the event loop waits, it
leaps to the first moment that somebody waits for, through it or in `asyncio.sleep`, as discord.py does
between two attempts. Hours take no time, however busy the machine is. Timeouts stay real, for they limit real
work; while one is near, nothing leaps. Simulated servers tell the time by `passed`.

A test that waits with `tests.helpers.eventually` sees every moment: its check is asked whenever everything
waits, and time leaps once more only if the answer was no. So it can act at exactly the moment that it has
waited for: nothing happens until it awaits something that takes time.

All this is done by the event loop of the tests, `Loop`; in any other loop a `FastClock` does not leap.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import Context
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from queue import SimpleQueue
from typing import Any
from weakref import WeakSet

import aiosqlite.core

from bot.clock import Clock

NOON = datetime(2026, 5, 20, 12, tzinfo=UTC)
GRACE = 0.002
"""Seconds that bytes may take from one socket of ours to another."""
SOON = 0.5
"""Seconds. A timeout as near is about to end something, as a call that hangs: nothing leaps meanwhile."""
_END_OF_A_SLEEP = asyncio.futures._set_result_unless_cancelled  # type: ignore[attr-defined] # it has no public name
PULSE = 0.01
"""Seconds between two looks at what happens outside of the loop."""


class FastClock(Clock):
    def __init__(self, start: datetime = NOON) -> None:
        self._start = start
        self._born = passed()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=passed() - self._born)

    def pass_by(self, span: timedelta) -> None:
        """Let so much time be over."""
        self._start += span

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        if seconds <= 0 or not isinstance(loop, Loop):
            return await super().wait(event, seconds)
        try:
            async with asyncio.timeout(None) as limit:
                alarm = loop.alarm(seconds, limit.reschedule, 0)
                try:
                    return await event.wait()
                finally:
                    alarm.cancel()
        except TimeoutError:
            return False


_leapt = [0.0]


def passed() -> float:
    """Seconds, those included that were leapt over; what a test uses in place of time.monotonic."""
    # Not time.monotonic itself: simcord has one of its own.
    return time.perf_counter() + _leapt[0]


class Stillness(selectors.DefaultSelector):
    """Where a loop waits for its sockets: the one place that knows that everything in it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.work: set[asyncio.Future[Any]] = set()
        """What threads have been given to do."""
        self.readers: set[Any] = set()
        """Connections, as psycopg's, that wait for an answer from outside."""
        self.processes: WeakSet[asyncio.SubprocessTransport] = WeakSet()
        self.watchers: list[asyncio.Future[None]] = []
        self.led = 0
        """How many tests' checks are to see each moment."""
        self._shown = False
        self._shown_at = 0.0
        self.alarms: list[tuple[float, asyncio.Handle]] = []
        """What is to happen when."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        runs = timeout is not None and timeout <= 0
        found = super().select(0)
        if not runs and not found:
            found = self._rest(timeout)
        self._ring()
        return found

    def _rest(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """Nobody has anything to do."""
        is_open = timeout is None or timeout > SOON
        if is_open and not self._is_busy():
            # One socket is the loop's own.
            if len(self.get_map()) > 1 and (found := super().select(GRACE)):
                return found
            if self._go_on():
                return []
        pauses = [timeout, PULSE if self.watchers else None, self._next()]
        found = super().select(min((pause for pause in pauses if pause is not None), default=None))
        if not found or time.perf_counter() - self._shown_at > PULSE / 10:
            self._show()
        return found

    def _is_busy(self) -> bool:
        return bool(
            self.work or self.readers or any(process.get_returncode() is None for process in self.processes)
        )

    def _go_on(self) -> bool:
        """Show the moment to the checks; if they have seen it, leap to the next."""
        if self.watchers and not self._shown:
            self._show()
            return True
        pause = self._next()
        if pause is None or (self.led and not self.watchers):
            return False
        _leapt[0] += pause
        self._shown = False
        return True

    def _next(self) -> float | None:
        """Seconds until somebody is to be woken."""
        due = min((due for due, handle in self.alarms if not handle.cancelled()), default=None)
        return None if due is None else max(0.0, due - passed())

    def _show(self) -> None:
        for watcher in self.watchers:
            if not watcher.done():
                watcher.set_result(None)
        self.watchers.clear()
        self._shown, self._shown_at = True, time.perf_counter()

    def _ring(self) -> None:
        if not self.alarms:
            return
        now = passed()
        due = sorted((alarm for alarm in self.alarms if alarm[0] <= now), key=itemgetter(0))
        self.alarms = [alarm for alarm in self.alarms if alarm[0] > now and not alarm[1].cancelled()]
        for _, handle in due:
            if not handle.cancelled():
                handle._run()


class Loop(asyncio.SelectorEventLoop):
    """The event loop of all tests: it knows what is under way in threads and in other processes."""

    def __init__(self) -> None:
        self.stillness = Stillness()
        self.sleeps_leap = True
        super().__init__(self.stillness)

    def alarm(
        self, seconds: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """What `call_later` is, in a time that leaps."""
        due = passed() + seconds
        handle = asyncio.TimerHandle(self.time() + seconds, callback, args, self, context or Context())
        self.stillness.alarms.append((due, handle))
        return handle

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        if callback is _END_OF_A_SLEEP and self.sleeps_leap:
            return self.alarm(when - self.time(), callback, *args, context=context)
        return super().call_at(when, callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        return _counted(super().run_in_executor(executor, func, *args))

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        self.stillness.readers.add(fd)
        super().add_reader(fd, callback, *args)

    def remove_reader(self, fd: Any) -> bool:
        self.stillness.readers.discard(fd)
        return super().remove_reader(fd)

    async def subprocess_exec(self, *given: Any, **options: Any) -> Any:
        transport, protocol = await super().subprocess_exec(*given, **options)
        self.stillness.processes.add(transport)
        return transport, protocol


def _counted(future: asyncio.Future[Any]) -> asyncio.Future[Any]:
    loop = future.get_loop()
    if isinstance(loop, Loop):
        loop.stillness.work.add(future)
        future.add_done_callback(loop.stillness.work.discard)
    return future


class Threads(SimpleQueue[Any]):
    """How aiosqlite works in threads, for what is about several programs at once."""

    def put_nowait(self, item: Any) -> None:
        future, _ = item
        super().put_nowait(item if future is None else (_counted(future), item[1]))


class _NoThreads(SimpleQueue[Any]):
    """How aiosqlite works in most tests: a query is answered at once, for a thread takes longer."""

    def put_nowait(self, item: Any) -> None:
        future, function = item
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - whoever awaits it gets it
            future.get_loop().call_soon(aiosqlite.core.set_exception, future, error)
            return
        if future is not None:
            future.get_loop().call_soon(aiosqlite.core.set_result, future, result)
        if result is aiosqlite.core._STOP_RUNNING_SENTINEL:
            super().put_nowait((None, lambda: result))  # its thread ends, too


aiosqlite.core.SimpleQueue = _NoThreads  # type: ignore[misc] # it has no other door


def sleep_for_real() -> None:
    """For what measures by the loop's own time, which does not leap, how long others have slept."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Loop)
    loop.sleeps_leap = False


@contextmanager
def led() -> Generator[None]:
    """Time leaps only where somebody is in `moment`."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, Loop):
        yield
        return
    loop.stillness.led += 1
    loop.stillness._shown = False
    try:
        yield
    finally:
        loop.stillness.led -= 1


async def moment() -> None:
    """Return when something may have changed: everything waits, or time has leapt, or a little has passed."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, Loop):
        await asyncio.sleep(PULSE)
        return
    watcher: asyncio.Future[None] = loop.create_future()
    loop.stillness.watchers.append(watcher)
    await watcher
