"""An answer of the database that did not arrive is no answer: the row says what holds."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bot.jobs import Failure, Job, JobState
from bot.store.db import StoreError, Unanswered
from bot.store.jobs import Jobs, Moved
from bot.store.queue import Caps
from providers.errors import InvalidRequest, Overloaded
from tests.bot.conftest import Hall
from tests.bot.engine.test_engine import in_state
from tests.helpers import eventually, on_both

S = JobState
Lose = Callable[..., None]


@pytest.fixture
def lose(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> Lose:
    """Let the first answers to moves into a state be lost, after or before the database has kept them."""

    def losing(state: JobState, times: int = 1, *, kept: bool = True) -> None:
        move, left = Jobs._move, [True] * times

        async def made(self: Jobs, *given: Any, **options: Any) -> Any:
            moved = await move(self, *given, **options)
            if given[2] is state and left:
                left.pop()
                lost.append(kept)
            return moved

        lost: list[bool] = []
        write = hall.store.jobs._database.write

        async def written(work: Any, **options: Any) -> Any:
            async def checked(transaction: Any) -> Any:
                result = await work(transaction)
                if lost and not lost[0]:
                    lost.clear()
                    raise StoreError("cut before COMMIT")
                return result

            result = await write(checked, **options)
            if lost:
                lost.clear()
                raise Unanswered("cut after COMMIT")
            return result

        monkeypatch.setattr(Jobs, "_move", made)
        monkeypatch.setattr(hall.store.jobs._database, "write", written)

    return losing


@on_both
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    "state", [S.SUBMITTING, S.RUNNING, S.DOWNLOADING, S.DELIVERING, S.DELIVERED], ids=str
)
async def test_a_job_goes_on_whichever_answer_is_lost(
    hall: Hall, lose: Lose, state: JobState, *, kept: bool
) -> None:
    lose(state, kept=kept)
    await hall.book(1)
    await hall.runner.start()
    job = await eventually(hall.ended)
    assert (job.state, job.charged) == (S.DELIVERED, 1)
    assert hall.provider.submitted == ["p1"]
    assert hall.box.announced == [1]
    await eventually(lambda: hall.box.states(1)[-1] is S.DELIVERED)


async def test_a_purchase_is_not_given_up_as_somebody_elses_because_its_own_answer_was_lost(
    hall: Hall, lose: Lose
) -> None:
    lose(S.RUNNING)
    assert (await hall.drive(await hall.promoted())).state is S.DELIVERED
    assert hall.provider.cancelled == []


@pytest.mark.parametrize(
    ("error", "state"), [(InvalidRequest("400"), S.FAILED), (Overloaded("503"), S.QUEUED)]
)
async def test_a_no_of_the_vendor_is_written_down_however_long_the_database_takes(
    hall: Hall, lose: Lose, error: Exception, state: JobState
) -> None:
    lose(state, times=3, kept=False)
    hall.provider.submits.append(error)
    job = await hall.drive(await hall.promoted())
    assert job.state is state
    assert job.failure is (Failure.REJECTED if state is S.FAILED else None)


@on_both
async def test_a_right_to_ask_whose_answer_was_lost_is_ones_own(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, lost = Jobs.ask, [Unanswered("cut after COMMIT")]

    async def asked(self: Jobs, *given: Any, **options: Any) -> Any:
        taken = await ask(self, *given, **options)
        if lost:
            raise lost.pop()
        return taken

    monkeypatch.setattr(Jobs, "ask", asked)
    assert (await hall.drive(await hall.promoted())).state is S.DELIVERED
    assert hall.provider.submitted == ["p1"]


async def test_a_database_that_is_away_right_before_the_order_leaves_nothing_in_doubt(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, failures = Jobs.ask, [StoreError("away")] * 3

    async def failing(self: Jobs, *given: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return await ask(self, *given, **options)

    monkeypatch.setattr(Jobs, "ask", failing)
    assert (await hall.drive(await hall.promoted())).state is S.DELIVERED
    assert hall.provider.submitted == ["p1"]


async def test_a_picture_that_cannot_be_read_now_leaves_nothing_in_doubt(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete, failures = hall.files.complete, [OSError(24, "Too many open files")]

    async def failing(*given: Any) -> Any:
        if failures:
            raise failures.pop()
        return await complete(*given)

    monkeypatch.setattr(hall.files, "complete", failing)
    job = await hall.drive(await hall.promoted())
    assert (job.state, job.charged) == (S.QUEUED, 1)
    assert hall.provider.submitted == []


async def test_a_cancel_whose_answer_was_lost_is_one(hall: Hall, lose: Lose) -> None:
    lose(S.CANCELLED)
    cancelled = await hall.engine.cancel(await in_state(hall, S.RUNNING), user_id=7)
    assert (cancelled.state, cancelled.ended_by) == (S.CANCELLED, 7)
    assert hall.box.states(1)[-1] is S.CANCELLED


@on_both
async def test_rows_that_nobody_drives_are_taken_up_without_a_restart(hall: Hall) -> None:
    hall.runner._caps = Caps(9, 9, {})
    await hall.runner.start()
    await hall.promoted(1)
    assert (await eventually(hall.ended)).state is S.DELIVERED


async def test_ends_that_nobody_has_shown_are_shown_without_a_restart(hall: Hall) -> None:
    hall.runner._caps = Caps(9, 9, {})  # the test promotes, and nobody else
    await hall.runner.start()
    job = await hall.promoted(1)
    await hall.store.jobs.move(job, S.CANCELLED)
    await eventually(lambda: S.CANCELLED in hall.box.states(1))


async def test_a_job_that_is_driven_is_not_driven_a_second_time(hall: Hall) -> None:
    hall.provider.gate.clear()
    await hall.book(1)
    await hall.runner.start()
    await eventually(lambda: hall.provider.submitted)
    await hall.runner._reconcile()
    hall.provider.gate.set()
    assert (await eventually(hall.ended)).state is S.DELIVERED
    assert hall.provider.submitted == ["p1"]


async def test_who_lost_the_right_to_ask_does_nothing_more(hall: Hall) -> None:
    job = await hall.promoted()
    await hall.store.jobs.ask(job, at=hall.clock.now())
    with pytest.raises(Moved):
        await hall.store.jobs.ask(job, at=hall.clock.now())


async def test_what_was_bought_is_written_down_as_soon_as_it_can_be_while_the_bot_stops(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, move, back_at = await hall.promoted(), Jobs.move, hall.clock.now() + timedelta(minutes=5)

    async def failing(self: Jobs, job: Job, state: JobState, **changes: Any) -> Job:
        if state is S.RUNNING and hall.clock.now() < back_at:
            raise StoreError("away")
        return await move(self, job, state, **changes)

    monkeypatch.setattr(Jobs, "move", failing)
    drive = asyncio.ensure_future(hall.drive(job))
    # The waits before the stop may be a minute long.
    await eventually(lambda: hall.clock.now() >= back_at - timedelta(minutes=2))
    hall.engine.stopping.set()
    assert (await drive).state is S.RUNNING
    assert hall.clock.now() < back_at + timedelta(seconds=25), "real seconds count too"


async def test_a_cancel_that_nobody_knows_of_stops_the_vendor_all_the_same(hall: Hall, lose: Lose) -> None:
    job = await in_state(hall, S.RUNNING)
    lose(S.CANCELLED, times=2)
    with pytest.raises(StoreError):
        await hall.engine.cancel(job, user_id=7)
    await hall.runner.start()
    await eventually(lambda: hall.provider.cancelled == [{"handle": "p1"}])
    await eventually(lambda: hall.box.states(1)[-1:] == [S.CANCELLED])


@pytest.mark.parametrize("is_driven", [True, False])
async def test_whoever_has_just_ended_a_job_shows_that(hall: Hall, *, is_driven: bool) -> None:
    hall.runner._caps = Caps(9, 9, {})
    await hall.runner.start()
    await hall.runner._reconcile()
    job = await hall.promoted()
    at = hall.clock.now() - timedelta(hours=int(is_driven))
    await hall.store.jobs.move(job, S.CANCELLED, at=at)
    if is_driven:
        hall.runner._driven.add(job.id)
    await hall.runner._reconcile()
    assert not any(task.get_name() == "end of job 1" for task in asyncio.all_tasks())


async def test_a_promotion_whose_answer_was_lost_is_looked_for_soon(hall: Hall, lose: Lose) -> None:
    await hall.runner.start()
    lose(S.SUBMITTING)
    await hall.book(1)
    hall.runner.wake()
    job = await eventually(hall.ended)
    assert job is not None
    assert job.state_at - job.created_at < timedelta(seconds=30)
