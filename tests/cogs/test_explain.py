"""Which rule counts for a member, and what is left by it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.quota.allowances import Allowance, Block, Budget, Grant, Ruling, Source, Standing, Window, WindowKind
from bot.quota.rules import ServerRules
from cogs.quota_admin._explain import explain

START = datetime(2024, 2, 29, tzinfo=UTC)
LATER = START + timedelta(hours=6)
END = START + timedelta(days=1)
AT = {moment: f"<t:{int(moment.timestamp())}:f>" for moment in (START, LATER, END)}
DAY = Window(START, END)
FIVE, SIX, SEVEN, EIGHT = (Allowance(amount=amount, kind=WindowKind.DAY) for amount in (5, 6, 7, 8))
ALL = ServerRules(everyone=SIX, roles={20: SEVEN, 21: FIVE, 22: EIGHT}, members={30: EIGHT})
NONE = ServerRules()
STANDING = Standing(Ruling(FIVE, Source.BOT), DAY, used=0, grants=())


def lines(
    *, rules: ServerRules = NONE, roles: tuple[int, ...] = (), **standing: Any
) -> tuple[list[str], list[str]]:
    """The lines about rules, and those about what is left."""
    text = explain(30, roles, rules, replace(STANDING, **standing), FIVE)
    above, below = text.split("\n\n")
    return above.split("\n"), below.split("\n")


@pytest.mark.parametrize(
    ("ruling", "because", "beaten"),
    [
        (
            Ruling(EIGHT, Source.MEMBER),
            "**<@30> has 8 credits a day:** a rule of their own, which beats every role.",
            ["<@&20>: 7 credits a day", "<@&21>: 5 credits a day", "everyone's rule: 6 credits a day"],
        ),
        (
            Ruling(SEVEN, Source.ROLE, 20),
            (
                "**<@30> has 7 credits a day:** the role <@&20>, the best of their roles. "
                "It beats everyone's rule."
            ),
            ["<@&21>: 5 credits a day", "everyone's rule: 6 credits a day"],
        ),
    ],
)
def test_the_rule_that_wins_comes_first_and_then_those_it_beats(
    ruling: Ruling, because: str, beaten: list[str]
) -> None:
    above, _ = lines(rules=ALL, roles=(21, 20, 99), ruling=ruling)
    assert above[0] == because
    assert above[1:] == [f"-# not {rule}" for rule in [*beaten, "the bot's default: 5 credits a day"]]


def test_the_rule_for_everyone_beats_the_bots_default_only() -> None:
    (because, *beaten), _ = lines(rules=ServerRules(everyone=SIX), ruling=Ruling(SIX, Source.SERVER))
    assert because.startswith("**<@30> has 6 credits a day:** the rule for everyone in this server; no rule")
    assert beaten == ["-# not the bot's default: 5 credits a day"]


def test_the_bots_default_beats_nothing() -> None:
    [only], _ = lines()
    assert only.startswith("**<@30> has 5 credits a day:** the bot's default; this server has no rule")


def test_ten_roles_are_named_at_most() -> None:
    many = ServerRules(roles=dict.fromkeys(range(50), SIX))
    above, _ = lines(rules=many, roles=tuple(range(50)), ruling=Ruling(SIX, Source.MEMBER))
    assert sum("<@&" in line for line in above) == 10


def test_what_is_left_is_told_with_when_it_renews() -> None:
    _, below = lines(used=1)
    assert below == [
        f"Used since {AT[START]}: 1 credit.",
        f"Left: 4; it renews <t:{int(END.timestamp())}:R>.",
    ]


def test_without_a_limit_nothing_is_said_to_be_left() -> None:
    unlimited = Ruling(Allowance(amount=None, kind=WindowKind.DAY), Source.BOT)
    above, below = lines(ruling=unlimited, used=2)
    assert above[0].startswith("**<@30> has no limit:**")
    assert below == [f"Used since {AT[START]}: 2 credits."]


@pytest.mark.parametrize(
    ("reset", "since"), [(LATER, LATER), (START - timedelta(days=1), START)], ids=["in it", "before it"]
)
def test_what_was_used_is_counted_from_a_reset_in_the_window(reset: datetime, since: datetime) -> None:
    _, below = lines(rules=ServerRules(resets={30: reset}))
    assert below[0] == f"Used since {AT[since]}: 0 credits."


@pytest.mark.parametrize(("until", "words"), [(None, "for good"), (END, f"until {AT[END]}")])
def test_a_block_goes_before_everything_that_is_left(until: datetime | None, words: str) -> None:
    _, below = lines(block=Block(until, "spam"))
    assert below[0] == f"Blocked {words}, so nothing can be made whatever is left."


def test_each_grant_is_told_with_its_end() -> None:
    grants = (Grant(1, 3, END, 1, None), Grant(2, 1, None, 0, None))
    _, below = lines(grants=grants)
    assert below[-2:] == [
        f"Granted, and used after that: 2 of 3 credits until {AT[END]}.",
        "Granted, and used after that: 1 of 1 credit.",
    ]


def test_a_budget_that_is_overspent_has_nothing_left() -> None:
    _, below = lines(budget=Budget(2_000_000, 2_500_000, DAY))
    assert below[-1] == "The server's budget has $0.00 of $2.00 left this month."
