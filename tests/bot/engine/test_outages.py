"""What jobs learn of their provider on the way: outages, and that they are over."""

from datetime import timedelta

import pytest

from bot.jobs import Failure, Job, JobState
from bot.provider_health import ProviderHealth
from providers.base import Succeeded
from providers.errors import Uncertain
from tests.bot.conftest import Hall


async def submitting(hall: Hall) -> Job:
    return await hall.promoted()


async def running(hall: Hall) -> Job:
    now = hall.clock.now()
    return await hall.store.jobs.move(
        await submitting(hall), JobState.RUNNING, operation={"handle": "p1"}, submitted_at=now
    )


async def downloading(hall: Hall) -> Job:
    now = hall.clock.now()
    return await hall.store.jobs.move(
        await running(hall), JobState.DOWNLOADING, video=Succeeded(), ready_at=now
    )


def health(hall: Hall) -> ProviderHealth:
    return hall.engine._catalogue.health["scripted"]


@pytest.mark.parametrize("state", [submitting, running, downloading])
async def test_whatever_a_provider_does_for_a_job_ends_its_rest(hall: Hall, state: object) -> None:
    assert callable(state)
    job = await state(hall)
    health(hall).resting_until = hall.clock.now() + timedelta(days=1)
    assert (await hall.drive(job)).state is JobState.DELIVERED
    assert health(hall).is_available(hall.clock.now())


@pytest.mark.parametrize("state", [submitting, running, downloading])
async def test_but_no_pause_for_a_key_or_for_money(hall: Hall, state: object) -> None:
    assert callable(state)
    job = await state(hall)
    health(hall).paused = Failure.OUT_OF_FUNDS
    assert (await hall.drive(job)).state is JobState.DELIVERED
    assert health(hall).paused is Failure.OUT_OF_FUNDS


async def test_seven_jobs_that_meet_one_outage_leave_their_provider_fit(hall: Hall) -> None:
    for number in range(7 * 4):
        hall.engine._context.record_answer("scripted", Uncertain("cut"), job_id=number % 7)
    assert health(hall).is_available(hall.clock.now())
