from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random

import pytest

from bot.engine.cadence import GROWTH, LONGEST_WAIT, Pace, next_look, typical

FREE = Pace(shortest=2, per_minute=None, sharing=1)
HISTORY = [60.0, 70.0, 80.0, 90.0]


def looks(duration: float, wait: Callable[[float], float]) -> list[float]:
    """When looks happen, up to the one that sees a video which takes so long."""
    times = [wait(0)]
    while times[-1] < duration:
        times.append(times[-1] + wait(times[-1]))
    return times


def known(history: Sequence[float], pace: Pace = FREE) -> Callable[[float], float]:
    return lambda elapsed: next_look(elapsed, history, None, pace)


def averages(
    durations: Sequence[float], choose: Callable[[int], Callable[[float], float]]
) -> tuple[float, float]:
    """Looks for a video, and seconds between its finish and the look that sees it."""
    seen = [(duration, looks(duration, choose(number))) for number, duration in enumerate(durations)]
    late = sum(times[-1] - duration for duration, times in seen)
    return sum(len(times) for _, times in seen) / len(seen), late / len(seen)


@pytest.mark.parametrize(("usual", "spread"), [(12, 0.2), (60, 0.1), (90, 0.3), (300, 0.1)])
def test_no_fixed_interval_does_as_well_once_three_videos_are_known(usual: float, spread: float) -> None:
    """Half the interval is twice the looks: only their product tells a better cadence from a busier one."""
    random = Random(1)  # noqa: S311 - a simulation
    durations = [usual * random.lognormvariate(0, spread) for _ in range(300)]
    past, now = durations[:20], durations[20:]

    number, wait = averages(now, lambda _: known(past))

    for interval in (2, 5, 10):
        fixed_number, fixed_wait = averages(now, lambda _, interval=interval: lambda _: interval)
        assert number < fixed_number or wait < fixed_wait
        assert number * wait < fixed_number * fixed_wait
    as_seldom = usual / number
    _, fixed_wait = averages(now, lambda _: lambda _: as_seldom)
    assert wait < fixed_wait


def test_looks_start_late_and_end_dense() -> None:
    times = looks(75, known(HISTORY))
    gaps = [after - before for before, after in pairwise(times)]
    early = [time for time in times if time < min(HISTORY) * 0.95]
    assert len(early) * LONGEST_WAIT <= min(HISTORY)
    assert max(gaps[len(early) :]) < min(gaps[: len(early) - 1])
    assert times[-1] - 75 < 5


def test_the_first_look_with_dense_ones_after_it_is_shortly_before_the_fastest_video() -> None:
    assert next_look(50, HISTORY, None, FREE) == pytest.approx(7)
    assert next_look(57, HISTORY, None, FREE) == pytest.approx(0.05 * 75)


def test_a_straggler_is_still_expected_for_a_while_and_then_less_and_less() -> None:
    assert next_look(100, HISTORY, None, FREE) == pytest.approx(0.05 * 75)
    assert next_look(113, HISTORY, None, FREE) == pytest.approx(GROWTH * 113)
    assert next_look(1000, HISTORY, None, FREE) == LONGEST_WAIT


@pytest.mark.parametrize("history", [[], [60.0], [60.0, 70.0]])
def test_without_enough_knowledge_the_wait_grows_with_the_time_spent(history: list[float]) -> None:
    assert next_look(0, history, None, FREE) == FREE.shortest
    assert next_look(60, history, None, FREE) == pytest.approx(9)
    assert next_look(600, history, None, FREE) == LONGEST_WAIT


def test_the_vendors_own_estimate_goes_before_what_was_measured() -> None:
    assert next_look(57, HISTORY, 15, FREE) == 15
    assert next_look(0, HISTORY, 0, FREE) == FREE.shortest
    assert next_look(0, HISTORY, 500, FREE) == LONGEST_WAIT


@pytest.mark.parametrize("history", [[], HISTORY, [1.0, 1.0, 1.0]])
@pytest.mark.parametrize("remaining", [None, 0.0, 3.0, 900.0])
def test_no_wait_is_shorter_than_the_vendor_allows_or_longer_than_a_failure_may_go_unseen(
    history: list[float], remaining: float | None
) -> None:
    for elapsed in range(0, 900, 7):
        assert FREE.shortest <= next_look(elapsed, history, remaining, FREE) <= LONGEST_WAIT


@pytest.mark.parametrize("sharing", [1, 5, 40, 200])
@pytest.mark.parametrize("history", [[], HISTORY])
def test_jobs_that_share_a_budget_never_look_more_often_than_it_allows(
    sharing: int, history: list[float]
) -> None:
    pace = Pace(shortest=2, per_minute=60, sharing=sharing)
    starts = range(sharing)  # one after the other, as they are submitted
    times = [start + look for start in starts for look in looks(600, known(history, pace))]
    for minute in range(0, 600, 20):
        assert sum(minute <= time < minute + 60 for time in times) <= 60


def test_what_was_measured_replaces_the_published_guess() -> None:
    assert typical([], None) is None
    assert typical([10, 20], 99) == 99
    assert typical([10, 20, 60], 99) == 20
