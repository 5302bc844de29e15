"""What the operator allows at most: pure tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.quota.allowances import (
    Allowance,
    Budget,
    Ceiling,
    Refusal,
    Ruling,
    Source,
    Standing,
    Window,
    WindowKind,
    window_at,
    within,
)
from bot.quota.limits import Limits, OperatorBudget, Period, Scope, window_of
from bot.quota.rules import ServerRules
from bot.refusals import refusal

DAY, WEEK, MONTH = WindowKind
NOON = datetime(2024, 2, 15, 12, tzinfo=UTC)
TODAY = window_of(Period.DAY, NOON)


def allowed(amount: int | None, kind: WindowKind = DAY) -> Allowance:
    return Allowance(amount=amount, kind=kind)


@pytest.mark.parametrize(
    ("decided", "counts"),
    [
        (allowed(None), allowed(20)),
        (allowed(None, MONTH), allowed(20)),
        (allowed(21), allowed(20)),
        (allowed(20), allowed(20)),
        (allowed(3), allowed(3)),
        (allowed(0), allowed(0)),
        (allowed(140, WEEK), allowed(140, WEEK)),
        (allowed(141, WEEK), allowed(20)),
        (allowed(600, MONTH), allowed(600, MONTH)),
        (allowed(1_000_000, MONTH), allowed(20)),
    ],
)
def test_of_a_rule_and_the_ceiling_the_less_generous_counts(decided: Allowance, counts: Allowance) -> None:
    assert within(decided, allowed(20)) == counts
    assert within(decided, None) == decided


@pytest.mark.parametrize("source", [Source.MEMBER, Source.ROLE, Source.SERVER, Source.BOT])
def test_the_ceiling_is_above_every_rule_and_the_rule_is_still_known(source: Source) -> None:
    most = allowed(None)
    rules = {
        Source.MEMBER: ServerRules(members={30: most}),
        Source.ROLE: ServerRules(roles={7: most}),
        Source.SERVER: ServerRules(everyone=most),
        Source.BOT: ServerRules(),
    }[source]
    ruling = rules.ruling(30, {7}, most, allowed(20))
    assert (ruling.allowance, ruling.source, ruling.decided) == (allowed(20), source, most)
    assert rules.ruling(30, {7}, most).allowance == most


def standing(**values: Any) -> Standing:
    fields: dict[str, Any] = {
        "ruling": Ruling(allowed(None), Source.BOT),
        "window": TODAY,
        "used": 0,
        "grants": (),
        **values,
    }
    return Standing(**fields)


@pytest.mark.parametrize(
    ("used", "price", "why"),
    [
        (0, 20, None),
        (19, 1, None),
        (19, 2, Refusal.CEILING_REACHED),
        (20, 1, Refusal.CEILING_REACHED),
        # A video that the server gives for nothing counts as one.
        (19, 0, None),
        (20, 0, Refusal.CEILING_REACHED),
    ],
)
def test_a_member_gets_no_further_than_the_ceiling(used: int, price: int, why: Refusal | None) -> None:
    assert standing(ceiling=Ceiling(20, used, TODAY)).refusal(price, 0) is why


def spent(limit: int, spent: int, scope: Scope = Scope.BOT, period: Period = Period.DAY) -> OperatorBudget:
    return OperatorBudget(limit, spent, window_of(period, NOON), scope, period)


@pytest.mark.parametrize(
    ("budgets", "cost", "why"),
    [
        ([], 10**12, None),
        ([spent(100, 0)], 100, None),
        ([spent(100, 0)], 101, Refusal.OPERATOR_BUDGET_SPENT),
        ([spent(100, 100)], 1, Refusal.OPERATOR_BUDGET_SPENT),
        ([spent(0, 0)], 1, Refusal.OPERATOR_BUDGET_SPENT),
        # The real cost may be more than was reserved; what costs nothing is made all the same.
        ([spent(100, 300)], 0, None),
        ([spent(100, 0), spent(9, 5, Scope.SERVER)], 5, Refusal.OPERATOR_BUDGET_SPENT),
    ],
)
def test_a_video_has_to_fit_into_every_budget_of_the_operators(
    budgets: list[OperatorBudget], cost: int, why: Refusal | None
) -> None:
    assert standing(operator_budgets=budgets).refusal(1, cost) is why


@pytest.mark.parametrize(("cost", "why"), [(0, None), (50, None), (51, Refusal.TOO_EXPENSIVE)])
def test_no_video_costs_more_than_the_operator_allows(cost: int, why: Refusal | None) -> None:
    assert standing(most_micros=50).refusal(1, cost) is why


def test_what_moderators_decided_is_looked_at_before_the_operators_budgets() -> None:
    own = Budget(10, 10, window_at(MONTH, NOON, ServerRules().zone))
    here = standing(budget=own, operator_budgets=[spent(0, 0)])
    assert here.refusal(1, 5) is Refusal.BUDGET_SPENT


def test_an_hour_is_the_last_sixty_minutes_also_after_the_clock_was_put_back() -> None:
    hour = timedelta(hours=1)
    assert window_of(Period.HOUR, NOON) == Window(NOON - hour, NOON + hour)


@pytest.mark.parametrize(
    ("limits", "needed"),
    [
        (Limits(), False),
        (Limits(allowance=1, member_jobs=2, servers=frozenset({1})), False),
        (Limits(video_micros=0), True),
        (Limits(budgets={(Scope.SERVER, Period.DAY): 0}), True),
    ],
)
def test_prices_have_to_be_known_where_money_is_counted(limits: Limits, *, needed: bool) -> None:
    assert limits.needs_prices is needed


@pytest.mark.parametrize(
    ("servers", "admitted"), [(frozenset[int](), True), (frozenset({1, 2}), True), (frozenset({2}), False)]
)
def test_without_a_list_every_server_is_served(servers: frozenset[int], *, admitted: bool) -> None:
    assert Limits(servers=servers).admits(1) is admitted


TELLS = [
    (standing(ceiling=Ceiling(20, 20, TODAY)), 0, "each member 20 credits a day in all servers together"),
    (standing(most_micros=500_000), 700_000, "would cost $0.70, and whoever runs this bot allows $0.50."),
    (standing(operator_budgets=[spent(5, 5)]), 1, "This bot has used up what it may spend on videos today."),
    (
        standing(operator_budgets=[spent(5, 5, Scope.SERVER, Period.MONTH)]),
        1,
        "This server has used up what the bot may spend on its videos this month. That renews <t:",
    ),
    (
        standing(operator_budgets=[spent(5, 5, period=Period.HOUR)]),
        1,
        "what it may spend on videos in an hour. Try again in a while.",
    ),
    # The one that ends last says when it is worth trying again.
    (standing(operator_budgets=[spent(5, 5), spent(5, 5, period=Period.MONTH)]), 1, "videos this month."),
]


@pytest.mark.parametrize(("here", "cost", "words"), TELLS)
def test_members_read_what_ended_when_it_renews_and_that_it_was_free(
    here: Standing, cost: int, words: str
) -> None:
    why = here.refusal(1, cost)
    assert why is not None
    said = refusal(why, here, 1, cost)
    assert words in said
    assert said.endswith("Nothing was charged.")
    assert said.count(". ") <= 2
