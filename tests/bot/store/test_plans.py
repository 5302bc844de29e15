"""No command looks at every row that there ever was: each question has an index that answers it."""

import re
from datetime import timedelta
from typing import Any

import pytest

from bot.jobs import Job, JobState
from bot.quotas import Allowance, WindowKind, window_at
from bot.rules import Act, BlockMember, GiveGrant, ServerRules, SetBudget, SetCaps
from bot.store import Store
from bot.store.db import Row
from bot.store.log_posts import LogPost
from bot.store.queue import Caps
from tests.bot.store.conftest import NOON, new_job, path_to

FIVE = Allowance(amount=5, kind=WindowKind.DAY)
NONE = Allowance(amount=0, kind=WindowKind.DAY)
GROWING = re.compile(
    r"SCAN (job|act|draw|log_post|note|server_rules|member_rules)\b"
    r"(?! USING (COVERING )?INDEX (log_post_open|job_unshown))"
)
"""What is still to be posted or shown is all of a small index."""
MONTH = window_at(WindowKind.MONTH, NOON, ServerRules().zone)


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """How SQLite answers each statement that is run, by its text."""
    import bot.store.sqlite as module  # noqa: PLC0415 - its insides are watched

    run, seen = module._rows, dict[str, list[str]]()

    async def watched(connection: Any, sql: str, values: dict[str, Any]) -> list[Row]:
        if sql.split(maxsplit=1)[0] in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}:
            plan = await run(connection, f"EXPLAIN QUERY PLAN {sql}", values)
            seen[" ".join(sql.split())] = [str(row["detail"]) for row in plan]
        return await run(connection, sql, values)

    monkeypatch.setattr(module, "_rows", watched)
    return seen


async def decide(store: Store) -> None:
    changes = (
        SetBudget(micros=500),
        SetCaps(member=3),
        GiveGrant(member_id=30, amount=3),
        BlockMember(member_id=31),
    )
    for number, change in enumerate(changes, start=1):
        act = Act(number, 10, 99, NOON, change)
        await store.acts.add(number, 10, change.member_id, lambda _, act=act: act)


async def ask(store: Store) -> None:
    """Everything that commands, decisions, jobs and the log ask for."""
    await store.acts.rules(10, 30)
    await store.acts.overrides(10, NOON, 9)
    for place in ({}, {"before": 3}, {"after": 2}):
        await store.acts.history(10, None, 8, **place)
        await store.acts.history(10, 30, 8, **place)
    await store.accounts.standing(10, 30, (), FIVE, NOON)
    await store.accounts.spent(10, MONTH)
    job = await store.accounts.reserve(new_job(1), (), NONE)
    assert isinstance(job, Job)
    await store.jobs.queue()
    promoted = await store.jobs.promote(Caps(2, 5, {"eigenai": 5}))
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
    post = LogPost("act", 1, 20, 10, "text", NOON)
    await store.log_posts.add(post)
    await store.log_posts.get("act", 1, 20)
    await store.log_posts.first(20)
    await store.log_posts.channels()
    await store.log_posts.messages(20)
    await store.log_posts.repeat(post)
    await store.log_posts.close(post, NOON, 5)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_no_question_looks_at_every_row(store: Store, plans: dict[str, list[str]]) -> None:
    await decide(store)
    await ask(store)
    await log(store)
    scans = {sql: plan for sql, plan in plans.items() if any(map(GROWING.search, plan))}
    assert len(plans) > 40
    assert scans == {}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_page_of_history_is_not_sorted_out_of_all_of_it(
    store: Store, plans: dict[str, list[str]]
) -> None:
    for place in ({}, {"before": 3}, {"after": 2}):
        await store.acts.history(10, None, 8, **place)
        await store.acts.history(10, 30, 8, **place)
    assert len(plans) == 6
    assert not [step for plan in plans.values() for step in plan if "TEMP B-TREE" in step]
