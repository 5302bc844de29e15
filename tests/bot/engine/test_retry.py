"""Every wait after a failure, and every giving up, as tables."""

from datetime import timedelta

import pytest

from bot.engine import retry
from bot.engine.uptime import GRACE
from providers.errors import NotFound, Overloaded, ProviderError, Unreachable
from tests.clock import NOON

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
GONE, AWAY = NotFound("404"), Unreachable("no connection")


def busy(retry_after: float | None) -> Overloaded:
    return Overloaded("busy", retry_after=retry_after)


def test_each_failure_in_a_row_doubles_the_wait_up_to_a_minute() -> None:
    assert [retry.backoff(number, jitter=1) for number in range(1, 9)] == [2, 4, 8, 16, 32, 60, 60, 60]
    assert retry.backoff(10**6, jitter=1) == 60


def test_retries_are_spread_over_half_of_the_wait() -> None:
    assert [retry.backoff(3, jitter) for jitter in (0, 0.5, 1)] == [4, 6, 8]


@pytest.mark.parametrize(
    ("error", "failures", "overdue", "seconds"),
    [
        (AWAY, 1, False, 2),
        (AWAY, 20, False, 60),
        (AWAY, 20, True, 300),
        (busy(None), 1, False, 2),
        (busy(0), 1, False, 2),
        (busy(30), 1, False, 30),
        (busy(1), 6, False, 60),
        (busy(10**9), 1, False, 3600),
        (None, 3, False, 8),
    ],
)
def test_a_vendor_that_says_when_to_come_back_is_believed_for_an_hour(
    error: Exception | None, failures: int, seconds: float, *, overdue: bool
) -> None:
    assert retry.after_call(error, failures, 1, is_overdue=overdue) == seconds


def test_a_drive_is_taken_up_again_after_5_seconds_and_later_each_time() -> None:
    assert [retry.after_drive(number, 1) for number in (1, 2, 3, 20)] == [7, 9, 13, 305]


@pytest.mark.parametrize(
    ("age", "error", "seconds"),
    [
        (0, AWAY, 5),
        (-HOUR.total_seconds(), AWAY, 5),
        (60, AWAY, 20),
        (10_000, AWAY, 120),
        (0, busy(90), 90),
        (10_000, busy(1), 120),
        (0, busy(10**9), 7200),
    ],
)
def test_a_job_that_nobody_accepts_waits_longer_the_older_it_is(
    age: float, error: ProviderError, seconds: float
) -> None:
    assert retry.in_queue(age, error) == seconds


def test_a_provider_rests_twice_as_long_each_time_up_to_a_quarter_of_an_hour() -> None:
    assert [retry.rest(number) / retry.REST for number in (1, 2, 3, 4, 5, 100)] == [1, 2, 4, 8, 15, 15]


@pytest.mark.parametrize(
    ("after_deadline", "after_since", "after_pause", "is_up"),
    [
        (timedelta(0), GRACE, GRACE, True),
        (-SECOND, HOUR, HOUR, False),
        (HOUR, GRACE - SECOND, HOUR, False),
        (HOUR, HOUR, GRACE - SECOND, False),
    ],
)
def test_a_time_is_up_past_its_deadline_and_a_while_after_the_first_try_and_after_any_pause(
    after_deadline: timedelta, after_since: timedelta, after_pause: timedelta, *, is_up: bool
) -> None:
    assert retry.is_time_up(NOON, NOON - after_deadline, NOON - after_since, NOON - after_pause) == is_up


@pytest.mark.parametrize(
    ("failures", "age", "forgotten"),
    [
        ([GONE, GONE, GONE], HOUR, True),
        ([AWAY, GONE, GONE, GONE], HOUR, True),
        ([GONE, GONE], HOUR, False),
        ([GONE, GONE, AWAY], HOUR, False),
        ([GONE, GONE, GONE], retry.JUST_SUBMITTED, False),
        ([], HOUR, False),
    ],
)
def test_that_an_operation_is_unknown_is_believed_the_third_time(
    failures: list[ProviderError], age: timedelta, *, forgotten: bool
) -> None:
    assert retry.is_forgotten(failures, NOON - age, NOON) == forgotten


@pytest.mark.parametrize(
    ("broken_for", "after", "awake_for", "hopeless"),
    [
        (HOUR, 600.0, HOUR, True),
        (HOUR, 600.0, SECOND, False),
        (SECOND, 600.0, HOUR, False),
        (HOUR, None, HOUR, False),
        (None, 600.0, HOUR, False),
    ],
)
def test_errors_alone_for_long_enough_are_a_failed_video_where_a_vendor_is_known_for_it(
    broken_for: timedelta | None, after: float | None, awake_for: timedelta, *, hopeless: bool
) -> None:
    since = None if broken_for is None else NOON - broken_for
    assert retry.is_hopeless(since, after, NOON - awake_for, NOON) == hopeless


@pytest.mark.parametrize(
    ("bad", "tried_for", "awake_for", "no_video"),
    [
        (5, HOUR, HOUR, True),
        (4, HOUR, HOUR, False),
        (5, SECOND, HOUR, False),
        (5, HOUR, SECOND, False),
    ],
)
def test_that_there_is_no_video_is_believed_after_five_downloads_and_three_minutes(
    bad: int, tried_for: timedelta, awake_for: timedelta, *, no_video: bool
) -> None:
    assert retry.is_no_video(bad, NOON - tried_for, NOON - awake_for, NOON) == no_video


def test_after_a_success_the_waits_begin_anew() -> None:
    failures = retry.Failures(lambda: 1.0)
    assert [failures.next_wait() for _ in range(3)] == [2, 4, 8]
    failures.clear()
    assert failures.next_wait() == 2
