"""Booking a job: what members have left, decided in one transaction. On SQLite and PostgreSQL."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.jobs import RELEASED, Job, JobState
from bot.quota.allowances import Allowance, Budget, Refusal, Source, Standing, Window, WindowKind, window_at
from bot.quota.decisions import (
    BlockMember,
    Change,
    Decision,
    GiveGrant,
    ResetUsage,
    SetAllowance,
    SetBudget,
    SetCaps,
    SetTimezone,
    UnblockMember,
)
from bot.store import Store
from bot.store.accounts import NotBooked
from bot.store.jobs import Jobs, Moved
from bot.store.queue import Caps
from providers.options import SourceImage
from providers.specs import VideoRequest
from tests.bot.store.conftest import NOON, Reserve, StillClock, new_job

Used = Callable[..., Awaitable[int]]
Book = Callable[..., Any]
Decide = Callable[..., Awaitable[Decision]]
Stands = Callable[..., Awaitable[Standing]]
DAY, WEEK, MONTH = WindowKind
MIDNIGHT = NOON + timedelta(hours=12)
TICK = timedelta(microseconds=1)


@pytest.fixture
def decide(store: Store, clock: StillClock) -> Decide:
    """Write a decision down, as if at the present of the clock."""
    numbers = itertools.count(1)

    async def decided(change: Change, guild_id: int = 10) -> Decision:
        decision = Decision(next(numbers), guild_id, 99, clock.now(), change)
        return await store.decisions.add(decision.id, guild_id, change.member_id, lambda _: decision)

    return decided


@pytest.fixture
def stands(store: Store, clock: StillClock) -> Stands:
    """Where a member stands who gets 5 credits a day unless something else is decided."""

    async def standing(*role_ids: int, **values: Any) -> Standing:
        fields = {"guild_id": 10, "user_id": 30, "now": clock.now(), **values}
        return await store.accounts.standing(role_ids=role_ids, default=allowed(5), **fields)

    return standing


def allowed(amount: int | None, kind: WindowKind = DAY) -> Allowance:
    return Allowance(amount=amount, kind=kind)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def left(standing: Standing) -> tuple[int | None, list[int]]:
    """What is left of the window's allowance and of each grant."""
    return standing.in_window, [grant.left for grant in standing.grants]


async def test_a_reserved_job_is_queued_and_charged(jobs: Jobs, reserve: Reserve, used: Used) -> None:
    job = await reserve(new_job(price=3), 5)
    assert job == new_job(price=3)
    assert await jobs.get(1) == job
    assert await used() == 3


async def test_the_picture_is_not_stored(reserve: Reserve) -> None:
    image = SourceImage(data=b"\xff\xd8", media_type="image/jpeg", width=1, height=1)
    request = VideoRequest(model="wan", prompt="Zoom on 'it' :name %s 🎬", image=image, seed=0, duration=5)
    job = await reserve(new_job(request=request), 5)
    assert job is not None
    assert job.request == request.model_copy(update={"image": None})


@pytest.mark.parametrize(("price", "fits"), [(2, True), (3, False), (0, True)])
async def test_a_job_is_booked_only_if_its_price_fits_what_is_left(
    jobs: Jobs, reserve: Reserve, used: Used, price: int, *, fits: bool
) -> None:
    assert await reserve(new_job(1, price=3), 5)
    assert (await reserve(new_job(2, price=price), 5) is not None) is fits
    assert await used() == (3 + price if fits else 3)
    assert (await jobs.get(2) is not None) is fits


async def test_an_allowance_is_one_members_in_one_server_in_one_window(reserve: Reserve, used: Used) -> None:
    await reserve(new_job(1), 1)
    assert await reserve(new_job(2), 1) is None
    assert await reserve(new_job(3, user_id=31), 1)
    assert await reserve(new_job(4, guild_id=11), 1)
    assert await reserve(new_job(5, after=86400), 1)
    assert await used() == 1


async def test_a_window_holds_its_start_and_not_its_end(reserve: Reserve, used: Used) -> None:
    await reserve(new_job(1, after=12 * 3600 + 60), 5)
    assert await used(now=MIDNIGHT) == 1
    assert await used(now=MIDNIGHT - timedelta(microseconds=1)) == 0


async def test_a_repeated_interaction_is_the_same_job(reserve: Reserve, used: Used, book: Book) -> None:
    running = await book(1, JobState.RUNNING)
    assert await reserve(new_job(1, price=4, user_id=99), 0) == running
    assert await used() == 1
    assert await used(user_id=99) == 0


async def test_fifty_at_once_get_no_more_than_the_allowance(jobs: Jobs, reserve: Reserve, used: Used) -> None:
    booked = await asyncio.gather(*(reserve(new_job(number), 3) for number in range(1, 51)))
    assert sum(job is not None for job in booked) == 3
    assert await used() == 3
    assert len(await jobs.open()) == 3


async def test_the_same_interaction_many_times_at_once_is_one_job(reserve: Reserve, used: Used) -> None:
    booked = await asyncio.gather(*(reserve(new_job(1), 3) for _ in range(20)))
    assert booked == [new_job(1)] * 20
    assert await used() == 1


async def test_the_window_pays_first_and_then_the_grant_that_expires_first(
    reserve: Reserve, decide: Decide, stands: Stands
) -> None:
    await decide(GiveGrant(member_id=30, amount=2))
    await decide(GiveGrant(member_id=30, amount=3, expires_at=MIDNIGHT + timedelta(days=9)))
    await decide(GiveGrant(member_id=30, amount=1, expires_at=MIDNIGHT))
    seen = [left(await stands())]
    for number, price in enumerate((4, 3, 3), start=1):
        assert await reserve(new_job(number, price=price), 5)
        seen.append(left(await stands()))
    assert seen == [(5, [1, 3, 2]), (1, [1, 3, 2]), (0, [2, 2]), (0, [1])]
    assert await reserve(new_job(4, price=2), 5) is None
    assert await reserve(new_job(5, price=1), 5)
    assert left(await stands()) == (0, [])


@pytest.mark.parametrize("end", sorted(RELEASED))
async def test_what_a_released_job_had_drawn_comes_back_to_its_grants_once(
    jobs: Jobs, reserve: Reserve, decide: Decide, stands: Stands, end: JobState
) -> None:
    await decide(GiveGrant(member_id=30, amount=2, expires_at=MIDNIGHT))
    await decide(GiveGrant(member_id=30, amount=3))
    job = await reserve(new_job(1, price=9), 5)
    assert left(await stands()) == (0, [1])
    await jobs.move(job, end)
    assert left(await stands()) == (5, [2, 3])
    with pytest.raises(Moved):
        await jobs.move(job, end)
    assert left(await stands()) == (5, [2, 3])


async def test_what_a_delivered_video_has_drawn_is_gone_for_good(
    book: Book, decide: Decide, stands: Stands, clock: StillClock
) -> None:
    await decide(SetAllowance(allowance=allowed(1)))
    await decide(GiveGrant(member_id=30, amount=3))
    await book(1, JobState.DELIVERED, price=3)
    clock.time += timedelta(days=40)
    assert left(await stands()) == (1, [1])


async def test_a_grant_is_there_until_it_expires(reserve: Reserve, decide: Decide, stands: Stands) -> None:
    await decide(GiveGrant(member_id=30, amount=2, expires_at=MIDNIGHT))
    last = MIDNIGHT - TICK
    assert left(await stands(now=last)) == (5, [2])
    assert left(await stands(now=MIDNIGHT)) == (5, [])
    assert await reserve(new_job(1, price=6, created_at=MIDNIGHT), 5) is None
    assert await reserve(new_job(2, price=6, created_at=last), 5)


async def test_what_comes_back_to_a_grant_that_has_expired_is_lost(
    jobs: Jobs, reserve: Reserve, decide: Decide, stands: Stands
) -> None:
    await decide(GiveGrant(member_id=30, amount=2, expires_at=MIDNIGHT))
    job = await reserve(new_job(1, price=7), 5)
    await jobs.move(job, JobState.CANCELLED)
    assert left(await stands(now=MIDNIGHT)) == (5, [])


async def test_a_grant_is_enough_where_the_allowance_is_nothing(
    reserve: Reserve, decide: Decide, stands: Stands
) -> None:
    await decide(GiveGrant(member_id=30, amount=1))
    assert await reserve(new_job(1), 0)
    assert await reserve(new_job(2), 0) is None
    assert await reserve(new_job(3, user_id=31), 0) is None
    assert (await stands()).used == 0


async def test_who_has_no_limit_keeps_their_grants(reserve: Reserve, decide: Decide, stands: Stands) -> None:
    await decide(GiveGrant(member_id=30, amount=3))
    assert await reserve(new_job(1, price=100), None)
    assert left(await stands()) == (0, [3])


async def test_a_reset_forgets_what_was_used_and_nothing_else(
    reserve: Reserve, decide: Decide, stands: Stands
) -> None:
    await decide(GiveGrant(member_id=30, amount=3))
    await decide(SetBudget(micros=10))
    await reserve(new_job(1, price=7, cost_micros=4), 5)
    await reserve(new_job(2, price=4, user_id=31), 5)
    await decide(ResetUsage(member_id=30))
    standing = await stands()
    assert left(standing) == (5, [1])
    assert standing.budget is not None
    assert standing.budget.left == 6
    assert left(await stands(user_id=31)) == (1, [])
    await reserve(new_job(3, price=2, after=60), 5)
    assert left(await stands()) == (3, [1])


async def test_a_job_from_before_a_reset_takes_nothing_and_gives_nothing_back(
    jobs: Jobs, reserve: Reserve, decide: Decide, stands: Stands
) -> None:
    job = await reserve(new_job(1, price=3), 5)
    await decide(ResetUsage(member_id=30))
    await jobs.move(job, JobState.CANCELLED)
    assert left(await stands()) == (5, [])


async def test_a_reset_of_an_earlier_window_does_not_reach_into_the_next(
    reserve: Reserve, decide: Decide, stands: Stands
) -> None:
    await decide(ResetUsage(member_id=30))
    await reserve(new_job(1, price=2, created_at=MIDNIGHT), 5)
    assert left(await stands(now=MIDNIGHT)) == (3, [])


async def test_a_reset_by_a_clock_that_is_ahead_opens_no_door(
    reserve: Reserve, decide: Decide, stands: Stands, clock: StillClock
) -> None:
    clock.time += timedelta(seconds=10)
    await decide(ResetUsage(member_id=30))
    booked = [await reserve(new_job(number), 3) for number in range(1, 9)]
    assert sum(job is not None for job in booked) == 3
    assert (await stands()).used == 0


async def test_who_is_blocked_books_nothing_until_it_ends(
    store: Store, decide: Decide, stands: Stands
) -> None:
    await decide(GiveGrant(member_id=30, amount=3))
    await decide(BlockMember(member_id=30, until=MIDNIGHT))
    refused = await store.accounts.reserve(new_job(1), (), allowed(None))
    assert isinstance(refused, NotBooked)
    assert (refused.why, refused.standing.block) == (Refusal.BLOCKED, (await stands()).block)
    assert isinstance(await store.accounts.reserve(new_job(2, user_id=31), (), allowed(1)), Job)
    assert isinstance(await store.accounts.reserve(new_job(3, created_at=MIDNIGHT), (), allowed(1)), Job)


async def test_who_is_unblocked_has_what_they_had(reserve: Reserve, decide: Decide, stands: Stands) -> None:
    await reserve(new_job(1, price=2), 5)
    await decide(BlockMember(member_id=30))
    await decide(UnblockMember(member_id=30))
    assert left(await stands()) == (3, [])
    assert await reserve(new_job(2, price=3), 5)


async def test_a_budget_is_the_servers_and_is_reserved_with_the_job(store: Store, decide: Decide) -> None:
    await decide(SetBudget(micros=10))

    async def book(number: int, cost: int, **values: Any) -> Job | NotBooked:
        return await store.accounts.reserve(new_job(number, cost_micros=cost, **values), (), allowed(99))

    assert isinstance(await book(1, 6), Job)
    refused = await book(2, 5, user_id=31)
    assert isinstance(refused, NotBooked)
    assert refused.why is Refusal.BUDGET_SPENT
    assert refused.standing.budget == Budget(10, 6, Window(utc("2024-02-01"), utc("2024-03-01")))
    assert isinstance(await book(3, 5, guild_id=11), Job)
    assert isinstance(await book(4, 4, user_id=31), Job)
    assert isinstance(await book(5, 1), NotBooked)
    assert isinstance(await book(5, 0), Job), "what has no price costs nothing"


@pytest.mark.parametrize("end", sorted(RELEASED))
async def test_a_released_job_costs_the_budget_nothing(
    jobs: Jobs, reserve: Reserve, decide: Decide, stands: Stands, end: JobState
) -> None:
    await decide(SetBudget(micros=10))
    job = await reserve(new_job(1, cost_micros=10), 5)
    assert (await stands()).budget.left == 0
    released = await jobs.move(job, end)
    assert (released.cost_micros, released.quoted_micros) == (0, job.quoted_micros)
    assert (await stands()).budget.left == 10
    assert await reserve(new_job(2, cost_micros=10), 5)


async def test_a_delivered_video_stays_on_the_budget_until_the_month_ends(
    book: Book, decide: Decide, stands: Stands
) -> None:
    await decide(SetBudget(micros=10))
    await decide(SetTimezone(zone="Europe/Berlin"))
    await book(1, JobState.DELIVERED, cost_micros=7)
    march = utc("2024-02-29T23:00")
    assert (await stands(now=march - TICK)).budget.spent == 7
    assert (await stands(now=march)).budget.spent == 0


async def test_a_budget_counts_what_was_spent_before_it_was_set(
    reserve: Reserve, decide: Decide, stands: Stands
) -> None:
    await reserve(new_job(1, cost_micros=7), 5)
    assert (await stands()).budget is None
    await decide(SetBudget(micros=5))
    assert (await stands()).budget.left == 0
    assert await reserve(new_job(2, cost_micros=1), 5) is None
    await decide(SetBudget(micros=None))
    assert await reserve(new_job(3, cost_micros=10**12), 5)


async def test_a_new_allowance_counts_at_once_with_what_is_used_already(
    reserve: Reserve, decide: Decide, stands: Stands
) -> None:
    await reserve(new_job(1, price=4), 5)
    seen = []
    for amount in (6, 3, 0, None, 5):
        await decide(SetAllowance(allowance=allowed(amount)))
        seen.append((await stands()).in_window)
    assert seen == [2, 0, 0, None, 1]
    await decide(SetAllowance(member_id=30, allowance=allowed(30, MONTH)))
    assert (await stands()).in_window == 26


async def test_a_lower_allowance_takes_nothing_from_grants(
    jobs: Jobs, reserve: Reserve, decide: Decide, stands: Stands
) -> None:
    await decide(GiveGrant(member_id=30, amount=3))
    job = await reserve(new_job(1, price=5), 5)
    await decide(SetAllowance(allowance=allowed(2)))
    assert left(await stands()) == (0, [3])
    await reserve(new_job(2, price=2), 5)
    assert left(await stands()) == (0, [1])
    await jobs.move(job, JobState.FAILED)
    assert left(await stands()) == (2, [1])


async def test_a_role_that_is_taken_away_counts_no_longer_and_its_jobs_go_on(
    jobs: Jobs, reserve: Reserve, decide: Decide, stands: Stands
) -> None:
    await decide(SetAllowance(role_id=7, allowance=allowed(9)))
    job = await reserve(new_job(1, price=8), 5, 7)
    assert left(await stands(7)) == (1, [])
    assert left(await stands()) == (0, [])
    assert await reserve(new_job(2), 5) is None
    promoted = await jobs.promote(Caps(1, 1, {"eigenai": None}))
    assert (promoted.id, promoted.charged) == (1, 8)
    await jobs.move(promoted, JobState.FAILED)
    assert job is not None
    assert left(await stands()) == (5, [])


async def test_of_thirty_roles_the_best_counts(reserve: Reserve, decide: Decide, stands: Stands) -> None:
    for role_id in range(1, 31):
        await decide(SetAllowance(role_id=role_id, allowance=allowed(role_id % 17)))
    standing = await stands(*range(1, 31))
    assert (standing.left, standing.ruling.source, standing.ruling.role_id) == (16, Source.ROLE, 16)
    assert await reserve(new_job(1, price=16), 5, *range(1, 31))
    assert await reserve(new_job(2), 5, *range(1, 31)) is None


async def test_in_a_new_time_zone_the_day_is_another_one_for_what_is_used_already(
    reserve: Reserve, decide: Decide, stands: Stands
) -> None:
    await reserve(new_job(1, price=1, created_at=utc("2024-02-28T22:59")), 5)
    await reserve(new_job(2, price=2, created_at=utc("2024-02-28T23:00")), 5)
    await reserve(new_job(3, price=1, created_at=utc("2024-02-29T11:00")), 5)
    assert (await stands()).used == 1
    await decide(SetTimezone(zone="Europe/Berlin"))
    assert (await stands()).used == 3
    await decide(SetTimezone(zone="Pacific/Auckland"))
    assert (await stands()).used == 1
    assert (await stands()).window == Window(utc("2024-02-29T11:00"), utc("2024-03-01T11:00"))


@pytest.mark.parametrize(
    ("zone", "kind", "start", "end"),
    [
        ("Europe/Berlin", DAY, "2024-03-30T23:00", "2024-03-31T22:00"),
        ("Europe/Berlin", WEEK, "2024-10-20T22:00", "2024-10-27T23:00"),
        ("UTC", MONTH, "2024-02-01", "2024-03-01"),
    ],
)
async def test_usage_is_summed_from_the_windows_first_moment_to_its_last(
    reserve: Reserve, decide: Decide, stands: Stands, zone: str, kind: WindowKind, start: str, end: str
) -> None:
    await decide(SetTimezone(zone=zone))
    await decide(SetAllowance(allowance=allowed(6, kind)))
    moments = [utc(start) - TICK, utc(start), utc(end) - TICK, utc(end)]
    for number, moment in enumerate(moments):
        assert await reserve(new_job(number, price=2**number % 8, created_at=moment), 5)
    assert [(await stands(now=moment)).used for moment in moments] == [1, 6, 6, 0]
    assert await reserve(new_job(9, created_at=moments[1]), 5) is None


async def test_a_server_that_is_left_and_joined_again_keeps_its_rules_and_usage(
    store: Store, reserve: Reserve, decide: Decide, stands: Stands, another: Callable[[], Awaitable[Store]]
) -> None:
    await decide(SetAllowance(allowance=allowed(8)))
    await decide(GiveGrant(member_id=30, amount=2))
    await reserve(new_job(1, price=9), 5)
    before = await stands()
    await store.close()
    again = await another()
    assert await again.accounts.standing(10, 30, (), allowed(5), NOON) == before
    assert left(before) == (0, [1])


async def test_what_happens_in_another_server_does_not_count(
    reserve: Reserve, decide: Decide, stands: Stands
) -> None:
    for change in (
        SetAllowance(allowance=allowed(0)),
        SetAllowance(role_id=7, allowance=allowed(0)),
        SetAllowance(member_id=30, allowance=allowed(0)),
        GiveGrant(member_id=30, amount=3),
        BlockMember(member_id=30),
        ResetUsage(member_id=30),
        SetBudget(micros=0),
        SetTimezone(zone="Pacific/Auckland"),
    ):
        await decide(change, 11)
    await reserve(new_job(1, price=2, guild_id=12, cost_micros=5), 5)
    assert await reserve(new_job(2, price=1), 5)
    standing = await stands(7)
    assert (standing.ruling.source, standing.used, standing.left) == (Source.BOT, 1, 4)
    assert (standing.block, standing.budget, standing.grants) == (None, None, ())
    assert standing.window == window_at(DAY, NOON, ZoneInfo("UTC"))


async def test_an_act_about_one_member_does_not_count_for_another(decide: Decide, stands: Stands) -> None:
    for change in (
        SetAllowance(member_id=31, allowance=allowed(0)),
        GiveGrant(member_id=31, amount=3),
        BlockMember(member_id=31),
    ):
        await decide(change)
    assert (await stands()).left == 5
    assert (await stands()).block is None


async def promoted(jobs: Jobs, member: int, server: int) -> list[int]:
    """The ids of all that can be promoted where the bot has these caps by default."""
    ids: list[int] = []
    while job := await jobs.promote(Caps(member, server, {"eigenai": None})):
        ids.append(job.id)
    return sorted(ids)


@pytest.mark.parametrize(
    ("caps", "ids"),
    [
        (SetCaps(), [1, 2, 3, 5, 6]),
        (SetCaps(member=1), [1, 3, 5, 6]),
        (SetCaps(member=2, server=2), [1, 3, 5, 6]),
        (SetCaps(server=1), [1, 5, 6]),
        (SetCaps(member=1000, server=1000), [1, 2, 3, 5, 6]),
    ],
)
async def test_a_servers_caps_can_only_be_stricter_than_the_bots_and_hold_there_alone(
    jobs: Jobs, book: Book, decide: Decide, caps: SetCaps, ids: list[int]
) -> None:
    await decide(SetCaps(member=1, server=1))
    await decide(caps)
    for number, user_id in enumerate((30, 30, 31, 31), start=1):
        await book(number, user_id=user_id, after=number)
    await book(5, guild_id=11, user_id=40)
    await book(6, guild_id=11, user_id=40, after=6)
    assert await promoted(jobs, 2, 3) == ids


async def test_a_members_places_in_one_server_are_not_used_up_in_another(jobs: Jobs, book: Book) -> None:
    for number, guild_id in enumerate((10, 10, 11, 11, 12), start=1):
        await book(number, guild_id=guild_id, after=number)
    assert await promoted(jobs, 1, 9) == [1, 3, 5]
