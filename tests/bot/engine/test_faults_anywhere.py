"""Whatever fails, and wherever in a job's life: it ends as it is to, once, and nobody is left to drive it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import pytest

from bot.jobs import Failure, Job, JobState
from bot.store.db import StoreError, Unanswered
from bot.store.jobs import Moved
from tests.bot.conftest import Hall
from tests.helpers import eventually

S = JobState
Fault = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]

OURS = ContextVar("OURS", default=False)
"""Whether it is the test that asks: what the bot does by itself runs in contexts of its own."""


async def refused(call: Callable[[], Awaitable[Any]]) -> Any:
    raise StoreError("away")


async def unanswered(call: Callable[[], Awaitable[Any]]) -> Any:
    await call()
    raise Unanswered("cut after COMMIT")


async def broken(call: Callable[[], Awaitable[Any]]) -> Any:
    raise ZeroDivisionError("a bug")


class Nth:
    """Something that happens at one of the calls that are counted, and never while it happens itself."""

    def __init__(self) -> None:
        self.left = 0
        self.fault: Fault | None = None

    def arm(self, number: int, fault: Fault) -> None:
        self.left, self.fault = number, fault

    async def count(self, call: Callable[[], Awaitable[Any]]) -> Any:
        fault = self.fault
        if fault is not None and not OURS.get():
            self.left -= 1
            if self.left == 0:
                self.fault = None
                return await fault(call)
        return await call()


def calls_of_the_database(hall: Hall) -> Nth:
    nth, database = Nth(), hall.store.jobs._database
    read, write = database.read, database.write

    async def reading(*given: Any, **values: Any) -> Any:
        return await nth.count(lambda: read(*given, **values))

    async def writing(*given: Any, **options: Any) -> Any:
        return await nth.count(lambda: write(*given, **options))

    database.read, database.write = reading, writing  # type: ignore[method-assign] # the test's own
    return nth


def waits(hall: Hall) -> Nth:
    nth, wait = Nth(), hall.clock.wait

    async def waiting(event: asyncio.Event, seconds: float) -> bool:
        return bool(await nth.count(lambda: wait(event, seconds)))

    hall.clock.wait = waiting  # type: ignore[method-assign] # the test's own
    return nth


async def lives(
    hall: Hall, nth: Nth, fault: Callable[[int], Fault], check: Callable[[Job], Awaitable[None]]
) -> int:
    """One life for each call in it, until there are no more; how many there were."""
    await hall.runner.start()
    OURS.set(True)
    for number in range(1, 100):
        await hall.book(number, amount=1000)
        nth.arm(number, fault(number))
        hall.runner.wake()
        job = await eventually(lambda: hall.ended(number))  # noqa: B023 - it is asked now
        await eventually(lambda: number not in hall.runner._driven)  # noqa: B023 - as above
        await eventually(lambda: hall.box.states(number)[-1:] == [job.state])  # noqa: B023 - as above
        await check(job)
        if nth.fault is not None:
            return number
    raise AssertionError("that was no end")


def of(hall: Hall, job: Job) -> tuple[int, int]:
    """How often it was submitted, and to how many messages its video was attached."""
    messages = {message for job_id, message in hall.box.attached if job_id == job.id}
    return hall.provider.submitted.count(f"p{job.id}"), len(messages)


@pytest.mark.parametrize("fault", [refused, unanswered, broken])
async def test_a_fault_at_any_call_of_the_database(hall: Hall, fault: Fault) -> None:
    async def check(job: Job) -> None:
        in_doubt = (S.FAILED, 0, Failure.OUTCOME_UNKNOWN)
        is_lost = fault is broken and (job.state, job.charged, job.failure) == in_doubt
        assert is_lost or (job.state, job.charged, *of(hall, job)) == (S.DELIVERED, 1, 1, 1)
        assert hall.provider.cancelled == []

    assert await lives(hall, calls_of_the_database(hall), lambda _: fault, check) > 15


async def test_a_pause_of_an_hour_at_any_wait(hall: Hall) -> None:
    nth = waits(hall)

    async def sleep(call: Callable[[], Awaitable[Any]]) -> Any:
        hall.clock.pass_by(timedelta(hours=1))
        return await call()

    async def check(job: Job) -> None:
        assert (job.state, job.charged, *of(hall, job)) == (S.DELIVERED, 1, 1, 1)

    await lives(hall, nth, lambda _: sleep, check)


async def test_a_cancel_at_any_call_of_the_database(hall: Hall) -> None:
    nth = calls_of_the_database(hall)

    def cancel(number: int) -> Fault:
        async def cancelling(call: Callable[[], Awaitable[Any]]) -> Any:
            with suppress(Moved, ValueError):
                await hall.engine.cancel(await hall.job(number), user_id=7)
            return await call()

        return cancelling

    async def check(job: Job) -> None:
        submitted, posted = of(hall, job)
        if job.state is S.DELIVERED:
            assert (job.charged, submitted, posted) == (1, 1, 1)
        else:
            assert (job.state, job.charged, posted) == (S.CANCELLED, 0, 0)
            assert submitted <= 1
            stopped = {"handle": f"p{job.id}"} in hall.provider.cancelled
            assert stopped is bool(submitted)

    await lives(hall, nth, cancel, check)
