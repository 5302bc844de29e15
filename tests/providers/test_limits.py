import asyncio
from collections.abc import Awaitable, Callable

import pytest

from providers.errors import NotFound, Overloaded, ProviderError, Unreachable
from providers.limits import MARGIN, FailureLimit, RateLimit, below, rate_below
from tests.helpers import eventually


class Time:
    """A clock that stands still until somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def budget(time: Time) -> RateLimit:
    return RateLimit(2, 60, margin=0, patience=60, time=time, sleep=time.sleep)


async def test_calls_within_the_budget_do_not_wait(budget: RateLimit, time: Time) -> None:
    await budget.spend()
    await budget.spend()
    assert time.slept == []


async def test_a_call_above_the_budget_waits_for_the_oldest_to_lapse(budget: RateLimit, time: Time) -> None:
    await budget.spend()
    time.now += 10
    await budget.spend()
    time.now += 5
    await budget.spend()
    assert time.slept == [45]
    time.now += 60
    await budget.spend()
    assert time.slept == [45]


async def test_a_wait_beyond_patience_is_refused_at_once_and_costs_nothing(time: Time) -> None:
    budget = RateLimit(1, 60, margin=0, patience=20, time=time, sleep=time.sleep)
    await budget.spend()
    with pytest.raises(Overloaded) as raised:
        await budget.spend()
    assert raised.value.retry_after == 60
    assert time.slept == []
    time.now += 60
    await budget.spend()


class Line:
    """Sleepers who wake when they are told."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.Event().wait()


async def waiting(line: Line, *calls: Callable[[], Awaitable[None]]) -> list[asyncio.Task[None]]:
    tasks = [asyncio.ensure_future(call()) for call in calls]
    await eventually(lambda: len(line.waits) == len(calls))
    return tasks


async def test_those_who_wait_are_served_in_order(time: Time) -> None:
    line = Line()
    budget = RateLimit(2, 60, margin=0, patience=999, time=time, sleep=line.sleep)
    await budget.spend()
    time.now += 1
    await budget.spend()
    tasks = await waiting(line, *[budget.spend] * 4)
    assert line.waits == [59, 60, 119, 120]
    for task in tasks:
        task.cancel()


async def test_who_stops_waiting_leaves_the_place_to_the_next(time: Time) -> None:
    line = Line()
    budget = RateLimit(1, 60, margin=0, patience=60, time=time, sleep=line.sleep)
    await budget.spend()
    [first] = await waiting(line, budget.spend)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    line.waits.clear()
    [second] = await waiting(line, budget.spend)
    assert line.waits == [60]
    second.cancel()


@pytest.mark.parametrize("cancelled", [0, 1, 2, 3])
async def test_the_budget_holds_whoever_stops_waiting(time: Time, cancelled: int) -> None:
    line = Line()
    budget = RateLimit(2, 60, margin=0, patience=999, time=time, sleep=line.sleep)
    await budget.spend()
    time.now += 10
    await budget.spend()
    tasks = await waiting(line, *[budget.spend] * 4)
    tasks[cancelled].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[cancelled]
    line.waits.clear()
    tasks += await waiting(line, *[budget.spend] * 2)
    limiter = budget._calls_at
    assert limiter == sorted(limiter)
    assert all(later - earlier >= 60 for earlier, later in zip(limiter, limiter[2:], strict=False))
    for task in tasks:
        task.cancel()


async def fail(failure_limit: FailureLimit, error: BaseException) -> None:
    with pytest.raises(type(error)):
        async with failure_limit.watch():
            raise error


async def test_after_too_many_failures_nobody_calls() -> None:
    failure_limit = FailureLimit(2, 30, margin=0, patience=0)
    await fail(failure_limit, NotFound("gone", status=404))
    async with failure_limit.watch():
        pass
    await fail(failure_limit, NotFound("gone", status=404))
    with pytest.raises(Overloaded) as raised:
        async with failure_limit.watch():
            pytest.fail("called")
    assert raised.value.retry_after == 30


async def test_failures_are_forgotten() -> None:
    failure_limit = FailureLimit(1, 0.01, patience=10)
    await fail(failure_limit, NotFound("gone", status=404))
    async with failure_limit.watch():
        pass


@pytest.mark.parametrize("error", [Unreachable("refused"), asyncio.CancelledError()])
async def test_what_the_vendor_did_not_answer_is_not_held_against_us(error: BaseException) -> None:
    failure_limit = FailureLimit(1, 30, patience=0)
    await fail(failure_limit, error)
    async with failure_limit.watch():
        pass


async def test_calls_under_way_may_fail_too() -> None:
    failure_limit = FailureLimit(1, 30, patience=0)
    async with failure_limit.watch():
        with pytest.raises(ProviderError):
            async with failure_limit.watch():
                pytest.fail("called")
    async with failure_limit.watch():
        pass


@pytest.mark.parametrize(("published", "made"), [(120, 116), (40, 38), (20, 19), (200, 194), (2, 1), (1, 1)])
async def test_what_a_vendor_publishes_is_not_used_up(time: Time, published: int, made: int) -> None:
    budget = RateLimit(published, 60, patience=0, time=time, sleep=time.sleep)
    for _ in range(made):
        await budget.spend()
    time.now += 60
    with pytest.raises(Overloaded):
        await budget.spend()
    time.now += 2
    await budget.spend()


@pytest.mark.parametrize("published", [1, 2, 40, 120, 200])
def test_looks_at_an_even_pace_never_wait_for_their_budget(published: int) -> None:
    assert rate_below(published) == 1 or rate_below(published) / 60 <= below(published) / (60 * (1 + MARGIN))


async def test_failures_stay_below_what_a_vendor_publishes() -> None:
    failure_limit = FailureLimit(20, 30, patience=0)
    for _ in range(19):
        await fail(failure_limit, NotFound("gone", status=404))
    with pytest.raises(Overloaded) as raised:
        async with failure_limit.watch():
            pytest.fail("called")
    assert raised.value.retry_after == pytest.approx(30.9)
