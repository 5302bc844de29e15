"""A snapshot equals what reading all decisions gives, and reading it does not grow with them."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.jobs import Job, JobState
from bot.quota.allowances import Allowance, Block, Tariff, WindowKind
from bot.quota.decisions import (
    BlockMember,
    Change,
    Decision,
    GiveGrant,
    ResetUsage,
    RevokeGrants,
    SetAllowance,
    SetBudget,
    SetCaps,
    SetDefaultProvider,
    SetElsewhere,
    SetFallback,
    SetLog,
    SetPrice,
    SetTimezone,
    UnblockMember,
    rules_of,
)
from bot.quota.rules import Elsewhere, ServerRules
from bot.store import Store
from bot.store.db import to_text
from bot.store.queue import Caps
from tests.bot.store.conftest import NOON, StillClock, new_job, path_to
from tests.bot.store.test_properties import profile

Another = Callable[[], Awaitable[Store]]
Decide = Callable[..., Awaitable[Decision]]
FIVE = Allowance(amount=5, kind=WindowKind.DAY)
NONE = Allowance(amount=0, kind=WindowKind.DAY)
MEMBERS = (30, 31)
NUMBERS = itertools.count(1)
"""Every story is told in a server of its own, so that they share one database."""


@pytest.fixture
def decide(store: Store, clock: StillClock) -> Decide:
    async def decided(*changes: Change, on: Store = store, guild_id: int = 10) -> Decision:
        for change in changes:
            decision = Decision(next(NUMBERS), guild_id, 99, clock.now(), change, "why")
            made = await on.decisions.add(
                decision.id, guild_id, change.member_id, lambda _, decision=decision: decision
            )
        return made

    return decided


async def folded(store: Store, member_id: int | None, guild_id: int = 10) -> ServerRules:
    """What follows from reading all decisions."""
    decisions = reversed(await store.decisions.history(guild_id, None, 10_000))
    return rules_of(decision for decision in decisions if decision.change.member_id in {None, member_id})


async def run(store: Store, sql: str, **values: Any) -> list[Any]:
    return await store._database.write(lambda on: on.rows(sql, **values))


@pytest.fixture
async def other(another: Another) -> Store:
    return await another()


members = st.sampled_from(MEMBERS)
ends = st.sampled_from(
    [None, NOON - timedelta(days=1), NOON + timedelta(seconds=20), NOON + timedelta(days=1)]
)
allowances = st.none() | st.builds(
    Allowance, amount=st.sampled_from((0, 5, None)), kind=st.just(WindowKind.DAY)
)
numbers = st.sampled_from((None, 1, 2))
names = st.sampled_from(("eigenai", "a,b", 'quo"te'))
changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(SetAllowance, allowance=allowances),
    st.builds(SetAllowance, role_id=st.sampled_from((7, 8)), allowance=allowances),
    st.builds(SetAllowance, member_id=members, allowance=allowances),
    st.builds(GiveGrant, member_id=members, amount=st.integers(1, 5), expires_at=ends),
    st.builds(RevokeGrants, member_id=members),
    st.builds(ResetUsage, member_id=members),
    st.builds(BlockMember, member_id=members, until=ends),
    st.builds(UnblockMember, member_id=members),
    st.builds(
        SetPrice,
        provider=names,
        model=st.none() | names,
        tariff=st.none() | st.builds(Tariff, credits=st.integers(0, 3)),
    ),
    st.builds(SetBudget, micros=numbers),
    st.builds(SetCaps, member=numbers, server=numbers),
    st.builds(SetTimezone, zone=st.sampled_from(("UTC", "Europe/Berlin", "Not/Here"))),
    st.builds(SetLog, channel_id=numbers),
    st.builds(SetDefaultProvider, provider=st.none() | names),
    st.builds(SetFallback, allowed=st.sampled_from((None, True, False))),
    st.builds(SetElsewhere, where=st.sampled_from(Elsewhere)),
)
rounds = st.lists(st.lists(changes, min_size=1, max_size=5), min_size=1, max_size=6)
"""The changes of a round are made at the same time, in turn by one program and the next."""


async def tell(
    stores: Sequence[Store], decide: Decide, clock: StillClock, story: Sequence[Sequence[Change]]
) -> None:
    guild_id = next(NUMBERS)
    for together in story:
        clock.time += timedelta(seconds=7)
        limiter = zip(together, itertools.cycle(stores), strict=False)
        await asyncio.gather(*(decide(change, on=store, guild_id=guild_id) for change, store in limiter))
        for member_id in (None, *MEMBERS):
            expected = await folded(stores[0], member_id, guild_id)
            assert [await store.decisions.rules(guild_id, member_id) for store in stores] == [expected] * len(
                stores
            )
    await run(stores[0], "DELETE FROM server_rules WHERE guild_id = :guild_id", guild_id=guild_id)
    await run(stores[0], "UPDATE member_rules SET snapshot = 'lost'")
    for member_id in (None, *MEMBERS):
        assert await stores[0].decisions.rules(guild_id, member_id) == await folded(
            stores[0], member_id, guild_id
        )


@pytest.mark.timeout(120)  # for a story that fails: it is then told again, shorter and shorter
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@profile(40)
@given(rounds)
async def test_what_is_kept_is_what_all_decisions_make(
    store: Store, decide: Decide, clock: StillClock, story: Sequence[Sequence[Change]]
) -> None:
    clock.time = NOON
    await tell([store], decide, clock, story)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@profile(10)
@given(rounds)
async def test_what_two_programs_keep_at_once_is_what_all_decisions_make(
    store: Store, other: Store, decide: Decide, clock: StillClock, story: Sequence[Sequence[Change]]
) -> None:
    clock.time = NOON
    await tell([store, other], decide, clock, story)


async def test_what_an_older_program_has_decided_counts(store: Store, decide: Decide) -> None:
    await decide(SetBudget(micros=5), SetAllowance(member_id=30, allowance=FIVE))
    changes = (BlockMember(member_id=30), SetBudget(micros=7))
    for number, change in enumerate(changes, start=10**6):
        await run(
            store,
            """
            INSERT INTO decision (id, guild_id, by_id, at, kind, member_id, change)
            VALUES (:id, 10, 1, :at, :kind, :member_id, :change)
            """,
            id=number,
            at=to_text(NOON + timedelta(days=1)),
            kind=change.kind,
            member_id=change.member_id,
            change=change.model_dump_json(),
        )
    assert await store.decisions.rules(10, 30) == replace(
        ServerRules(), budget=7, members={30: FIVE}, blocks={30: Block(None, None)}
    )
    assert await store.decisions.rules(10, 30) == await folded(store, 30)


async def test_what_a_program_that_folds_otherwise_has_kept_is_not_believed(
    store: Store, decide: Decide
) -> None:
    await decide(SetBudget(micros=5), BlockMember(member_id=30), SetCaps(member=1))
    await run(store, "UPDATE server_rules SET format = format - 1, snapshot = 'strange'")
    await run(store, "UPDATE member_rules SET snapshot = 'strange'")
    found = await store.accounts.reserve(new_job(1), (), FIVE)
    assert not isinstance(found, Job)
    assert found.standing.block == Block(None, "why")
    assert await store.decisions.rules(10, 30) == await folded(store, 30)


async def test_neither_commands_nor_decisions_read_the_decisions_again(store: Store, decide: Decide) -> None:
    await decide(SetBudget(micros=5), SetAllowance(member_id=30, allowance=FIVE), SetCaps(member=1))
    await decide(SetLog(channel_id=20), GiveGrant(member_id=30, amount=2))
    before = await store.decisions.rules(10, 30)
    await run(
        store, "UPDATE decision SET change = 'not to be read' WHERE id <> (SELECT MAX(id) FROM decision)"
    )
    assert await store.decisions.rules(10, 30) == before
    assert (await store.accounts.standing(10, 30, (), NONE, NOON)).left == 7
    await decide(SetLog(channel_id=21))
    assert await store.decisions.rules(10, 30) == replace(before, log_channel_id=21)
    assert (await store.decisions.overrides(10, NOON, 9)).members == {30: FIVE}


async def test_promotion_knows_caps_that_were_never_folded(store: Store, decide: Decide) -> None:
    await decide(SetCaps(member=1))
    await decide(SetCaps(member=2), guild_id=11)
    for number, guild_id in enumerate((10, 10, 11, 11, 11, 12), start=1):
        await store.accounts.reserve(new_job(number, guild_id=guild_id), (), FIVE)
    await run(store, "DELETE FROM server_rules")
    limits = Caps(3, 9, {"eigenai": None})
    promoted = [await store.jobs.promote(limits) for _ in range(6)]
    assert sorted(job.id for job in promoted if job) == [1, 3, 4, 6]


async def test_a_grant_that_has_expired_is_forgotten_when_the_next_is_given(
    store: Store, decide: Decide, clock: StillClock
) -> None:
    for _ in range(50):
        await decide(GiveGrant(member_id=30, amount=1, expires_at=clock.time + timedelta(minutes=1)))
        clock.time += timedelta(minutes=1)
    assert len((await store.decisions.rules(10, 30)).grants[30]) == 1
    assert len(await store.decisions.history(10, 30, 99)) == 50


async def test_a_grant_is_forgotten_once_nobody_can_give_anything_of_it_back(
    store: Store, decide: Decide
) -> None:
    first = await decide(GiveGrant(member_id=30, amount=1))
    job = await store.accounts.reserve(new_job(1), (), NONE)
    assert isinstance(job, Job)
    second = await decide(GiveGrant(member_id=30, amount=2))
    assert [grant.id for grant in (await store.decisions.rules(10, 30)).grants[30]] == [first.id, second.id]
    for state in path_to(JobState.DELIVERED):
        job = await store.jobs.move(job, state)
    third = await decide(GiveGrant(member_id=30, amount=3))
    assert [grant.id for grant in (await store.decisions.rules(10, 30)).grants[30]] == [second.id, third.id]
    assert (await store.accounts.standing(10, 30, (), NONE, NOON)).granted == 5
    again = new_job(2, price=2)
    assert isinstance(await store.accounts.reserve(again, (), NONE), Job)
    await store.jobs.move(again, JobState.CANCELLED)
    await decide(BlockMember(member_id=30), UnblockMember(member_id=30))
    assert (await store.accounts.standing(10, 30, (), NONE, NOON)).granted == 5


async def test_rules_of_their_own_are_listed_as_long_as_they_last_and_only_so_many(
    store: Store, decide: Decide
) -> None:
    for member_id in range(100, 110):
        await decide(BlockMember(member_id=member_id, until=NOON + timedelta(seconds=member_id)))
    await decide(SetAllowance(member_id=30, allowance=FIVE), GiveGrant(member_id=31, amount=1))
    found = await store.decisions.overrides(10, NOON + timedelta(seconds=107), 2)
    assert (set(found.members), set(found.blocks)) == ({30}, {109})
    found = await store.decisions.overrides(10, NOON + timedelta(seconds=107), 9)
    assert set(found.blocks) == {108, 109}


async def test_a_zone_that_this_machine_does_not_know_is_kept_for_those_that_do(
    store: Store, decide: Decide
) -> None:
    await decide(SetTimezone(zone="Not/Here"), SetBudget(micros=5))
    rules = await store.decisions.rules(10)
    assert (rules.zone_name, rules.zone) == ("Not/Here", ZoneInfo("UTC"))


async def test_a_decision_about_another_member_than_it_was_made_for_is_none(store: Store) -> None:
    decision = Decision(1, 10, 99, datetime(2024, 1, 1, tzinfo=UTC), BlockMember(member_id=31))
    with pytest.raises(ValueError, match="somebody else"):
        await store.decisions.add(1, 10, 30, lambda _: decision)
    assert await store.decisions.history(10, None, 9) == []
