"""The runner: everything open is driven, nothing is promoted above its caps, and stopping is clean."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from bot.jobs import AT_THE_PROVIDER, UNDER_WAY, Failure, Job, JobState
from bot.store.jobs import Jobs
from bot.store.queue import Caps
from providers.base import Pending
from providers.errors import Overloaded
from tests.bot.conftest import Hall, Make
from tests.helpers import eventually


async def states(hall: Hall, *job_ids: int) -> list[JobState]:
    return [(await hall.job(job_id)).state for job_id in job_ids]


async def delivered(hall: Hall, *job_ids: int) -> bool:
    return set(await states(hall, *job_ids)) == {JobState.DELIVERED}


async def test_what_is_booked_is_delivered(hall: Hall) -> None:
    await hall.runner.start()
    await hall.book(1)
    hall.runner.wake()
    await eventually(lambda: delivered(hall, 1))


async def test_everything_that_is_open_at_start_is_taken_up(hall: Hall) -> None:
    running = await hall.promoted(1)
    await hall.store.jobs.move(
        running, JobState.RUNNING, operation={"handle": "x"}, submitted_at=hall.clock.now()
    )
    gap = await hall.store.jobs.ask(await hall.promoted(2), at=hall.clock.now())
    await hall.promoted(3)
    await hall.book(4)
    await hall.runner.start()
    await eventually(lambda: delivered(hall, 1, 3, 4))
    lost = await hall.job(gap.id)
    assert (lost.failure, lost.charged) == (Failure.OUTCOME_UNKNOWN, 0)
    assert sorted(hall.provider.submitted) == ["p3", "p4"], "what was not asked for yet goes on"


async def test_caps_are_never_exceeded_and_everything_gets_its_turn(make_hall: Make) -> None:
    hall = await make_hall(Caps(member=2, server=5, providers={"scripted": 3}))
    hall.provider.polls.extend([Pending()] * 30)
    worst: Counter[str] = Counter()

    async def look() -> bool:
        jobs = await hall.store.jobs.open()
        members = Counter(job.user_id for job in jobs if job.state in UNDER_WAY)
        worst["member"] = max(worst["member"], *members.values(), 0)
        worst["server"] = max(worst["server"], members.total())
        worst["provider"] = max(worst["provider"], sum(job.state in AT_THE_PROVIDER for job in jobs))
        return not jobs

    for number in range(1, 13):
        await hall.book(number, user_id=number % 4)
    await hall.runner.start()
    await eventually(look)
    assert worst["member"] <= 2
    assert worst["server"] <= 5
    assert worst["provider"] <= 3
    assert sorted(hall.provider.submitted) == sorted(f"p{number}" for number in range(1, 13))


async def test_a_job_sent_back_to_the_queue_is_promoted_again_when_it_is_due(hall: Hall) -> None:
    hall.provider.submits.append(Overloaded("429", retry_after=60))
    await hall.book(1)
    await hall.runner.start()
    await eventually(lambda: delivered(hall, 1))
    assert hall.provider.submitted == ["p1", "p1"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_job_nobody_ever_promotes_is_given_up(make_hall: Make) -> None:
    hall = await make_hall(Caps(member=1, server=1, providers={}))
    await hall.book(1)
    await hall.runner.start()
    await eventually(lambda: states_are(hall, JobState.FAILED))
    job = await hall.job(1)
    assert (job.failure, job.charged) == (Failure.TIMED_OUT, 0)


async def states_are(hall: Hall, state: JobState) -> bool:
    return await states(hall, 1) == [state]


async def test_a_drive_that_stumbles_over_our_own_mistake_is_taken_up_again(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hall.box.faults.append(ZeroDivisionError("a bug"))
    await hall.book(1)
    await hall.runner.start()
    await eventually(lambda: delivered(hall, 1))
    assert "the drive of job 1 failed" in caplog.text


async def test_the_queue_goes_on_after_any_mistake_of_ours(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    queue, mistakes = hall.store.jobs.queue, [ZeroDivisionError("a bug")]

    async def stumbling() -> list[Job]:
        if mistakes:
            raise mistakes.pop()
        return await queue()

    monkeypatch.setattr(hall.store.jobs, "queue", stumbling)
    await hall.runner.start()
    await eventually(lambda: "the queue could not be looked at" in caplog.text)
    await hall.book(1)
    hall.runner.wake()
    await eventually(lambda: delivered(hall, 1))


async def test_an_older_card_never_hides_a_cancel_during_a_round_of_the_queue(
    make_hall: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    hall = await make_hall(Caps(9, 9, {}))
    await hall.book(1)
    await hall.book(2)
    durations = Jobs.durations

    async def meanwhile(self: Jobs, provider: str, model: str) -> list[float]:
        if (job := await hall.job(2)).state.is_open:
            await hall.engine.cancel(job, user_id=7)
        return await durations(self, provider, model)

    queue = await hall.store.jobs.queue()
    monkeypatch.setattr(Jobs, "durations", meanwhile)
    await hall.engine.attend(queue)
    assert hall.box.states(2)[-1] is JobState.CANCELLED


async def test_stopping_lets_the_call_in_flight_end_and_starts_nothing_new(make_hall: Make) -> None:
    hall = await make_hall(Caps(1, 1, {"scripted": None}))
    hall.provider.gate.clear()
    await hall.book(1)
    await hall.book(2)
    await hall.runner.start()
    await eventually(lambda: hall.provider.submitted)
    hall.engine.stopping.set()
    hall.provider.gate.set()
    await hall.runner.stop()
    assert await states(hall, 1, 2) == [JobState.RUNNING, JobState.QUEUED]
    assert hall.provider.submitted == ["p1"]


async def test_an_end_that_was_not_shown_is_shown_at_the_next_start(hall: Hall) -> None:
    for number in (1, 2):
        await hall.drive(await hall.promoted(number))
    await hall.store.jobs.close_card(2)
    hall.box.cards.clear()
    await hall.runner.start()
    await eventually(lambda: hall.box.states(1) == [JobState.DELIVERED])
    assert hall.box.states(2) == []


async def test_the_places_of_a_queue_are_told_with_two_reads_and_once(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 21):
        await hall.book(number)
    queue = await hall.store.jobs.queue()
    reads: list[str] = []
    read = hall.store.jobs._database.read

    async def counting(sql: str, /, **values: Any) -> Any:
        reads.append(sql)
        return await read(sql, **values)

    monkeypatch.setattr(hall.store.jobs._database, "read", counting)
    await hall.engine.attend(queue)
    assert [card.position for card in hall.box.cards] == list(range(1, 21))
    assert len(reads) == 2
    await hall.engine.attend(queue)
    assert len(hall.box.cards) == 20


async def test_a_drive_that_keeps_stumbling_is_taken_up_less_and_less_often(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[datetime] = []

    async def stumble(job: Job) -> Job:
        tries.append(hall.clock.now())
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(hall.engine, "drive", stumble)
    await hall.book(1)
    await hall.runner.start()
    await eventually(lambda: len(tries) > 6)
    waits = [after - before for before, after in pairwise(tries)]
    assert waits[0] >= timedelta(seconds=5)
    assert waits[-1] >= 4 * waits[0]
