"""No command looks at every row that there ever was: each question has an index that answers it."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

import pytest

from bot.jobs import Job, JobState
from bot.quota.allowances import Allowance, WindowKind, window_at
from bot.quota.decisions import BlockMember, Decision, GiveGrant, SetBudget, SetCaps
from bot.quota.limits import Limits, Period, Scope
from bot.quota.rules import ServerRules
from bot.store import Store
from bot.store.db import Database, Row
from bot.store.log_posts import LogPost
from bot.store.queue import Caps
from tests.bot.store.conftest import NOON, StillClock, new_job, path_to

FIVE = Allowance(amount=5, kind=WindowKind.DAY)
NONE = Allowance(amount=0, kind=WindowKind.DAY)
GROWING = re.compile(
    r"SCAN (job|decision|draw|log_post|note|server_rules|member_rules)\b"
    r"(?! USING (COVERING )?INDEX (log_post_open|job_unshown))"
)
"""What is still to be posted or shown is all of a small index."""
MONTH = window_at(WindowKind.MONTH, NOON, ServerRules().zone)


STATEMENTS = {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}
Plans: TypeAlias = dict[str, list[str]]
LIMITS = Limits(allowance=50, budgets={(scope, period): 9 for scope in Scope for period in Period})


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> Plans:
    """How SQLite answers each statement that is run, by its text."""
    import bot.store.sqlite as module  # noqa: PLC0415 - its insides are watched

    run, seen = module._rows, Plans()

    async def watched(connection: Any, sql: str, values: dict[str, Any]) -> list[Row]:
        if sql.split(maxsplit=1)[0] in STATEMENTS:
            plan = await run(connection, f"EXPLAIN QUERY PLAN {sql}", values)
            seen[" ".join(sql.split())] = [str(row["detail"]) for row in plan]
        return await run(connection, sql, values)

    monkeypatch.setattr(module, "_rows", watched)
    return seen


@pytest.fixture
def postgres_plans(monkeypatch: pytest.MonkeyPatch) -> Plans:
    """The same of PostgreSQL, which reads a small table whole unless it is told not to."""
    import bot.store.postgres as module  # noqa: PLC0415 - its insides are watched

    run, seen = module._rows, Plans()

    async def watched(connection: Any, sql: str, values: dict[str, Any]) -> list[Row]:
        if sql.split(maxsplit=1)[0] in STATEMENTS and "job" in sql:
            await connection.execute("SET enable_seqscan = off")
            plan = await run(connection, f"EXPLAIN {sql}", values)
            seen[" ".join(sql.split())] = [str(row["QUERY PLAN"]).strip() for row in plan]
        return await run(connection, sql, values)

    monkeypatch.setattr(module, "_rows", watched)
    return seen


@pytest.fixture
async def store(database_url: str, clock: StillClock, connect_to: Callable[[str], Database]) -> Store:
    """With all the limits that an operator can set."""
    made = Store(connect_to(database_url), clock, LIMITS)
    await made.open()
    return made


async def decide(store: Store) -> None:
    changes = (
        SetBudget(micros=500),
        SetCaps(member=3),
        GiveGrant(member_id=30, amount=3),
        BlockMember(member_id=31),
    )
    for number, change in enumerate(changes, start=1):
        decision = Decision(number, 10, 99, NOON, change)
        await store.decisions.add(number, 10, change.member_id, lambda _, decision=decision: decision)


async def ask(store: Store) -> None:
    """Everything that commands, decisions, jobs and the log ask for."""
    await store.decisions.rules(10, 30)
    await store.decisions.overrides(10, NOON, 9)
    for place in ({}, {"before": 3}, {"after": 2}):
        await store.decisions.history(10, None, 8, **place)
        await store.decisions.history(10, 30, 8, **place)
    await store.accounts.standing(10, 30, (), FIVE, NOON)
    await store.accounts.spent(10, MONTH)
    job = await store.accounts.reserve(new_job(1), (), NONE)
    assert isinstance(job, Job)
    await store.accounts.book_again(job, (), NONE, NOON)
    await store.wasted.of(10, 30, NOON)
    for period in Period:
        await store.spending.by_server(period, NOON)
    await store.jobs.hold(job, None, 0)
    assert await store.jobs.held() == []
    await store.jobs.queue()
    promoted = await store.jobs.promote(Caps(2, 5, {"eigenai": 5}), store.accounts.objection(FIVE))
    assert promoted is not None
    for state in path_to(JobState.DELIVERED)[1:]:
        promoted = await store.jobs.move(promoted, state)
    for question in ("open", "under_way", "queued_still", "unshown"):
        await getattr(store.jobs, question)()
    await store.jobs.needed(NOON)
    await store.jobs.recent(10, 30, 25)
    await store.jobs.durations("eigenai", "wan")
    await store.jobs.record_card(1, 5)
    await store.jobs.close_card(1)
    await store.jobs.show_once(1)
    await store.usage.by_day(10, [NOON - timedelta(days=1), NOON])
    await store.usage.by_member(10, NOON - timedelta(days=1), NOON)
    await store.usage.count(10, NOON - timedelta(days=1), NOON)
    await store.usage.rows(10, NOON - timedelta(days=1), NOON, 9)
    await store.notes.set("name", "value")
    await store.notes.get("name")
    await store.notes.remove("name", "value")


async def log(store: Store) -> None:
    post = LogPost("decision", 1, 20, 10, "text", NOON)
    await store.log_posts.add(post)
    await store.log_posts.get("decision", 1, 20)
    await store.log_posts.first(20)
    await store.log_posts.channels()
    await store.log_posts.messages(20)
    await store.log_posts.repeat(post)
    await store.log_posts.close(post, NOON, 5)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_no_question_looks_at_every_row(store: Store, plans: Plans) -> None:
    await decide(store)
    await ask(store)
    await log(store)
    scans = {sql: plan for sql, plan in plans.items() if any(map(GROWING.search, plan))}
    assert len(plans) > 50
    assert scans == {}


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_postgresql_has_an_index_for_each_question_about_jobs(
    store: Store, postgres_plans: Plans
) -> None:
    await decide(store)
    await ask(store)
    assert len(postgres_plans) > 25
    scans = [sql for sql, plan in postgres_plans.items() if any("Seq Scan on job" in step for step in plan)]
    assert scans == []


@pytest.mark.parametrize(
    ("column", "index"),
    [
        ("booked_at >=", "job_booked"),
        ("user_id = :user_id AND booked_at", "job_member"),
        ("held_until <=", "job_held"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_counts_now_is_found_by_its_own_index(
    store: Store, plans: Plans, column: str, index: str
) -> None:
    await decide(store)
    await ask(store)
    asked = {sql: plan for sql, plan in plans.items() if column in sql}
    assert asked
    if column == "booked_at >=":
        asked = {sql: plan for sql, plan in asked.items() if "guild_id = :guild_id" in sql}
    assert [sql for sql, plan in asked.items() if not any(index in step for step in plan)] == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_page_of_history_is_not_sorted_out_of_all_of_it(store: Store, plans: Plans) -> None:
    for place in ({}, {"before": 3}, {"after": 2}):
        await store.decisions.history(10, None, 8, **place)
        await store.decisions.history(10, 30, 8, **place)
    assert len(plans) == 6
    assert not [step for plan in plans.values() for step in plan if "TEMP B-TREE" in step]
