"""What moderators type: good input does what it says, bad input is one sentence and changes nothing."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias
from zoneinfo import ZoneInfo

import pytest

from bot.catalogue import Catalogue
from bot.errors import BadRequest
from bot.moderation import MOST_GRANTS, Moderation, Moderator, Target
from bot.quota.allowances import Allowance, Tariff, WindowKind
from bot.quota.decisions import Decision, ResetUsage, SetAllowance, SetFallback, SetLog
from bot.quota.rules import ServerRules
from bot.store import Store, connect
from providers.specs import Per
from tests.bot.conftest import Scripted
from tests.bot.store.conftest import NOON, StillClock
from tests.helpers import on_both

DAY, WEEK, MONTH = WindowKind
BOT = Allowance(amount=5, kind=DAY)
BY = Moderator(1, 10, 99, "because")
MEMBER = Target(member_id=30, role_ids=frozenset({7, 8}))
ROLE = Target(role_id=7)
EVERYONE = Target()
Decide: TypeAlias = Callable[[Moderation], Awaitable[Decision]]


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
async def store(database_url: str, clock: StillClock) -> AsyncIterator[Store]:
    made = Store(connect(database_url), clock)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def moderation(store: Store, clock: StillClock, tmp_path: Path) -> Moderation:
    catalogue = Catalogue({"scripted": Scripted(tmp_path)}, None)
    await catalogue.refresh(NOON)
    return Moderation(store, catalogue, clock, BOT)


def by(number: int, user_id: int = 99) -> Moderator:
    return replace(BY, decision_id=number, user_id=user_id)


def allowed(amount: int | None, kind: WindowKind = DAY) -> Allowance:
    return Allowance(amount=amount, kind=kind)


async def of(moderation: Moderation, target: Target) -> Allowance | None:
    """The target's own rule."""
    rules = await moderation.rules(10, target.member_id)
    if target.member_id is not None:
        return rules.members.get(target.member_id)
    return rules.everyone if target.role_id is None else rules.roles.get(target.role_id)


@pytest.mark.parametrize("target", [MEMBER, ROLE, EVERYONE])
@pytest.mark.parametrize(
    ("typed", "kind", "allowance"),
    [
        ("5", None, allowed(5)),
        ("0", None, allowed(0)),
        ("1000000", MONTH, allowed(1_000_000, MONTH)),
        ("007", None, allowed(7)),
        (" 7 ", WEEK, allowed(7, WEEK)),
        ("+2", None, allowed(7)),
        ("-1", None, allowed(4)),
        ("-5", None, allowed(0)),
        ("unlimited", None, allowed(None)),
        (" Unlimited", MONTH, allowed(None, MONTH)),
        ("default", None, None),
        ("DEFAULT ", WEEK, None),
    ],
)
async def test_an_allowance_is_what_was_typed(
    moderation: Moderation,
    target: Target,
    typed: str,
    kind: WindowKind | None,
    allowance: Allowance | None,
) -> None:
    decision = await moderation.set_allowance(BY, target, typed, kind)
    change = SetAllowance(member_id=target.member_id, role_id=target.role_id, allowance=allowance)
    assert decision == Decision(1, 10, 99, NOON, change, "because")
    assert await of(moderation, target) == allowance


@pytest.mark.parametrize(
    ("rules", "target", "sum_"),
    [
        ([], MEMBER, allowed(7)),
        ([(EVERYONE, "20", WEEK)], MEMBER, allowed(22, WEEK)),
        ([(EVERYONE, "20", WEEK)], ROLE, allowed(22, WEEK)),
        ([(EVERYONE, "20", WEEK), (ROLE, "3", DAY)], ROLE, allowed(5)),
        ([(Target(role_id=8), "9", DAY), (ROLE, "3", DAY)], MEMBER, allowed(11)),
        ([(Target(role_id=9), "9", DAY)], MEMBER, allowed(7)),
        ([(MEMBER, "1", DAY), (ROLE, "30", DAY)], MEMBER, allowed(3)),
        ([(MEMBER, "1", DAY), (ROLE, "0", DAY)], EVERYONE, allowed(7)),
    ],
)
async def test_a_difference_is_added_to_what_counts_for_the_target_now(
    moderation: Moderation, rules: list[tuple[Target, str, WindowKind]], target: Target, sum_: Allowance
) -> None:
    for number, rule in enumerate(rules, start=1):
        await moderation.set_allowance(by(number), *rule)
    await moderation.set_allowance(by(9), target, "+2", None)
    assert await of(moderation, target) == sum_


async def test_after_default_the_next_rule_counts_again(moderation: Moderation) -> None:
    await moderation.set_allowance(by(1), EVERYONE, "3", None)
    await moderation.set_allowance(by(2), MEMBER, "9", None)
    await moderation.set_allowance(by(3), MEMBER, "default", None)
    assert (await moderation.rules(10, 30)).ruling(30, [], BOT).allowance == allowed(3)


@pytest.mark.parametrize(
    ("typed", "micros"),
    [
        ("25", 25_000_000),
        ("$25", 25_000_000),
        (" $ 25 ", 25_000_000),
        ("7.50", 7_500_000),
        ("$7.5", 7_500_000),
        ("1,000", 1_000_000_000),
        ("$1,234.567891", 1_234_567_891),
        ("0.000001", 1),
        ("0", 0),
        ("1000000", 10**12),
        ("1,000,000.00", 10**12),
        ("unlimited", None),
        (" UNLIMITED", None),
    ],
)
async def test_a_budget_is_an_amount_of_dollars(
    moderation: Moderation, typed: str, micros: int | None
) -> None:
    await moderation.budget(by(1), "3")
    await moderation.budget(by(2), typed)
    assert (await moderation.rules(10)).budget == micros


@pytest.mark.parametrize(
    ("model", "typed", "per", "tariff"),
    [
        (None, "3", None, Tariff(credits=3)),
        ("m", " 0 ", Per.SECOND, Tariff(credits=0, per=Per.SECOND)),
        ("m", "1000000", Per.VIDEO, Tariff(credits=1_000_000, per=Per.VIDEO)),
        ("m", "Default", Per.SECOND, None),
    ],
)
async def test_a_price_is_a_number_of_credits(
    moderation: Moderation, model: str | None, typed: str, per: Per | None, tariff: Tariff | None
) -> None:
    await moderation.price(by(1), "scripted", model, "9", None)
    await moderation.price(by(2), "scripted", model, typed, per)
    assert (await moderation.rules(10)).tariffs == ({} if tariff is None else {("scripted", model): tariff})


@pytest.mark.parametrize("typed", ["Europe/Berlin", "europe/berlin", " EUROPE/BERLIN "])
async def test_a_time_zone_is_known_by_its_name_however_it_is_written(
    moderation: Moderation, typed: str
) -> None:
    await moderation.timezone(BY, typed)
    assert (await moderation.rules(10)).zone == ZoneInfo("Europe/Berlin")


async def test_a_day_ends_where_the_server_is(moderation: Moderation) -> None:
    await moderation.timezone(by(1), "Asia/Tokyo")
    await moderation.grant(by(2), 30, 3, "2024-03-01")
    await moderation.block(by(3), 30, "2024-03-01")
    rules = await moderation.rules(10, 30)
    end = datetime(2024, 3, 1, 15, tzinfo=UTC)
    assert [grant.expires_at for grant in rules.grants[30]] == [end]
    assert rules.blocks[30].until == end


async def test_a_grant_without_an_end_is_for_good(moderation: Moderation) -> None:
    await moderation.grant(BY, 30, 1_000_000, None)
    [grant] = (await moderation.rules(10, 30)).grants[30]
    assert (grant.id, grant.amount, grant.expires_at, grant.reason) == (1, 1_000_000, None, "because")


async def test_who_is_unblocked_may_make_videos_again(moderation: Moderation) -> None:
    await moderation.block(by(1), 30, None)
    await moderation.unblock(by(2), 30)
    assert (await moderation.rules(10, 30)).blocks == {}


@pytest.mark.parametrize(
    ("chosen", "caps"),
    [
        (("1", "1"), (1, 1)),
        (("1000", " 1000 "), (1000, 1000)),
        ((None, "3"), (7, 3)),
        (("2", None), (2, 8)),
        (("default", None), (None, 8)),
        (("Default", "default"), (None, None)),
    ],
)
async def test_a_cap_that_is_left_out_stays_and_a_word_leaves_it_to_the_bot(
    moderation: Moderation, chosen: tuple[str | None, str | None], caps: tuple[int | None, int | None]
) -> None:
    await moderation.caps(by(1), "7", "8")
    await moderation.caps(by(2), *chosen)
    rules = await moderation.rules(10)
    assert (rules.member_jobs, rules.server_jobs) == caps


async def test_a_difference_keeps_its_window(moderation: Moderation) -> None:
    with pytest.raises(BadRequest, match="A difference counts by the day as before"):
        await moderation.set_allowance(by(1), Target(), "+2", WindowKind.WEEK)


async def test_the_default_provider_can_be_chosen_and_left_to_the_bot(moderation: Moderation) -> None:
    await moderation.default_provider(by(1), "scripted")
    assert (await moderation.rules(10)).default_provider == "scripted"
    await moderation.default_provider(by(2), " Default")
    assert (await moderation.rules(10)).default_provider is None


@on_both
async def test_what_needs_no_checking_is_written_down(moderation: Moderation) -> None:
    await moderation.decide(by(1), SetLog(channel_id=20))
    await moderation.decide(by(2), SetFallback(allowed=False))
    await moderation.decide(by(3), ResetUsage(member_id=30))
    rules = await moderation.rules(10, 30)
    assert (rules.log_channel_id, rules.fallback, rules.resets) == (20, False, {30: NOON})


def allowance(typed: str, target: Target = MEMBER) -> Decide:
    return lambda moderation: moderation.set_allowance(BY, target, typed, None)


def budget(typed: str) -> Decide:
    return lambda moderation: moderation.budget(BY, typed)


def price(typed: str, provider: str = "scripted", model: str | None = None) -> Decide:
    return lambda moderation: moderation.price(BY, provider, model, typed, None)


def grant(amount: int, expires: str | None = None) -> Decide:
    return lambda moderation: moderation.grant(BY, 30, amount, expires)


def block(until: str) -> Decide:
    return lambda moderation: moderation.block(BY, 30, until)


def caps(member: str | None, server: str | None) -> Decide:
    return lambda moderation: moderation.caps(BY, member, server)


def timezone(typed: str) -> Decide:
    return lambda moderation: moderation.timezone(BY, typed)


LONG = "9" * 5000
BAD: dict[str, list[tuple[Decide, str]]] = {
    "That would be ": [
        (allowance("-6"), "-1 credits"),
        (allowance("1000000000000"), "1,000,000,000,000 credits"),
        (allowance("1000001"), "1,000,001 credits"),
        (allowance("+999996"), "1,000,001 credits"),
        (allowance(LONG), "0 to 1,000,000"),
        (allowance(f"+{LONG}"), "0 to 1,000,000"),
        (allowance(f"-{LONG}"), "0 to 1,000,000"),
        (price("1000000000000"), "0 to 1,000,000"),
        (price(LONG), "0 to 1,000,000"),
    ],
    "I cannot read that as credits": [
        (allowance(typed), "`+2`")
        for typed in ("", " ", "+", "-", "many", "five", "+-5", "--5", "5-", "5.5", "1,000", "1e3", "0x5",
                      "1_000", "\N{ARABIC-INDIC DIGIT FIVE}", "\N{SUPERSCRIPT TWO}", "nan", "x" * 5000, "5\0")
    ],
    "I cannot read that as a price": [
        (price(typed), "`5`")
        for typed in ("", "free", "unlimited", "+5", "-5", "-0", "1.5", "1,000", "$5", "x" * 5000)
    ],
    "A budget is an amount of US dollars a month": [
        (budget(typed), "up to $1,000,000")
        for typed in ("", "-1", "-0.5", "nan", "sNaN", "inf", "-Infinity", "1e400", "1e999990", "1e999999",
                      "1e-7", "0.0000001", "10^12", "1000000.000001", "1000000000000", LONG, f"0.{LONG}",
                      "25 EUR", "€25", "$$25", "default", "free", "7,50", "1,00", "10,00,000", ",", "1_000",
                      "\N{ARABIC-INDIC DIGIT FIVE}", "1.", ".")
    ],
    "A grant is 1 to 1,000,000 credits": [(grant(amount), "") for amount in (0, -1, 1_000_001, 10**12)],
    "That is not in the future": [
        (grant(3, "2020-01-01"), ""), (grant(3, "0d"), ""), (block("2024-02-28"), ""), (block("0 hours"), "")
    ],
    "That is more than ten years ahead": [(grant(3, "11 years"), ""), (block("9999-12-31"), "")],
    "I cannot read that as a date": [
        (grant(3, "soon"), "`2 weeks`"), (grant(3, "2024-02-30"), ""), (block(""), ""), (block(LONG), "")
    ],
    "I know no such time zone": [
        (timezone(typed), "`Europe/Berlin`")
        for typed in ("", "Berlin", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "UTC+1", "CEST",
                      "localtime", "Factory", "Europe", "x" * 5000, "UTC\0")
    ],
    "There is no such provider here": [
        (price("5", "nobody"), "`scripted`"),
        (lambda moderation: moderation.default_provider(BY, "nobody"), "`scripted`"),
        (lambda moderation: moderation.default_provider(BY, ""), "`scripted`"),
    ],
    "Scripted has no such model": [(price("5", model="x"), "`/providers`"), (price("5", model=""), "")],
    "<@30> is not blocked": [(lambda moderation: moderation.unblock(BY, 30), "")],
    "Type a number of videos from 1 to 1000": [
        (caps(*typed), "`default`")
        for typed in (("0", None), (None, "0"), ("-1", "5"), ("5", "-1"), ("1001", "5"), ("5", LONG),
                      ("", None), ("many", None), ("1.5", None), ("\N{ARABIC-INDIC DIGIT FIVE}", None))
    ],
}  # fmt: skip


@pytest.mark.parametrize("begins", BAD)
async def test_bad_input_is_answered_with_what_to_do_and_changes_nothing(
    store: Store, moderation: Moderation, begins: str
) -> None:
    for decide, holds in BAD[begins]:
        with pytest.raises(BadRequest, match=rf"^{re.escape(begins)}.*[Nn]othing was changed\.$") as refused:
            await decide(moderation)
        assert holds in str(refused.value)
        assert len(str(refused.value)) < 200
    assert await store.decisions.history(10, None, 9) == []
    assert await moderation.rules(10, 30) == ServerRules()


@pytest.mark.parametrize("target", [MEMBER, ROLE, EVERYONE])
@pytest.mark.parametrize("typed", ["+5", "-5", "+0"])
async def test_nothing_is_added_to_or_taken_from_no_limit(
    moderation: Moderation, target: Target, typed: str
) -> None:
    await moderation.set_allowance(by(1), EVERYONE, "unlimited", None)
    with pytest.raises(BadRequest, match=r"^There is no limit .*Nothing was changed\.$"):
        await moderation.set_allowance(by(2), target, typed, None)
    assert [decision.id for decision in await moderation.history(10, None, 9)] == [1]


async def test_a_member_has_so_many_grants_at_once_and_no_more(
    moderation: Moderation, clock: StillClock
) -> None:
    for number in range(MOST_GRANTS):
        await moderation.grant(by(number + 1), 30, 1, "1h" if number == 0 else None)
    with pytest.raises(BadRequest, match=r"give one larger grant\. Nothing was changed\.$"):
        await moderation.grant(by(1000), 30, 1, None)
    clock.time += timedelta(hours=2)
    await moderation.grant(by(1001), 30, 1, None)


async def test_a_block_that_has_ended_cannot_be_lifted(moderation: Moderation, clock: StillClock) -> None:
    await moderation.block(by(1), 30, "1h")
    clock.time += timedelta(hours=1)
    with pytest.raises(BadRequest, match="is not blocked"):
        await moderation.unblock(by(2), 30)


@on_both
@pytest.mark.parametrize(
    "decide",
    [
        allowance("+5"),
        allowance("+5", EVERYONE),
        grant(3),
        block("1h"),
        budget("5"),
        caps("1", "2"),
        timezone("Europe/Berlin"),
        lambda moderation: moderation.decide(BY, ResetUsage(member_id=30)),
    ],
)
async def test_a_repeated_interaction_is_one_decision(
    moderation: Moderation, clock: StillClock, decide: Decide
) -> None:
    first = await decide(moderation)
    rules = await moderation.rules(10, 30)
    clock.time += timedelta(seconds=3)
    assert await asyncio.gather(*(decide(moderation) for _ in range(5))) == [first] * 5
    assert await moderation.history(10, None, 9) == [first]
    assert await moderation.rules(10, 30) == rules


@on_both
async def test_a_repeated_interaction_does_not_undo_what_came_after_it(moderation: Moderation) -> None:
    await moderation.block(by(1), 30, None)
    unblocked = await moderation.unblock(by(2), 30)
    assert await moderation.unblock(by(2), 30) == unblocked
    await moderation.budget(by(3), "5")
    await moderation.budget(by(4), "6")
    await moderation.budget(by(3), "5")
    assert (await moderation.rules(10)).budget == 6_000_000


@on_both
@pytest.mark.parametrize("target", [MEMBER, ROLE, EVERYONE])
@pytest.mark.parametrize("numbers", [(1, 2), (2, 1)])
async def test_five_more_from_each_of_two_moderators_are_ten_more(
    moderation: Moderation, target: Target, numbers: tuple[int, int]
) -> None:
    await asyncio.gather(
        *(moderation.set_allowance(by(number, number), target, "+5", None) for number in numbers)
    )
    assert await of(moderation, target) == allowed(15)
    assert {decision.by_id for decision in await moderation.history(10, None, 9)} == {1, 2}


@on_both
async def test_twenty_at_once_are_all_heard(moderation: Moderation) -> None:
    await asyncio.gather(
        *(moderation.set_allowance(by(20 - number), EVERYONE, "+1", None) for number in range(20))
    )
    assert (await moderation.rules(10)).everyone == allowed(25)
    assert (await moderation.rules(11)).everyone is None


@on_both
async def test_whatever_is_given_as_a_reason_can_be_stored(moderation: Moderation) -> None:
    decision = await moderation.budget(replace(BY, reason="a\0b \ud800 🎬"), "5")
    assert decision.reason == "a\N{REPLACEMENT CHARACTER}b ? 🎬"
    assert await moderation.history(10, None, 9) == [decision]
