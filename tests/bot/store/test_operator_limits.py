"""The operator's limits while jobs are booked, on both databases: moderators do not lift them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.jobs import Failure, Job, JobState
from bot.quota.allowances import Allowance, Refusal, WindowKind
from bot.quota.decisions import Change, Decision, GiveGrant, ResetUsage, SetAllowance, SetTimezone
from bot.quota.limits import Limits, Period, Scope
from bot.store import Store
from bot.store.accounts import NotBooked
from bot.store.db import Database
from tests.bot.store.conftest import NOON, StillClock, new_job, path_to

pytestmark = pytest.mark.usefixtures("in_threads")

Open = Callable[[Limits], Awaitable[Store]]
FIVE = Allowance(amount=5, kind=WindowKind.DAY)
HOUR = 3600
BOT_DAY, BOT_MONTH, BOT_HOUR = ((Scope.BOT, period) for period in (Period.DAY, Period.MONTH, Period.HOUR))
SERVER_DAY = (Scope.SERVER, Period.DAY)


@pytest.fixture
def with_limits(database_url: str, clock: StillClock, connect_to: Callable[[str], Database]) -> Open:
    async def opened(limits: Limits) -> Store:
        store = Store(connect_to(database_url), clock, limits)
        await store.open()
        return store

    return opened


async def decide(store: Store, number: int, change: Change, guild_id: int = 10) -> None:
    decision = Decision(number, guild_id, 99, NOON - timedelta(hours=1), change)
    await store.decisions.add(decision.id, guild_id, change.member_id, lambda _: decision)


async def book(store: Store, number: int, *, cost: int = 0, **values: Any) -> Refusal | None:
    """Ask for a job; why it was not booked, if it was not."""
    booked = await store.accounts.reserve(new_job(number, cost_micros=cost, **values), (), FIVE)
    return booked.why if isinstance(booked, NotBooked) else None


async def end(store: Store, number: int, state: JobState) -> None:
    job = await store.jobs.get(number)
    assert job is not None
    for step in path_to(state):
        job = await store.jobs.move(job, step)


async def test_neither_a_rule_nor_a_grant_nor_a_reset_lifts_a_members_ceiling(with_limits: Open) -> None:
    store = await with_limits(Limits(allowance=3))
    await decide(store, 1, SetAllowance(allowance=Allowance(amount=None, kind=WindowKind.MONTH)))
    await decide(store, 2, GiveGrant(member_id=30, amount=1_000_000))
    assert [await book(store, number) for number in (1, 2, 3)] == [None] * 3
    await decide(store, 3, ResetUsage(member_id=30))
    # Where the next day has begun already.
    await decide(store, 4, SetTimezone(zone="Pacific/Kiritimati"))
    assert await book(store, 4) is Refusal.CEILING_REACHED
    assert await book(store, 5, user_id=31) is None
    assert await book(store, 6, after=86_400) is None


async def test_a_members_ceiling_is_one_for_all_servers(with_limits: Open) -> None:
    store = await with_limits(Limits(allowance=3))
    asked = [await book(store, number, guild_id=number) for number in range(1, 6)]
    assert asked == [None, None, None, Refusal.CEILING_REACHED, Refusal.CEILING_REACHED]


async def test_videos_that_a_server_gives_for_nothing_count_for_the_ceiling(with_limits: Open) -> None:
    store = await with_limits(Limits(allowance=2))
    assert [await book(store, number, price=0) for number in (1, 2, 3)] == [
        None,
        None,
        Refusal.CEILING_REACHED,
    ]
    await end(store, 2, JobState.FAILED)
    assert await book(store, 4, price=0) is None


async def test_what_the_operator_pays_for_counts_though_nobody_was_charged(with_limits: Open) -> None:
    store = await with_limits(Limits(allowance=2))
    for number, is_sent in ((1, False), (2, True), (3, True)):
        assert await book(store, number, cost=5, guild_id=number) is None
        job = await store.jobs.get(number)
        assert job is not None
        if is_sent:
            job = await store.jobs.move(job, JobState.SUBMITTING)
            job = await store.jobs.ask(job, at=NOON)
        # A moderator of the member's own server can do it any number of times.
        await store.jobs.move(job, JobState.CANCELLED, ended_by=99)
    assert await book(store, 4, guild_id=4) is Refusal.CEILING_REACHED


async def test_a_video_that_is_paid_for_later_counts_then(with_limits: Open) -> None:
    store = await with_limits(Limits(allowance=1))
    assert await book(store, 1) is None
    await end(store, 1, JobState.DELIVERING)
    job = await store.jobs.get(1)
    assert job is not None
    job = await store.jobs.move(job, JobState.FAILED, failure=Failure.UNDELIVERABLE)
    tomorrow = NOON + timedelta(days=1)
    assert isinstance(await store.accounts.book_again(job, (), FIVE, tomorrow), Job)
    assert await book(store, 2, guild_id=11, after=86_400) is Refusal.CEILING_REACHED
    assert await book(store, 3, guild_id=11) is None, "nothing is paid for on the first day"


async def test_what_counts_is_shown_where_the_member_stands(with_limits: Open) -> None:
    store = await with_limits(Limits(allowance=3))
    most = Allowance(amount=None, kind=WindowKind.MONTH)
    await decide(store, 1, SetAllowance(allowance=most))
    await book(store, 1)
    standing = await store.accounts.standing(10, 30, (), FIVE, NOON)
    assert (standing.ruling.allowance.amount, standing.ruling.decided, standing.left) == (3, most, 2)
    assert standing.ceiling is not None
    assert (standing.ceiling.used, standing.ceiling.limit) == (1, 3)


@pytest.mark.parametrize(
    ("budget", "other_server", "later"),
    [
        (
            BOT_DAY,
            Refusal.OPERATOR_BUDGET_SPENT,
            {12 * HOUR + 61: None, 11 * HOUR: Refusal.OPERATOR_BUDGET_SPENT},
        ),
        (SERVER_DAY, None, {12 * HOUR + 61: None}),
        (BOT_HOUR, Refusal.OPERATOR_BUDGET_SPENT, {HOUR + 1: None, HOUR - 1: Refusal.OPERATOR_BUDGET_SPENT}),
        (
            BOT_MONTH,
            Refusal.OPERATOR_BUDGET_SPENT,
            {11 * HOUR: Refusal.OPERATOR_BUDGET_SPENT, 12 * HOUR + 61: None},
        ),
    ],
)
async def test_a_budget_of_the_operators_is_reserved_by_who_books(
    with_limits: Open,
    budget: tuple[Scope, Period],
    other_server: Refusal | None,
    later: dict[int, Refusal | None],
) -> None:
    store = await with_limits(Limits(budgets={budget: 100}))
    assert await book(store, 1, cost=60) is None
    assert await book(store, 2, cost=41) is Refusal.OPERATOR_BUDGET_SPENT
    assert await book(store, 3, cost=41, guild_id=11, user_id=31) is other_server
    for number, (seconds, why) in enumerate(later.items(), start=4):
        assert await book(store, number, cost=100, after=seconds, user_id=40 + number) is why, seconds
        if why is None:
            await end(store, number, JobState.FAILED)


async def test_what_failed_is_given_back_to_the_budget_and_what_was_made_is_not(with_limits: Open) -> None:
    store = await with_limits(Limits(budgets={BOT_DAY: 100, SERVER_DAY: 100}))
    assert await book(store, 1, cost=100) is None
    await end(store, 1, JobState.FAILED)
    assert await book(store, 2, cost=100) is None
    await end(store, 2, JobState.DELIVERED)
    assert await book(store, 3, cost=1) is Refusal.OPERATOR_BUDGET_SPENT


async def test_many_servers_at_once_spend_no_more_than_the_bots_budget(with_limits: Open) -> None:
    limits = Limits(budgets={BOT_HOUR: 100})
    stores = [await with_limits(limits), await with_limits(limits)]
    asked = [
        book(stores[number % 2], number, cost=30, guild_id=number, user_id=number) for number in range(1, 25)
    ]
    assert (await asyncio.gather(*asked)).count(None) == 3


async def test_one_member_in_many_servers_at_once_uses_no_more_than_the_ceiling(with_limits: Open) -> None:
    limits = Limits(allowance=4)
    stores = [await with_limits(limits), await with_limits(limits)]
    asked = [book(stores[number % 2], number, guild_id=number) for number in range(1, 25)]
    assert (await asyncio.gather(*asked)).count(None) == 4


async def test_a_repeated_interaction_is_the_same_job_however_much_is_left(with_limits: Open) -> None:
    store = await with_limits(Limits(allowance=1, budgets={BOT_DAY: 5}))
    assert await book(store, 1, cost=5) is None
    again = await store.accounts.reserve(replace(new_job(1), cost_micros=5), (), FIVE)
    assert isinstance(again, Job)


async def test_what_each_server_spends_is_known(with_limits: Open) -> None:
    store = await with_limits(Limits(budgets={SERVER_DAY: 10**6}))
    for number, guild_id in enumerate((10, 10, 11, 12), start=1):
        await book(store, number, cost=number * (guild_id != 12), guild_id=guild_id)
    assert await store.spending.by_server(Period.DAY, NOON) == {10: 3, 11: 3}
    [budget] = await store.spending.budgets(10, NOON)
    assert (budget.spent, budget.left) == (3, 999_997)
