"""Random stories of a server, followed by a small model of its own: what the store says is what it says.

The model knows no window, no SQL and no rules: it keeps lists and asks them.
"""

import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.jobs import Job, JobState
from bot.quota.allowances import Allowance, Refusal, Standing, WindowKind
from bot.quota.decisions import (
    BlockMember,
    Change,
    Decision,
    GiveGrant,
    ResetUsage,
    SetAllowance,
    SetBudget,
    SetTimezone,
    UnblockMember,
    rules_of,
)
from bot.quota.rules import ServerRules
from bot.store import Store, connect
from bot.store.accounts import NotBooked
from bot.store.jobs import Moved
from tests.bot.store.conftest import StillClock, new_job, path_to

DAY, WEEK, MONTH = WindowKind
BOT = Allowance(amount=3, kind=DAY)
MEMBERS = (30, 31, 32)
ROLES = (7, 8)
Step: TypeAlias = tuple[Any, ...]


def window_of(kind: WindowKind, moment: datetime, zone: str) -> tuple[int, ...]:
    """The name of the day, week or month in which a moment lies."""
    day: date = moment.astimezone(ZoneInfo(zone)).date()
    if kind is WEEK:
        return day.isocalendar()[:2]
    return (day.year, day.month, day.day) if kind is DAY else (day.year, day.month)


@dataclass
class Booking:
    """A job as the model remembers it."""

    id: int
    user_id: int
    at: datetime
    price: int
    cost: int
    draws: dict[int, int]
    """What each grant has paid."""
    counts: bool = True
    """Until it is released."""


@dataclass
class Model:
    """What should be, computed from lists."""

    allowances: dict[str, Allowance] = field(default_factory=dict)
    """By `everyone`, `role 7`, `member 30`."""
    grants: list[tuple[int, int, int, datetime | None]] = field(default_factory=list)
    """Id, member, amount, end."""
    resets: dict[int, datetime] = field(default_factory=dict)
    blocks: dict[int, datetime | None] = field(default_factory=dict)
    budget: int | None = None
    zone: str = "UTC"
    bookings: list[Booking] = field(default_factory=list)

    def learn(self, decision: Decision) -> None:
        match decision.change:
            case SetAllowance(member_id=member_id, role_id=role_id, allowance=allowance):
                whose = f"role {role_id}" if role_id else f"member {member_id}" if member_id else "everyone"
                self.allowances.pop(whose, None)
                if allowance is not None:
                    self.allowances[whose] = allowance
            case GiveGrant(member_id=member_id, amount=amount, expires_at=end):
                self.grants.append((decision.id, member_id, amount, end))
            case ResetUsage(member_id=member_id):
                self.resets[member_id] = decision.at
            case BlockMember(member_id=member_id, until=until):
                self.blocks[member_id] = until
            case UnblockMember(member_id=member_id):
                self.blocks.pop(member_id, None)
            case SetBudget(micros=micros):
                self.budget = micros
            case SetTimezone(zone=zone):
                self.zone = zone

    def allowance(self, user_id: int, roles: Sequence[int]) -> Allowance:
        if own := self.allowances.get(f"member {user_id}"):
            return own
        held = [rule for role in roles if (rule := self.allowances.get(f"role {role}"))]
        days = {DAY: 1, WEEK: 7, MONTH: 30}
        by_day = [(float("inf") if rule.amount is None else rule.amount / days[rule.kind]) for rule in held]
        best = [rule for rule, worth in zip(held, by_day, strict=True) if worth == max(by_day)]
        if best:
            return max(best, key=lambda rule: rule.amount or 0)
        return self.allowances.get("everyone", BOT)

    def used(self, user_id: int, kind: WindowKind, now: datetime) -> int:
        here = window_of(kind, now, self.zone)
        return sum(
            booking.price - sum(booking.draws.values())
            for booking in self.bookings
            if booking.counts
            and booking.user_id == user_id
            and window_of(kind, booking.at, self.zone) == here
            and (user_id not in self.resets or booking.at >= self.resets[user_id])
        )

    def spent(self, now: datetime) -> int:
        """What the operator pays, whatever became of the videos."""
        here = window_of(MONTH, now, self.zone)
        months = ((window_of(MONTH, booking.at, self.zone), booking) for booking in self.bookings)
        return sum(booking.cost for month, booking in months if month == here)

    def drawn(self, grant_id: int) -> int:
        return sum(booking.draws.get(grant_id, 0) for booking in self.bookings if booking.counts)

    def granted(self, user_id: int, now: datetime) -> dict[int, int]:
        """What is left of the grants that have not ended, the one that ends first at the front."""
        alive = [
            grant for grant in self.grants if grant[1] == user_id and (grant[3] is None or grant[3] > now)
        ]
        alive.sort(key=lambda grant: (grant[3] or datetime.max.replace(tzinfo=UTC), grant[0]))
        left = {number: amount - self.drawn(number) for number, _, amount, _ in alive}
        return {number: amount for number, amount in left.items() if amount}

    def blocked(self, user_id: int, now: datetime) -> bool:
        end = self.blocks.get(user_id, now)
        return end is None or end > now

    def booking(self, job: Job, roles: Sequence[int]) -> Booking | Refusal:
        """The job as it has to be booked now, or why it must not be."""
        now = job.created_at
        allowance = self.allowance(job.user_id, roles)
        grants = self.granted(job.user_id, now)
        if self.blocked(job.user_id, now):
            return Refusal.BLOCKED
        rest = 0
        if allowance.amount is not None:
            room = max(0, allowance.amount - self.used(job.user_id, allowance.kind, now))
            rest = max(0, job.price - room)
            if rest > sum(grants.values()) or (not allowance.amount and not grants):
                return Refusal.NOTHING_LEFT
        if self.budget is not None:
            left = max(0, self.budget - self.spent(now))
            if job.cost_micros > left:
                return Refusal.BUDGET_SPENT
        draws: dict[int, int] = {}
        for number, amount in grants.items():
            draws[number] = min(rest, amount)
            rest -= draws[number]
        return Booking(job.id, job.user_id, now, job.price, job.cost_micros, draws)


NUMBERS = itertools.count(1)
"""Every story is told in a server of its own, so that they share one database."""
ENDS = {
    "delivered": path_to(JobState.DELIVERED),
    "failed": [JobState.FAILED],
    "cancelled": [JobState.SUBMITTING, JobState.RUNNING, JobState.CANCELLED],
}


class Story:
    """A server in the store and in the model; every step happens in both."""

    def __init__(self, store: Store, clock: StillClock, start: datetime, roles: Sequence[set[int]]) -> None:
        self.store = store
        self.clock = clock
        clock.time = start
        self.guild_id = next(NUMBERS)
        self.roles = dict(zip(MEMBERS, map(sorted, roles), strict=True))
        self.model = Model()
        self.open: list[Job] = []
        self.told: list[Callable[[Store, Mapping[int, Decision]], Awaitable[object]]] = []
        """What has happened, to happen again in another store, with the decisions as the first has them."""

    async def live(self, step: Step) -> None:
        self.clock.time += timedelta(seconds=1)
        now = self.clock.time
        match step:
            case "reserve", int(user_id), int(price), int(cost):
                await self.reserve(user_id, price, cost)
            case "end", str(how), int(place), int(cost):
                await self.end(ENDS[how], place, cost)
            case "decide", change:
                await self.decide(change)
            case "grant", int(user_id), int(amount), length:
                end = length and now + length
                await self.decide(GiveGrant(member_id=user_id, amount=amount, expires_at=end))
            case "block", int(user_id), length:
                await self.decide(BlockMember(member_id=user_id, until=length and now + length))
            case "pass", timedelta() as time:
                self.clock.time += time

    async def decide(self, change: Change) -> None:
        number = next(NUMBERS)
        decision = Decision(number, self.guild_id, 1, self.clock.time, change)
        assert (
            await self.store.decisions.add(number, self.guild_id, change.member_id, lambda _: decision)
            == decision
        )
        self.model.learn(decision)
        self.told.append(
            lambda store, decisions: store.decisions.add(
                number, self.guild_id, change.member_id, lambda _: decisions[number]
            )
        )

    async def reserve(self, user_id: int, price: int, cost: int) -> None:
        roles = self.roles[user_id]
        values = {"user_id": user_id, "price": price, "cost_micros": cost, "created_at": self.clock.time}
        job = new_job(next(NUMBERS), guild_id=self.guild_id, **values)
        self.told.append(lambda store, _: store.accounts.reserve(job, roles, BOT))
        expected = self.model.booking(job, roles)
        before = await self.standing(user_id, self.store)
        found = await self.store.accounts.reserve(job, roles, BOT)
        after = await self.standing(user_id, self.store)
        if isinstance(expected, Booking):
            assert isinstance(found, Job), f"{found} and not {expected}"
            self.model.bookings.append(expected)
            self.open.append(found)
            assert before.left is None or price <= before.left
            assert price == after.used - before.used + before.granted - after.granted
            assert before.budget is None or cost <= before.budget.left
        else:
            assert isinstance(found, NotBooked), f"{found} and not {expected}"
            assert (found.why, found.standing) == (expected, before)
            assert after == before

    async def end(self, path: Sequence[JobState], place: int, cost: int) -> None:
        """Bring one of the open jobs to its end; a second time nothing happens."""
        if not self.open:
            return
        job = before = self.open.pop(place % len(self.open))
        for state in path:
            before, job = job, await self.store.jobs.move(job, state, cost_micros=cost)
            self.told.append(partial(move_again, before, state, cost))
        [booking] = [booking for booking in self.model.bookings if booking.id == job.id]
        booking.cost = cost
        booking.counts = job.state is JobState.DELIVERED
        with pytest.raises(Moved):
            await self.store.jobs.move(before, path[-1], cost_micros=cost + 1)
        assert await self.store.jobs.get(job.id) == job

    async def standing(self, user_id: int, store: Store) -> Standing:
        roles = self.roles[user_id]
        return await store.accounts.standing(self.guild_id, user_id, roles, BOT, self.clock.time)

    async def check(self) -> None:
        """What the store says of everybody is what the model says."""
        now, model = self.clock.time, self.model
        for user_id, roles in self.roles.items():
            found = await self.standing(user_id, self.store)
            allowance = model.allowance(user_id, roles)
            assert found.ruling.allowance == allowance
            assert found.used == model.used(user_id, allowance.kind, now)
            assert [(grant.id, grant.left) for grant in found.grants] == list(
                model.granted(user_id, now).items()
            )
            assert (found.block is not None) is model.blocked(user_id, now)
            assert (None if found.budget is None else found.budget.limit) == model.budget
            assert found.budget is None or found.budget.spent == model.spent(now)
        assert all(0 <= model.drawn(number) <= amount for number, _, amount, _ in model.grants)

    async def check_history(self, empty: Store) -> None:
        """The history is the state, and told again from the start it ends the same way."""
        decisions = (await self.store.decisions.history(self.guild_id, None, 999))[::-1]
        for happen in self.told:
            await happen(empty, {decision.id: decision for decision in decisions})
        for user_id in self.roles:
            rules = await self.store.decisions.rules(self.guild_id, user_id)
            everything = rules_of(
                decision for decision in decisions if decision.change.member_id in {None, user_id}
            )
            assert self.unused(everything) == self.unused(rules)
            assert await empty.decisions.rules(self.guild_id, user_id) == rules
            assert await self.standing(user_id, empty) == await self.standing(user_id, self.store)
        assert await empty.decisions.history(self.guild_id, None, 999) == decisions[::-1]

    def unused(self, rules: ServerRules) -> ServerRules:
        """Without grants that are used up: those are not kept for ever."""
        grants = (
            (user_id, tuple(grant for grant in given if self.model.drawn(grant.id) < grant.amount))
            for user_id, given in rules.grants.items()
        )
        return replace(rules, grants={user_id: given for user_id, given in grants if given})


async def move_again(job: Job, state: JobState, cost: int, store: Store, _: Mapping[int, Decision]) -> None:
    await store.jobs.move(job, state, cost_micros=cost)


members = st.sampled_from((30, 30, 30, 31, 31, 32))
"""Mostly the same one, so that something comes of it."""
lengths = st.sampled_from([timedelta(hours=5), timedelta(days=2), timedelta(days=20), None])
amounts = st.sampled_from((0, 1, 2, 3, 5, 9, None))
allowances = st.none() | st.builds(Allowance, amount=amounts, kind=st.sampled_from(WindowKind))
rules = st.builds(SetAllowance, allowance=allowances, role_id=st.sampled_from((None, *ROLES)))
changes = st.sampled_from(
    (
        rules,
        rules,
        st.builds(SetAllowance, member_id=members, allowance=allowances),
        st.builds(ResetUsage, member_id=members),
        st.builds(ResetUsage, member_id=members),
        st.builds(UnblockMember, member_id=members),
        st.builds(SetBudget, micros=st.sampled_from((None, 0, 5, 10, 20))),
        st.builds(SetTimezone, zone=st.sampled_from(("UTC", "Europe/Berlin", "Pacific/Auckland"))),
    )
).flatmap(lambda change: change)
waits = (timedelta(hours=1), timedelta(hours=7), timedelta(days=1), timedelta(days=9))
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "reserve": st.tuples(members, st.integers(0, 4), st.integers(0, 4)),
    "end": st.tuples(st.sampled_from(tuple(ENDS)), st.integers(0, 9), st.integers(0, 6)),
    "grant": st.tuples(members, st.integers(1, 6), lengths),
    "decide": st.tuples(changes),
    "pass": st.tuples(st.sampled_from(waits)),
    "block": st.tuples(members, lengths),
}
OFTEN = {"reserve": 16, "end": 6, "grant": 4, "decide": 5, "pass": 3, "block": 1}
steps = st.sampled_from([kind for kind, times in OFTEN.items() for _ in range(times)]).flatmap(
    lambda kind: KINDS[kind].map(lambda values: (kind, *values))
)
starts = st.sampled_from(
    [
        datetime(2024, 2, 28, 20, tzinfo=UTC),  # a leap day ahead
        datetime(2024, 3, 30, 22, tzinfo=UTC),  # Berlin changes its clocks, and the month ends
        datetime(2024, 12, 29, 10, tzinfo=UTC),
    ]
)
casts = st.lists(st.sets(st.sampled_from(ROLES)), min_size=len(MEMBERS), max_size=len(MEMBERS))
beginnings = st.lists(rules.map(lambda change: ("decide", change)), max_size=6)
stories = st.builds(list.__add__, beginnings, st.lists(steps, min_size=20, max_size=50))
told = given(starts, casts, stories)


STORIES = int(os.environ.get("STORIES", "12"))
"""How many are told; `make bench-rules` tells hundreds."""


def profile(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        # The stores outlive the stories; each is told in a server of its own.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@pytest.fixture
async def empty(tmp_path: Path, clock: StillClock) -> AsyncIterator[Store]:
    made = Store(connect(f"sqlite:///{tmp_path / 'empty.db'}"), clock)
    await made.open()
    yield made
    await made.close()


async def tell(
    store: Store,
    empty: Store,
    clock: StillClock,
    start: datetime,
    cast: Sequence[set[int]],
    steps: Sequence[Step],
) -> None:
    story = Story(store, clock, start, cast)
    for step in steps:
        await story.live(step)
        await story.check()
    await story.check_history(empty)


@pytest.mark.timeout(120)  # for a story that fails: it is then told again, shorter and shorter
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@profile(STORIES)
@told
async def test_no_story_leaves_the_rules(
    store: Store, empty: Store, clock: StillClock, start: datetime, cast: list[set[int]], steps: list[Step]
) -> None:
    await tell(store, empty, clock, start, cast, steps)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@profile(STORIES // 6)
@told
async def test_no_story_leaves_the_rules_on_postgresql_either(
    store: Store, empty: Store, clock: StillClock, start: datetime, cast: list[set[int]], steps: list[Step]
) -> None:
    await tell(store, empty, clock, start, cast, steps)
