"""Everybody at once: nothing is exceeded, and nothing that fits is refused. On SQLite and PostgreSQL."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import pytest

from bot.jobs import Job, JobState
from bot.quota.allowances import Allowance, Refusal, WindowKind
from bot.quota.decisions import Change, Decision, GiveGrant, SetAllowance, SetBudget, SetCaps
from bot.store import Store
from bot.store.accounts import NotBooked
from bot.store.queue import Caps
from tests.bot.store.conftest import NOON, new_job, path_to

pytestmark = pytest.mark.usefixtures("in_threads")

Another = Callable[[], Awaitable[Store]]

MEMBERS = range(100, 106)
EACH = 9
BOT, MINOR, MAJOR = (Allowance(amount=amount, kind=WindowKind.DAY) for amount in (1, 3, 6))
MINOR_ROLE, MAJOR_ROLE = 7, 8
GRANTED = 2


def roles(user_id: int) -> tuple[int, ...]:
    """A third of the members have no role, a third one and a third both."""
    return ((), (MINOR_ROLE,), (MINOR_ROLE, MAJOR_ROLE))[user_id % 3]


def grant(user_id: int) -> int:
    return GRANTED if user_id % 2 else 0


def most(user_id: int) -> int:
    """The credits that a member may have in all."""
    return (1, 3, 6)[user_id % 3] + grant(user_id)


async def decide(store: Store, changes: Sequence[Change]) -> None:
    for number, change in enumerate(changes, start=1):
        decision = Decision(number, 10, 99, NOON, change)
        await store.decisions.add(decision.id, 10, change.member_id, lambda _, decision=decision: decision)


@pytest.fixture
async def crowd(store: Store) -> Sequence[Job]:
    """Fifty jobs of six members, in no order, in a server with roles and grants."""
    rules = [
        SetAllowance(role_id=MINOR_ROLE, allowance=MINOR),
        SetAllowance(role_id=MAJOR_ROLE, allowance=MAJOR),
    ]
    grants = [GiveGrant(member_id=user_id, amount=grant(user_id)) for user_id in MEMBERS if grant(user_id)]
    await decide(store, [*rules, *grants])
    jobs = [
        new_job(user_id * 100 + number, user_id=user_id, cost_micros=10)
        for user_id in MEMBERS
        for number in range(EACH)
    ]
    random.Random(1).shuffle(jobs)  # noqa: S311 - an order, not a secret
    return jobs


async def book(stores: Sequence[Store], jobs: Sequence[Job]) -> list[Job | NotBooked]:
    """Reserve all of them at the same time, in turn by one program and the next."""
    return await asyncio.gather(
        *(
            stores[number % len(stores)].accounts.reserve(job, roles(job.user_id), BOT)
            for number, job in enumerate(jobs)
        )
    )


def by_member(jobs: Sequence[Job | NotBooked]) -> Counter[int]:
    return Counter(job.user_id for job in jobs if isinstance(job, Job))


async def test_everybody_gets_their_allowance_and_grants_and_no_more(
    store: Store, another: Another, crowd: Sequence[Job]
) -> None:
    booked = await book([store, await another()], crowd)
    assert by_member(booked) == {user_id: most(user_id) for user_id in MEMBERS}
    assert {end.why for end in booked if isinstance(end, NotBooked)} == {Refusal.NOTHING_LEFT}
    assert len(await store.jobs.open()) == sum(map(most, MEMBERS))
    for user_id in MEMBERS:
        standing = await store.accounts.standing(10, user_id, roles(user_id), BOT, NOON)
        assert (standing.left, standing.used) == (0, most(user_id) - grant(user_id))


async def test_a_budget_is_spent_to_its_end_and_no_further(
    store: Store, another: Another, crowd: Sequence[Job]
) -> None:
    budget = Decision(1000, 10, 99, NOON, SetBudget(micros=205))
    await store.decisions.add(1000, 10, None, lambda _: budget)
    booked = await book([store, await another()], crowd)
    counts = by_member(booked)
    assert counts.total() == 20
    assert all(counts[user_id] <= most(user_id) for user_id in MEMBERS)
    standing = await store.accounts.standing(10, 100, (), BOT, NOON)
    assert standing.budget is not None
    assert (standing.budget.spent, standing.budget.left) == (200, 5)


async def test_what_is_given_back_is_booked_again_and_no_more(store: Store, crowd: Sequence[Job]) -> None:
    first, then = crowd[:80], crowd[80:]
    booked = [job for job in await book([store], first) if isinstance(job, Job)]
    gone = booked[::3]
    await asyncio.gather(
        *(store.jobs.move(job, JobState.CANCELLED) for job in gone),
        book([store], then),
    )
    again = [
        new_job(user_id * 100 + 50 + number, user_id=user_id, cost_micros=10)
        for user_id in MEMBERS
        for number in range(EACH)
    ]
    await book([store], again)
    assert by_member(await store.jobs.open()) == {user_id: most(user_id) for user_id in MEMBERS}


async def test_the_same_jobs_twice_at_once_are_booked_once(
    store: Store, another: Another, crowd: Sequence[Job]
) -> None:
    await book([store, await another()], [*crowd, *crowd])
    assert by_member(await store.jobs.open()) == {user_id: most(user_id) for user_id in MEMBERS}


@pytest.mark.parametrize(
    ("decided", "member", "server"), [(None, 2, 9), (SetCaps(member=1), 1, 9), (SetCaps(server=4), 2, 4)]
)
async def test_round_after_round_the_caps_hold_until_everything_is_made(
    store: Store,
    another: Another,
    crowd: Sequence[Job],
    decided: SetCaps | None,
    member: int,
    server: int,
) -> None:
    if decided is not None:
        caps = Decision(1000, 10, 99, NOON, decided)
        await store.decisions.add(1000, 10, None, lambda _: caps)
    stores = [store, await another()]
    waiting = sum(isinstance(job, Job) for job in await book(stores, crowd))
    limits = Caps(2, 9, {"eigenai": None})
    rounds = 0
    while waiting:
        waiting_members = Counter(job.user_id for job in await store.jobs.queue())
        tries = (stores[number % 2].jobs.promote(limits) for number in range(12))
        won = [job for job in await asyncio.gather(*tries) if job is not None]
        counts = Counter(job.user_id for job in won)
        places = sum(min(member, jobs) for jobs in waiting_members.values())
        assert max(counts.values()) <= member
        assert len(won) == min(server, places)
        assert len({job.id for job in won}) == len(won)
        await asyncio.gather(*(deliver(store, job) for job in won))
        waiting -= len(won)
        rounds += 1
    assert rounds >= sum(map(most, MEMBERS)) / server
    assert await store.jobs.open() == []
    for user_id in MEMBERS:
        standing = await store.accounts.standing(10, user_id, roles(user_id), BOT, NOON)
        assert standing.left == 0


async def deliver(store: Store, job: Job) -> None:
    for state in path_to(JobState.DELIVERED)[1:]:
        job = await store.jobs.move(job, state)
