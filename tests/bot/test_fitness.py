"""Who is fit to be asked: outages in a row rest a provider, a refused key or an empty purse pauses it."""

from datetime import timedelta

import pytest

from bot.fitness import IN_A_ROW, LONGEST_REST, PAUSE, REST, Fitness, Ward
from bot.jobs import Failure
from providers.errors import (
    Forbidden,
    InvalidRequest,
    NotFound,
    OutOfFunds,
    Overloaded,
    Unauthorized,
    Uncertain,
    Unreachable,
)
from tests.clock import NOON

OUTAGES = [Overloaded("503", status=503), Unreachable("dns"), Uncertain("500")]


@pytest.fixture
def fitness() -> Fitness:
    return Fitness()


@pytest.mark.parametrize("outage", OUTAGES)
def test_outages_in_a_row_rest_a_provider_and_the_rest_ends_by_itself(
    fitness: Fitness, outage: Overloaded | Unreachable | Uncertain
) -> None:
    for _ in range(IN_A_ROW - 1):
        fitness.failed(outage, NOON)
    assert fitness.fit(NOON)
    fitness.failed(outage, NOON)
    assert not fitness.fit(NOON)
    assert not fitness.fit(NOON + REST - timedelta(seconds=1))
    assert fitness.fit(NOON + REST)


def test_an_answer_in_between_begins_the_count_again(fitness: Fitness) -> None:
    for _ in range(IN_A_ROW - 1):
        fitness.failed(Uncertain("cut"), NOON)
    fitness.heard()
    fitness.failed(Uncertain("cut"), NOON)
    assert fitness.fit(NOON)


@pytest.mark.parametrize("error", [InvalidRequest("400"), NotFound("404")])
def test_a_refusal_is_an_answer(fitness: Fitness, error: InvalidRequest | NotFound) -> None:
    for _ in range(IN_A_ROW - 1):
        fitness.failed(Uncertain("cut"), NOON)
    fitness.failed(error, NOON)
    fitness.failed(Uncertain("cut"), NOON)
    assert fitness.fit(NOON)


def test_rests_grow_up_to_a_limit(fitness: Fitness) -> None:
    lengths: list[timedelta] = []
    for _ in range(8):
        for _ in range(IN_A_ROW):
            fitness.failed(Uncertain("cut"), NOON)
        assert fitness.rests_until is not None
        lengths.append(fitness.rests_until - NOON)
    assert lengths[:3] == [REST, 2 * REST, 4 * REST]
    assert lengths[-1] == LONGEST_REST


@pytest.mark.parametrize(
    ("error", "failure"),
    [(Unauthorized("401"), Failure.UNAUTHORIZED), (OutOfFunds("402"), Failure.OUT_OF_FUNDS)],
)
def test_a_refused_key_or_an_empty_purse_pauses_until_it_is_put_right(
    fitness: Fitness, error: Unauthorized | OutOfFunds, failure: Failure
) -> None:
    fitness.failed(error, NOON)
    assert fitness.paused is failure
    assert not fitness.fit(NOON + timedelta(days=30)), "time alone does not mend a key"
    assert not fitness.due(NOON)
    assert fitness.due(NOON + PAUSE)
    fitness.wait(NOON + PAUSE)
    assert not fitness.due(NOON + PAUSE)
    fitness.heard()
    assert fitness.fit(NOON)


def test_each_provider_has_a_fitness_of_its_own() -> None:
    ward = Ward()
    ward["a"].failed(Unauthorized("401"), NOON)
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
    for _ in range(IN_A_ROW * 2):
        fitness.failed(error, NOON)
    assert fitness.fit(NOON)


def test_what_a_provider_cannot_do_for_one_job_is_no_outage_for_the_others(fitness: Fitness) -> None:
    for _ in range(IN_A_ROW * 2):
        fitness.failed(Uncertain("500", status=500), NOON, job_id=1)
    assert fitness.fit(NOON)


def test_what_it_cannot_do_for_several_jobs_is_an_outage(fitness: Fitness) -> None:
    for job_id in range(IN_A_ROW):
        fitness.failed(Uncertain("500", status=500), NOON, job_id=job_id)
    assert not fitness.fit(NOON)


def test_a_connection_that_breaks_is_an_outage_whichever_job_met_it(fitness: Fitness) -> None:
    for _ in range(IN_A_ROW):
        fitness.failed(Uncertain("cut"), NOON, job_id=1)
    assert not fitness.fit(NOON)


def test_a_look_that_succeeds_ends_no_pause(fitness: Fitness) -> None:
    fitness.failed(OutOfFunds("402"), NOON)
    fitness.seen()
    assert not fitness.fit(NOON)


def test_a_look_that_succeeds_lets_an_error_of_the_same_job_count_again(fitness: Fitness) -> None:
    fitness.failed(Uncertain("500", status=500), NOON, job_id=0)
    fitness.seen()
    for job_id in range(IN_A_ROW):
        fitness.failed(Uncertain("500", status=500), NOON, job_id=job_id)
    assert not fitness.fit(NOON)


def test_after_a_rest_the_same_jobs_count_again(fitness: Fitness) -> None:
    for _ in range(2):
        for job_id in range(IN_A_ROW):
            fitness.failed(Uncertain("500", status=500), NOON, job_id=job_id)
    assert fitness.rests_until == NOON + 2 * REST


def test_a_job_that_is_taken_makes_the_next_rest_short_again(fitness: Fitness) -> None:
    for _ in range(2):
        fitness.heard()
        for _ in range(IN_A_ROW):
            fitness.failed(Uncertain("cut"), NOON)
    assert fitness.rests_until == NOON + REST
