"""Who may write in a channel, when, and who goes first."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from bot.delivery.rate_limit import CallKind, ChannelRateLimiter, Rank, _Lane, _Waiting
from tests.clock import NOON, FastClock
from tests.helpers import eventually

HERE, THERE = 1, 2


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def asks(line: _Lane, rank: Rank = Rank.NEWS, *, old: bool = False) -> _Waiting:
    """Somebody more who waits in the line."""
    waiting = _Waiting(lambda: rank, line.limits[: 2 if old else 1])
    line.waiting.append(waiting)
    return waiting


def served(line: _Lane, now: datetime) -> list[_Waiting]:
    """Those who get a turn now, in their order."""
    waiting = list(line.waiting)
    chosen: list[_Waiting] = []
    while line.waiting and line.advance(now) <= 0:
        chosen += [one for one in waiting if one.granted.is_set() and one not in chosen]
    return chosen


def test_five_go_at_once_and_the_sixth_five_seconds_after_the_first_answer() -> None:
    line = _Lane()
    callers = [asks(line) for _ in range(6)]
    assert served(line, at(0)) == callers[:5]
    line.leave(callers[2], at(1))
    assert served(line, at(5.9)) == []
    assert line.advance(at(5.9)) == pytest.approx(0.1)
    assert served(line, at(6)) == callers[5:]


def test_a_call_without_an_answer_keeps_its_turn() -> None:
    line = _Lane()
    callers = [asks(line) for _ in range(6)]
    assert served(line, at(0)) == callers[:5]
    assert served(line, at(600)) == []


def test_no_more_than_five_in_any_five_seconds() -> None:
    line, began = _Lane(), list[float]()
    for _ in range(40):
        asks(line)
    for tenth in range(1000):
        for waiting in served(line, at(tenth / 10)):
            began.append(tenth / 10)
            line.leave(waiting, at(tenth / 10 + 0.3))
    assert len(began) == 40
    assert all(later - sooner >= 5 for sooner, later in zip(began, began[5:], strict=False))
    assert began[-1] < 40 / 5 * 5.5


def test_old_messages_are_edited_three_times_in_six_seconds_and_count_among_the_others() -> None:
    line = _Lane()
    old = [asks(line, old=True) for _ in range(4)]
    young = [asks(line) for _ in range(3)]
    assert served(line, at(0)) == [*old[:3], *young[:2]]
    for waiting in (*old[:3], *young[:2]):
        line.leave(waiting, at(0))
    assert served(line, at(5)) == [young[2]]
    assert served(line, at(6)) == [old[3]]


def test_what_is_not_there_yet_goes_first_then_the_end_then_whoever_came_first() -> None:
    line = _Lane()
    ranks = [Rank.NEWS, Rank.FIRST, Rank.NEWS, Rank.END, Rank.END]
    callers = [asks(line, rank) for rank in ranks]
    assert [callers.index(one) for one in served(line, at(0))] == [1, 3, 4, 0, 2]


def test_who_waits_no_longer_is_passed_over_and_costs_nothing() -> None:
    line = _Lane()
    callers = [asks(line) for _ in range(7)]
    served(line, at(0))
    line.leave(callers[5], at(0))
    line.leave(callers[0], at(0))
    assert served(line, at(5)) == [callers[6]]


def test_a_clock_that_is_put_back_stops_nobody_for_long() -> None:
    line = _Lane()
    for caller in [asks(line) for _ in range(5)]:
        served(line, at(3600))
        line.leave(caller, at(3600))
    late = asks(line)
    assert served(line, at(0)) == [late]


async def test_what_was_written_here_counts_although_others_write_elsewhere(
    limiter: ChannelRateLimiter,
) -> None:
    for _ in range(4):
        async with limiter.acquire(HERE, CallKind.EDIT, lambda: Rank.NEWS):
            pass
    async with limiter.acquire(THERE, CallKind.EDIT, lambda: Rank.NEWS):
        pass
    callers = [Caller(limiter) for _ in range(2)]
    await callers[0].has_it.wait()
    assert not callers[1].has_it.is_set()
    for caller in callers:
        caller.task.cancel()


async def test_lines_of_channels_where_nothing_happens_are_forgotten(
    limiter: ChannelRateLimiter, clock: FastClock
) -> None:
    for channel in range(100):
        async with limiter.acquire(channel, CallKind.EDIT, lambda: Rank.NEWS):
            pass
    clock.pass_by(timedelta(seconds=6))
    async with limiter.acquire(HERE - 1000, CallKind.EDIT, lambda: Rank.NEWS):
        pass
    assert len(limiter._lanes) == 1


def test_a_line_is_forgotten_when_nothing_of_it_counts_any_more() -> None:
    line = _Lane()
    caller = asks(line)
    assert not line.is_idle(at(0))
    served(line, at(0))
    assert not line.is_idle(at(0))
    line.leave(caller, at(0))
    assert line.is_idle(at(6))


@pytest.fixture
async def limiter(clock: FastClock) -> AsyncIterator[ChannelRateLimiter]:
    made = ChannelRateLimiter(clock)
    yield made
    await made.close()


class Caller:
    """Somebody who takes a turn and has it until told to end."""

    def __init__(self, limiter: ChannelRateLimiter, *, rank: Rank = Rank.NEWS, channel: int = HERE) -> None:
        self.rank = rank
        self.has_it = asyncio.Event()
        self.end = asyncio.Event()
        self.task = asyncio.create_task(self._take(limiter, channel))

    async def _take(self, limiter: ChannelRateLimiter, channel: int) -> None:
        async with limiter.acquire(channel, CallKind.EDIT, lambda: self.rank):
            self.has_it.set()
            await self.end.wait()


async def test_the_rank_counts_as_it_is_when_a_turn_is_given_away(limiter: ChannelRateLimiter) -> None:
    first = [Caller(limiter) for _ in range(5)]
    await asyncio.gather(*(caller.has_it.wait() for caller in first))
    patient, changed = Caller(limiter), Caller(limiter)
    changed.rank = Rank.END
    first[0].end.set()
    await eventually(lambda: changed.has_it.is_set() or patient.has_it.is_set())
    assert (changed.has_it.is_set(), patient.has_it.is_set()) == (True, False)
    for caller in (*first, patient, changed):
        caller.task.cancel()


async def test_channels_and_kinds_of_calls_do_not_wait_for_each_other(limiter: ChannelRateLimiter) -> None:
    here = [Caller(limiter) for _ in range(5)]
    await asyncio.gather(*(caller.has_it.wait() for caller in here))
    there = Caller(limiter, channel=THERE)
    await eventually(there.has_it.is_set)
    async with asyncio.timeout(5), limiter.acquire(HERE, CallKind.CREATE, lambda: Rank.NEWS):
        pass
    for caller in (*here, there):
        caller.task.cancel()


async def test_who_is_cancelled_in_its_turn_gives_it_back(
    limiter: ChannelRateLimiter, clock: FastClock
) -> None:
    here = [Caller(limiter) for _ in range(6)]
    await asyncio.gather(*(caller.has_it.wait() for caller in here[:5]))
    began = clock.now()
    here[0].task.cancel()
    await eventually(here[5].has_it.is_set)
    assert (clock.now() - began).total_seconds() >= 5
    for caller in here[1:]:
        caller.task.cancel()
