from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.jobs import (
    AT_THE_PROVIDER,
    CANCELLABLE,
    MOVES,
    OPEN,
    RELEASED,
    UNDER_WAY,
    Job,
    JobState,
    TimeLimits,
    deadline,
)
from providers.specs import VideoRequest

QUEUED, SUBMITTING, RUNNING, DOWNLOADING, DELIVERING, DELIVERED, FAILED, CANCELLED = JobState
OVER = {DELIVERED, FAILED, CANCELLED}
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


def job(state: JobState) -> Job:
    return Job(
        id=1,
        guild_id=2,
        channel_id=3,
        user_id=4,
        provider="eigenai",
        request=VideoRequest(model="wan", prompt="a slow pan"),
        state=state,
        price=1,
        charged=1,
        created_at=NOON,
        state_at=NOON + timedelta(minutes=30),
        not_before=NOON,
    )


def test_the_story_goes_forward_one_state_at_a_time() -> None:
    story = [QUEUED, SUBMITTING, RUNNING, DOWNLOADING, DELIVERING, DELIVERED]
    for index, state in enumerate(story):
        onwards = MOVES[state] & set(story) - {state}
        assert onwards - {QUEUED} == set(story[index + 1 : index + 2])


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == set(JobState)


def test_only_what_no_provider_has_accepted_goes_back_to_the_queue() -> None:
    assert {state for state in JobState if QUEUED in MOVES[state]} == {QUEUED, SUBMITTING}


def test_a_job_that_is_open_may_be_moved_to_where_it_is_to_record_something() -> None:
    assert {state for state in JobState if state in MOVES[state]} == OPEN


def test_every_open_state_can_fail() -> None:
    assert {state for state in JobState if FAILED in MOVES[state]} == OPEN


def test_what_is_over_stays_as_it_is() -> None:
    assert {state for state in JobState if not MOVES[state]} == OVER


def test_a_job_can_be_cancelled_until_its_video_may_be_in_the_channel() -> None:
    assert {state for state in JobState if CANCELLED in MOVES[state]} == CANCELLABLE == OPEN - {DELIVERING}


def test_a_state_is_open_or_over() -> None:
    assert {state for state in JobState if not state.is_open} == OVER
    assert OPEN.isdisjoint(OVER)


def test_only_what_ends_without_a_video_is_given_back() -> None:
    assert OVER - {DELIVERED} == RELEASED


def test_what_waits_in_the_queue_is_not_under_way() -> None:
    assert OPEN - {QUEUED} == UNDER_WAY
    assert UNDER_WAY - {DOWNLOADING, DELIVERING} == AT_THE_PROVIDER


@pytest.mark.parametrize("state", sorted(UNDER_WAY))
def test_each_state_under_way_is_bounded_from_its_own_start(state: JobState) -> None:
    limits = replace(TimeLimits(), **{state.value: timedelta(minutes=7)})
    assert deadline(job(state), limits) == job(state).state_at + timedelta(minutes=7)


def test_waiting_in_the_queue_is_bounded_from_the_jobs_creation() -> None:
    assert deadline(job(QUEUED), TimeLimits(queued=timedelta(hours=1))) == NOON + timedelta(hours=1)


@pytest.mark.parametrize("state", sorted(OPEN))
def test_every_open_state_has_a_time_limit(state: JobState) -> None:
    assert deadline(job(state), TimeLimits()) > NOON
