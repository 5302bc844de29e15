"""What each kind of option suggests to somebody who chooses."""

import pytest

from providers.options import Choice, Decimals, Span, Text

SHOWN = 25
STEPS = Span(low=20, high=80, default=50)


@pytest.mark.parametrize("high", [1, 20, SHOWN])
def test_a_short_span_suggests_every_value(high: int) -> None:
    assert list(Span(low=1, high=high).suggestions) == list(range(1, high + 1))


@pytest.mark.parametrize(
    ("limits", "some"),
    [
        (STEPS, [20, 25, 30]),
        (Span(low=1, high=100), [1, 5, 10, 15]),
        (Span(low=1, high=26, default=7), [1, 2, 4, 6, 7, 8]),
        (Span(low=-17, high=983, default=333), [-17, 0, 50, 100, 150, 200, 250, 300, 333, 350]),
        (Decimals(low=1, high=20, default=7.5), [1, 2, 3, 4, 5, 6, 7, 7.5, 8]),
        (Decimals(low=0, high=1), [0, 0.05, 0.1, 0.15]),
        (Decimals(low=0.3, high=0.3), [0.3]),
    ],
)
def test_a_longer_one_suggests_its_ends_its_default_and_round_values(
    limits: Span | Decimals, some: list[float]
) -> None:
    offered = list(limits.suggestions)
    assert offered[: len(some)] == some
    assert offered[-1] == limits.high
    assert all(limits.allows(value) for value in offered)
    assert len(offered) <= SHOWN


def test_no_span_suggests_more_than_is_shown() -> None:
    for high in range(2, 1001):
        offered = Span(low=0, high=high, default=1).suggestions
        assert len(offered) == len(set(offered)) <= SHOWN
        assert {0, 1, high} <= set(offered)


def test_suggestions_are_numbers_of_the_kind_that_is_asked_for() -> None:
    assert {type(value) for value in STEPS.suggestions} == {int}
    assert {type(value) for value in Decimals(low=1, high=20, default=5).suggestions} == {float}


def test_nobody_chooses_from_a_huge_span() -> None:
    assert not Span(low=0, high=2**31 - 1).suggestions
    assert not Decimals(low=0, high=float("inf")).suggestions


def test_words_are_suggested_as_far_as_they_fit() -> None:
    assert len(Text(limit=1000).suggestions) == 3
    assert Text(limit=20).suggestions == ("blurry, distorted",)


def test_a_choice_suggests_its_values_in_their_order() -> None:
    assert Choice(values=("720p", "480p")).suggestions == ("720p", "480p")
