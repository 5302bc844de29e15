"""Who is fit to be asked: outages in a row rest a provider, a refused key or an empty purse pauses it."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.engine.retry import LONGEST_REST, ONE_OUTAGE, OUTAGES_UNTIL_REST, PAUSE, REST
from bot.jobs import Failure
from bot.provider_health import ProviderHealth
from providers.errors import (
    Forbidden,
    InvalidRequest,
    NotFound,
    OutOfFunds,
    Overloaded,
    ProviderError,
    Unauthorized,
    Uncertain,
    Unreachable,
)
from tests.clock import NOON

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
CUT = Uncertain("cut")
OUTAGES = [Overloaded("503", status=503), Unreachable("dns"), Uncertain("500")]


@pytest.fixture
def health() -> ProviderHealth:
    return ProviderHealth()


def outages(
    health: ProviderHealth,
    number: int,
    error: ProviderError = CUT,
    since: datetime = NOON,
    *,
    jobs: bool = False,
) -> datetime:
    """Let it fail so often, far enough apart to count; the time of the last one."""
    now = since
    for job_id in range(number):
        now = since + job_id * ONE_OUTAGE
        health.record_failure(error, now, job_id if jobs else None)
    return now


@pytest.mark.parametrize("outage", OUTAGES)
def test_outages_in_a_row_rest_a_provider_and_the_rest_ends_by_itself(
    health: ProviderHealth, outage: Overloaded | Unreachable | Uncertain
) -> None:
    now = outages(health, OUTAGES_UNTIL_REST - 1, outage)
    assert health.is_available(now)
    now += ONE_OUTAGE
    health.record_failure(outage, now)
    assert not health.is_available(now)
    assert not health.is_available(now + REST - SECOND)
    assert health.is_available(now + REST)


@pytest.mark.parametrize("jobs", [7, 200])
def test_several_jobs_that_meet_one_outage_are_one_outage(health: ProviderHealth, jobs: int) -> None:
    for second in range(0, 15, 5):
        for job_id in range(jobs):
            health.record_failure(CUT, NOON + second * SECOND, job_id)
    assert health.is_available(NOON + 15 * SECOND)


def test_failures_during_a_rest_neither_extend_nor_double_it(health: ProviderHealth) -> None:
    now = outages(health, OUTAGES_UNTIL_REST)
    outages(health, int(REST / ONE_OUTAGE), since=now)
    assert (health.resting_until, health.rest_count) == (now + REST, 1)


@given(st.lists(st.tuples(st.integers(0, 75), st.integers(0, 199), st.sampled_from(OUTAGES))))
def test_no_outage_rests_a_provider_for_longer_than_one_rest(
    failures: list[tuple[int, int, ProviderError]],
) -> None:
    """It lasts 15 seconds, and calls that were sent meanwhile fail up to a minute later."""
    health = ProviderHealth()
    for second, job_id, error in sorted(failures, key=lambda failure: failure[0]):
        health.record_failure(error, NOON + second * SECOND, job_id)
    assert health.rest_count <= 1
    assert health.resting_until is None or health.resting_until <= NOON + 75 * SECOND + REST


@given(st.lists(st.tuples(st.integers(0, 3600), st.integers(0, 9), st.sampled_from(OUTAGES))))
def test_a_success_always_ends_a_rest(failures: list[tuple[int, int, ProviderError]]) -> None:
    health = ProviderHealth()
    for second, job_id, error in failures:  # in any order: clocks are put back
        now = NOON + second * SECOND
        health.record_failure(error, now, job_id)
        assert health.is_available(now) or health.is_available(now + LONGEST_REST + ONE_OUTAGE)
    health.record_answer()
    assert health.is_available(NOON)
    assert health.is_available(NOON + HOUR)
    now = outages(health, OUTAGES_UNTIL_REST, since=NOON + 2 * HOUR)
    assert health.resting_until == now + REST, "and the next one is short again"


def test_a_rest_does_not_outlast_a_clock_that_is_put_back(health: ProviderHealth) -> None:
    now = outages(health, OUTAGES_UNTIL_REST)
    assert not health.is_available(now - SECOND), "clocks are set right by a little all the time"
    assert health.is_available(now - HOUR)
    assert health.is_available(now + HOUR)


def test_after_a_clock_was_put_back_outages_count_as_before(health: ProviderHealth) -> None:
    outages(health, OUTAGES_UNTIL_REST - 1)
    health.record_failure(CUT, NOON - HOUR)
    assert not health.is_available(NOON - HOUR)


def test_a_pause_does_not_outlast_a_clock_that_is_put_back(health: ProviderHealth) -> None:
    health.record_refusal(Unauthorized("401"), NOON)
    assert not health.is_check_due(NOON - SECOND)
    assert health.is_check_due(NOON - HOUR)


def test_an_answer_in_between_begins_the_count_again(health: ProviderHealth) -> None:
    now = outages(health, OUTAGES_UNTIL_REST - 1)
    health.record_answer()
    health.record_failure(CUT, now + ONE_OUTAGE)
    assert health.is_available(now + ONE_OUTAGE)


@pytest.mark.parametrize("error", [InvalidRequest("400"), NotFound("404")])
def test_a_refusal_is_an_answer(health: ProviderHealth, error: InvalidRequest | NotFound) -> None:
    now = outages(health, OUTAGES_UNTIL_REST - 1)
    health.record_failure(error, now)
    health.record_failure(CUT, now + ONE_OUTAGE)
    assert health.is_available(now + ONE_OUTAGE)


def test_rests_grow_up_to_a_limit_however_long_it_is_away(health: ProviderHealth) -> None:
    lengths: list[timedelta] = []
    now = NOON
    for _ in range(100):
        now = outages(health, OUTAGES_UNTIL_REST, since=now)
        assert health.resting_until is not None
        lengths.append(health.resting_until - now)
        now = health.resting_until
    assert lengths[:3] == [REST, 2 * REST, 4 * REST]
    assert lengths[-1] == LONGEST_REST


@pytest.mark.parametrize(
    ("error", "failure"),
    [(Unauthorized("401"), Failure.UNAUTHORIZED), (OutOfFunds("402"), Failure.OUT_OF_FUNDS)],
)
def test_a_refused_key_or_an_empty_purse_pauses_until_it_is_put_right(
    health: ProviderHealth, error: Unauthorized | OutOfFunds, failure: Failure
) -> None:
    health.record_refusal(error, NOON)
    assert health.paused is failure
    assert not health.is_available(NOON + timedelta(days=30)), "time alone does not mend a key"
    assert not health.is_check_due(NOON)
    assert health.is_check_due(NOON + PAUSE)
    health.extend_pause(NOON + PAUSE)
    assert not health.is_check_due(NOON + PAUSE)
    health.record_success()
    assert health.is_available(NOON)


@pytest.mark.parametrize("error", [Unauthorized("401", status=401), OutOfFunds("402", status=402)])
def test_a_refusal_of_one_request_is_that_requests(
    health: ProviderHealth, error: Unauthorized | OutOfFunds
) -> None:
    now = outages(health, OUTAGES_UNTIL_REST - 1)
    for job_id in range(100):
        health.record_failure(error, now, job_id)
    assert health.is_available(now)
    assert health.outages == 0, "the vendor has answered"


def test_a_firewalls_page_counts_once_for_each_job(health: ProviderHealth) -> None:
    page = Unreachable("HTTP 403", status=403)
    for number in range(100):
        health.record_failure(page, NOON + number * ONE_OUTAGE, job_id=1)
    assert health.is_available(NOON + 100 * ONE_OUTAGE)
    assert not health.is_available(outages(health, OUTAGES_UNTIL_REST, page, since=NOON + HOUR, jobs=True))


def test_refusals_during_a_pause_do_not_put_off_the_next_try(health: ProviderHealth) -> None:
    """Jobs that are looked at meet the same refusal every few seconds."""
    for minute in range(10):
        health.record_refusal(Unauthorized("401"), NOON + minute * REST)
    assert health.is_check_due(NOON + PAUSE)
    health.record_refusal(OutOfFunds("402"), NOON + PAUSE)
    assert health.paused is Failure.OUT_OF_FUNDS, "the latest reason is the one to tell"


@pytest.mark.parametrize(
    "error",
    [
        Forbidden("403", status=403),
        Overloaded("our own limiter"),
        Overloaded("its house is full", status=409),
    ],
)
def test_what_others_would_not_meet_says_nothing_of_the_provider(
    health: ProviderHealth, error: Forbidden | Overloaded
) -> None:
    assert health.is_available(outages(health, OUTAGES_UNTIL_REST * 2, error))


def test_what_a_provider_cannot_do_for_one_job_is_no_outage_for_the_others(health: ProviderHealth) -> None:
    for number in range(OUTAGES_UNTIL_REST * 2):
        health.record_failure(Uncertain("500", status=500), NOON + number * ONE_OUTAGE, job_id=1)
    assert health.rest_count == 0


def test_what_it_cannot_do_for_several_jobs_is_an_outage(health: ProviderHealth) -> None:
    assert not health.is_available(
        outages(health, OUTAGES_UNTIL_REST, Uncertain("500", status=500), jobs=True)
    )


def test_a_connection_that_breaks_is_an_outage_whichever_job_met_it(health: ProviderHealth) -> None:
    for number in range(OUTAGES_UNTIL_REST):
        health.record_failure(CUT, NOON + number * ONE_OUTAGE, job_id=1)
    assert health.rest_count == 1


def test_a_look_that_succeeds_ends_no_pause(health: ProviderHealth) -> None:
    health.record_refusal(OutOfFunds("402"), NOON)
    health.record_answer()
    assert not health.is_available(NOON)


def test_a_look_that_succeeds_lets_an_error_of_the_same_job_count_again(health: ProviderHealth) -> None:
    broken = Uncertain("500", status=500)
    health.record_failure(broken, NOON, job_id=0)
    health.record_answer()
    assert not health.is_available(outages(health, OUTAGES_UNTIL_REST, broken, jobs=True))


def test_after_a_rest_the_same_jobs_count_again(health: ProviderHealth) -> None:
    broken = Uncertain("500", status=500)
    now = outages(health, OUTAGES_UNTIL_REST, broken, jobs=True) + REST
    now = outages(health, OUTAGES_UNTIL_REST, broken, since=now, jobs=True)
    assert health.resting_until == now + 2 * REST


def test_an_answer_makes_the_next_rest_short_again(health: ProviderHealth) -> None:
    now = outages(health, OUTAGES_UNTIL_REST) + REST
    health.record_answer()
    now = outages(health, OUTAGES_UNTIL_REST, since=now)
    assert health.resting_until == now + REST
