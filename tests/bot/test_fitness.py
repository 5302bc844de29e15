"""Who is fit to be asked: outages in a row rest a provider, a refused key or an empty purse pauses it."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.fitness import IN_A_ROW, LONGEST_REST, ONE_OUTAGE, PAUSE, REST, Fitness, Ward
from bot.jobs import Failure
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
def fitness() -> Fitness:
    return Fitness()


def outages(
    fitness: Fitness, number: int, error: ProviderError = CUT, since: datetime = NOON, *, jobs: bool = False
) -> datetime:
    """Let it fail so often, far enough apart to count; the time of the last one."""
    now = since
    for job_id in range(number):
        now = since + job_id * ONE_OUTAGE
        fitness.failed(error, now, job_id if jobs else None)
    return now


@pytest.mark.parametrize("outage", OUTAGES)
def test_outages_in_a_row_rest_a_provider_and_the_rest_ends_by_itself(
    fitness: Fitness, outage: Overloaded | Unreachable | Uncertain
) -> None:
    now = outages(fitness, IN_A_ROW - 1, outage)
    assert fitness.fit(now)
    now += ONE_OUTAGE
    fitness.failed(outage, now)
    assert not fitness.fit(now)
    assert not fitness.fit(now + REST - SECOND)
    assert fitness.fit(now + REST)


@pytest.mark.parametrize("jobs", [7, 200])
def test_several_jobs_that_meet_one_outage_are_one_outage(fitness: Fitness, jobs: int) -> None:
    for second in range(0, 15, 5):
        for job_id in range(jobs):
            fitness.failed(CUT, NOON + second * SECOND, job_id)
    assert fitness.fit(NOON + 15 * SECOND)


def test_failures_during_a_rest_neither_extend_nor_double_it(fitness: Fitness) -> None:
    now = outages(fitness, IN_A_ROW)
    outages(fitness, int(REST / ONE_OUTAGE), since=now)
    assert (fitness.rests_until, fitness.rests) == (now + REST, 1)


@given(st.lists(st.tuples(st.integers(0, 75), st.integers(0, 199), st.sampled_from(OUTAGES))))
def test_no_outage_rests_a_provider_for_longer_than_one_rest(
    failures: list[tuple[int, int, ProviderError]],
) -> None:
    """It lasts 15 seconds, and calls that were sent meanwhile fail up to a minute later."""
    fitness = Fitness()
    for second, job_id, error in sorted(failures, key=lambda failure: failure[0]):
        fitness.failed(error, NOON + second * SECOND, job_id)
    assert fitness.rests <= 1
    assert fitness.rests_until is None or fitness.rests_until <= NOON + 75 * SECOND + REST


@given(st.lists(st.tuples(st.integers(0, 3600), st.integers(0, 9), st.sampled_from(OUTAGES))))
def test_a_success_always_ends_a_rest(failures: list[tuple[int, int, ProviderError]]) -> None:
    fitness = Fitness()
    for second, job_id, error in failures:  # in any order: clocks are put back
        now = NOON + second * SECOND
        fitness.failed(error, now, job_id)
        assert fitness.fit(now) or fitness.fit(now + LONGEST_REST + ONE_OUTAGE)
    fitness.seen()
    assert fitness.fit(NOON)
    assert fitness.fit(NOON + HOUR)
    now = outages(fitness, IN_A_ROW, since=NOON + 2 * HOUR)
    assert fitness.rests_until == now + REST, "and the next one is short again"


def test_a_rest_does_not_outlast_a_clock_that_is_put_back(fitness: Fitness) -> None:
    now = outages(fitness, IN_A_ROW)
    assert not fitness.fit(now - SECOND), "clocks are set right by a little all the time"
    assert fitness.fit(now - HOUR)
    assert fitness.fit(now + HOUR)


def test_after_a_clock_was_put_back_outages_count_as_before(fitness: Fitness) -> None:
    outages(fitness, IN_A_ROW - 1)
    fitness.failed(CUT, NOON - HOUR)
    assert not fitness.fit(NOON - HOUR)


def test_a_pause_does_not_outlast_a_clock_that_is_put_back(fitness: Fitness) -> None:
    fitness.confirmed(Unauthorized("401"), NOON)
    assert not fitness.due(NOON - SECOND)
    assert fitness.due(NOON - HOUR)


def test_an_answer_in_between_begins_the_count_again(fitness: Fitness) -> None:
    now = outages(fitness, IN_A_ROW - 1)
    fitness.seen()
    fitness.failed(CUT, now + ONE_OUTAGE)
    assert fitness.fit(now + ONE_OUTAGE)


@pytest.mark.parametrize("error", [InvalidRequest("400"), NotFound("404")])
def test_a_refusal_is_an_answer(fitness: Fitness, error: InvalidRequest | NotFound) -> None:
    now = outages(fitness, IN_A_ROW - 1)
    fitness.failed(error, now)
    fitness.failed(CUT, now + ONE_OUTAGE)
    assert fitness.fit(now + ONE_OUTAGE)


def test_rests_grow_up_to_a_limit_however_long_it_is_away(fitness: Fitness) -> None:
    lengths: list[timedelta] = []
    now = NOON
    for _ in range(100):
        now = outages(fitness, IN_A_ROW, since=now)
        assert fitness.rests_until is not None
        lengths.append(fitness.rests_until - now)
        now = fitness.rests_until
    assert lengths[:3] == [REST, 2 * REST, 4 * REST]
    assert lengths[-1] == LONGEST_REST


@pytest.mark.parametrize(
    ("error", "failure"),
    [(Unauthorized("401"), Failure.UNAUTHORIZED), (OutOfFunds("402"), Failure.OUT_OF_FUNDS)],
)
def test_a_refused_key_or_an_empty_purse_pauses_until_it_is_put_right(
    fitness: Fitness, error: Unauthorized | OutOfFunds, failure: Failure
) -> None:
    fitness.confirmed(error, NOON)
    assert fitness.paused is failure
    assert not fitness.fit(NOON + timedelta(days=30)), "time alone does not mend a key"
    assert not fitness.due(NOON)
    assert fitness.due(NOON + PAUSE)
    fitness.wait(NOON + PAUSE)
    assert not fitness.due(NOON + PAUSE)
    fitness.heard()
    assert fitness.fit(NOON)


@pytest.mark.parametrize("error", [Unauthorized("401", status=401), OutOfFunds("402", status=402)])
def test_a_refusal_of_one_request_is_that_requests(
    fitness: Fitness, error: Unauthorized | OutOfFunds
) -> None:
    now = outages(fitness, IN_A_ROW - 1)
    for job_id in range(100):
        fitness.failed(error, now, job_id)
    assert fitness.fit(now)
    assert fitness.outages == 0, "the vendor has answered"


def test_a_firewalls_page_counts_once_for_each_job(fitness: Fitness) -> None:
    page = Unreachable("HTTP 403", status=403)
    for number in range(100):
        fitness.failed(page, NOON + number * ONE_OUTAGE, job_id=1)
    assert fitness.fit(NOON + 100 * ONE_OUTAGE)
    assert not fitness.fit(outages(fitness, IN_A_ROW, page, since=NOON + HOUR, jobs=True))


def test_refusals_during_a_pause_do_not_put_off_the_next_try(fitness: Fitness) -> None:
    """Jobs that are looked at meet the same refusal every few seconds."""
    for minute in range(10):
        fitness.confirmed(Unauthorized("401"), NOON + minute * REST)
    assert fitness.due(NOON + PAUSE)
    fitness.confirmed(OutOfFunds("402"), NOON + PAUSE)
    assert fitness.paused is Failure.OUT_OF_FUNDS, "the latest reason is the one to tell"


def test_each_provider_has_a_fitness_of_its_own() -> None:
    ward = Ward()
    ward["a"].confirmed(Unauthorized("401"), NOON)
    assert not ward["a"].fit(NOON)
    assert ward["b"].fit(NOON)


@pytest.mark.parametrize(
    "error",
    [
        Forbidden("403", status=403),
        Overloaded("our own limiter"),
        Overloaded("its house is full", status=409),
    ],
)
def test_what_others_would_not_meet_says_nothing_of_the_provider(
    fitness: Fitness, error: Forbidden | Overloaded
) -> None:
    assert fitness.fit(outages(fitness, IN_A_ROW * 2, error))


def test_what_a_provider_cannot_do_for_one_job_is_no_outage_for_the_others(fitness: Fitness) -> None:
    for number in range(IN_A_ROW * 2):
        fitness.failed(Uncertain("500", status=500), NOON + number * ONE_OUTAGE, job_id=1)
    assert fitness.rests == 0


def test_what_it_cannot_do_for_several_jobs_is_an_outage(fitness: Fitness) -> None:
    assert not fitness.fit(outages(fitness, IN_A_ROW, Uncertain("500", status=500), jobs=True))


def test_a_connection_that_breaks_is_an_outage_whichever_job_met_it(fitness: Fitness) -> None:
    for number in range(IN_A_ROW):
        fitness.failed(CUT, NOON + number * ONE_OUTAGE, job_id=1)
    assert fitness.rests == 1


def test_a_look_that_succeeds_ends_no_pause(fitness: Fitness) -> None:
    fitness.confirmed(OutOfFunds("402"), NOON)
    fitness.seen()
    assert not fitness.fit(NOON)


def test_a_look_that_succeeds_lets_an_error_of_the_same_job_count_again(fitness: Fitness) -> None:
    broken = Uncertain("500", status=500)
    fitness.failed(broken, NOON, job_id=0)
    fitness.seen()
    assert not fitness.fit(outages(fitness, IN_A_ROW, broken, jobs=True))


def test_after_a_rest_the_same_jobs_count_again(fitness: Fitness) -> None:
    broken = Uncertain("500", status=500)
    now = outages(fitness, IN_A_ROW, broken, jobs=True) + REST
    now = outages(fitness, IN_A_ROW, broken, since=now, jobs=True)
    assert fitness.rests_until == now + 2 * REST


def test_an_answer_makes_the_next_rest_short_again(fitness: Fitness) -> None:
    now = outages(fitness, IN_A_ROW) + REST
    fitness.seen()
    now = outages(fitness, IN_A_ROW, since=now)
    assert fitness.rests_until == now + REST
