import asyncio
import logging
from contextvars import ContextVar

import pytest

from bot.tasks import Tasks

PLACE: ContextVar[str] = ContextVar("place", default="nowhere")


async def place() -> str:
    return PLACE.get()


async def forever() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise RuntimeError("out of luck")


async def test_nothing_of_the_caller_travels_along() -> None:
    tasks = Tasks()
    PLACE.set("in an interaction")
    assert await tasks.spawn(place(), "a") == "nowhere"
    assert await tasks.detached(place(), "b") == "nowhere"


async def test_the_failure_of_a_task_nobody_waits_for_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    tasks = Tasks()
    await asyncio.wait([tasks.spawn(fail(), "job 5")])
    [record] = caplog.records
    assert record.getMessage() == "job 5 failed"
    assert record.levelno == logging.ERROR
    assert "out of luck" in caplog.text


async def test_an_end_and_a_cancellation_are_not_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    tasks = Tasks()
    await tasks.spawn(place(), "ends")
    tasks.spawn(forever(), "is cancelled")
    await tasks.close()
    assert not caplog.records


async def test_the_failure_of_a_detached_task_is_its_callers(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RuntimeError, match="out of luck"):
        await Tasks().detached(fail(), "a")
    assert not caplog.records


async def test_a_detached_task_goes_on_when_its_caller_is_cancelled() -> None:
    tasks, begun, leave, done = Tasks(), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await leave.wait()
        done.set()

    caller = asyncio.create_task(tasks.detached(work(), "a"))
    await begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    leave.set()
    await tasks.close(patience=10)
    assert done.is_set()


async def test_closing_without_patience_cancels_at_once() -> None:
    tasks = Tasks()
    task = tasks.spawn(forever(), "a")
    await tasks.close()
    assert task.cancelled()


async def test_closing_with_patience_waits_for_an_end_and_cancels_the_rest() -> None:
    tasks, leave = Tasks(), asyncio.Event()
    ends, stays = tasks.spawn(leave.wait(), "ends"), tasks.spawn(forever(), "stays")
    asyncio.get_running_loop().call_soon(leave.set)
    await tasks.close(patience=0.01)
    assert ends.result() is True
    assert stays.cancelled()


async def test_closing_awaits_what_a_task_starts_on_its_way_out() -> None:
    tasks = Tasks()
    begun = asyncio.Event()
    last: list[asyncio.Task[None]] = []

    async def stubborn() -> None:
        try:
            begun.set()
            await forever()
        finally:
            last.append(tasks.spawn(forever(), "last"))

    tasks.spawn(stubborn(), "a")
    await begun.wait()
    await tasks.close()
    assert last[0].cancelled()


async def test_closing_with_nothing_under_way_is_nothing() -> None:
    await Tasks().close(patience=10)


async def test_closing_just_when_a_task_has_ended_comes_to_an_end() -> None:
    tasks = Tasks()
    ended = tasks.spawn(place(), "a")
    await asyncio.sleep(0)  # one step of the loop, no time: after two it would be forgotten already
    assert ended.done(), "and nobody has been told yet"
    await tasks.close()
    assert ended.result() == "nowhere"
