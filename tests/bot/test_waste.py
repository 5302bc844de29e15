"""What a provider has started on costs the operator, and no member can make it do so for nothing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.delivery.resend import Resend
from bot.errors import NotNow
from bot.jobs import Failure, Job, JobState
from bot.quota.allowances import Allowance, Refusal, WindowKind
from bot.quota.decisions import BlockMember, Change, Decision, SetAllowance, SetBudget
from bot.store.accounts import NotBooked
from bot.store.queue import Caps
from bot.waste import LATE_CANCELS, REFUSALS, UNDELIVERED, Waste
from providers.base import Failed, Pending, Succeeded, Terms
from providers.errors import Advice, InvalidRequest, Uncertain, Unreachable
from tests.bot.conftest import Hall
from tests.bot.engine.test_engine import in_state
from tests.helpers import AtHome, eventually, on_both

S = JobState
DAY = Allowance(amount=5, kind=WindowKind.DAY)
NONE = Allowance(amount=0, kind=WindowKind.DAY)
COST = 50


async def running(hall: Hall, job_id: int = 1, guild_id: int = 1) -> Job:
    """A job that its provider has started on."""
    job = await hall.promoted(job_id, quoted_micros=COST, cost_micros=COST, guild_id=guild_id)
    job = await hall.store.jobs.ask(job, at=hall.clock.now())
    now = hall.clock.now()
    return await hall.store.jobs.move(job, S.RUNNING, operation={"handle": f"p{job_id}"}, submitted_at=now)


async def decide(hall: Hall, change: Change) -> None:
    decision = Decision(id=1, guild_id=1, by_id=9, at=hall.clock.now(), change=change)
    await hall.store.decisions.add(1, 1, change.member_id, lambda _: decision)


# ---- what it costs ----------------------------------------------------------------------------------------


async def test_a_cancel_before_the_provider_was_asked_costs_nothing(hall: Hall) -> None:
    job = await hall.promoted(quoted_micros=COST, cost_micros=COST)
    cancelled = await hall.engine.cancel(job, user_id=7)
    assert (cancelled.charged, cancelled.cost_micros, cancelled.held_until) == (0, 0, None)


async def test_a_cancel_after_that_stays_in_the_budget_and_takes_a_place_of_its_members(hall: Hall) -> None:
    cancelled = await hall.engine.cancel(await running(hall), user_id=7)
    assert (cancelled.charged, cancelled.cost_micros) == (0, COST)
    assert cancelled.held_until is not None
    await hall.book(2)
    one = Caps(member=1, server=9, providers={"scripted": None})
    assert await hall.store.jobs.promote(one) is None
    await hall.book(3, user_id=8)
    assert (await hall.store.jobs.promote(one) or job_none()).id == 3, "of nobody else's"


def job_none() -> Job:
    raise AssertionError("nothing was promoted")


async def test_where_the_provider_stops_when_it_is_told_nothing_is_held(hall: Hall) -> None:
    hall.provider.terms = Terms(stops_on_cancel=True)
    cancelled = await hall.engine.cancel(await running(hall), user_id=7)
    assert (cancelled.cost_micros, cancelled.held_until) == (0, None)


@on_both
@pytest.mark.parametrize(
    ("verdict", "cost"),
    [
        (Succeeded(), COST),
        (Succeeded(cost_micros=70), 70),
        (Failed(detail="no luck"), 0),
        (Failed(detail="no", refused=True), COST),
        (Failed(detail="no", refused=True, advice=Advice(refunded=True)), 0),
        (Failed(detail="no luck", advice=Advice(refunded=False)), COST),
    ],
)
async def test_the_providers_verdict_settles_what_a_cancelled_video_costs(
    hall: Hall, verdict: Succeeded | Failed, cost: int
) -> None:
    await hall.engine.cancel(await running(hall), user_id=7)
    hall.provider.polls.extend([Pending(), verdict])
    await hall.runner.start()
    await eventually(lambda: is_settled(hall))
    job = await hall.job()
    assert (job.state, job.charged, job.cost_micros) == (S.CANCELLED, 0, cost)
    await eventually(lambda: hall.provider.cleaned == [{"handle": "p1"}])


async def is_settled(hall: Hall) -> bool:
    return (await hall.job()).held_until is None


@pytest.mark.parametrize(
    ("verdict", "cost"),
    [
        (Failed(detail="no luck"), 0),
        (Failed(detail="no", refused=True), COST),
        (Failed(detail="no", refused=True, advice=Advice(refunded=True)), 0),
    ],
)
async def test_what_a_provider_refuses_after_it_has_started_costs_unless_it_says_otherwise(
    hall: Hall, verdict: Failed, cost: int
) -> None:
    hall.provider.polls.append(verdict)
    job = await hall.drive(await hall.promoted(cost_micros=COST))
    assert (job.state, job.charged, job.cost_micros) == (S.FAILED, 0, cost)


@pytest.mark.parametrize(
    ("error", "cost"), [(InvalidRequest("400"), 0), (Uncertain("cut"), COST)], ids=["refused", "in doubt"]
)
async def test_what_was_perhaps_accepted_stays_in_the_budget(hall: Hall, error: Exception, cost: int) -> None:
    hall.provider.submits.append(error)
    assert (await hall.drive(await hall.promoted(cost_micros=COST))).cost_micros == cost


async def test_a_cancelled_video_that_cannot_be_looked_at_counts_as_made(hall: Hall) -> None:
    await hall.engine.cancel(await running(hall), user_id=7)
    hall.provider.polls.extend([Unreachable("dns")] * 10_000)
    await hall.runner.start()
    await eventually(lambda: is_settled(hall))
    assert (await hall.job()).cost_micros == COST


# ---- how often --------------------------------------------------------------------------------------------


async def test_started_videos_can_be_cancelled_a_few_times_a_day(hall: Hall) -> None:
    waste = Waste(hall.store, hall.clock)
    for number in range(1, LATE_CANCELS + 1):
        job = await running(hall, number)
        await waste.check_cancel(job, "Scripted")
        await hall.engine.cancel(job, user_id=7)
    job = await running(hall, 9)
    with pytest.raises(NotNow, match="has already started this video"):
        await waste.check_cancel(job, "Scripted")
    hall.clock.pass_by(timedelta(hours=24))
    await waste.check_cancel(job, "Scripted")


async def test_in_other_servers_nobody_has_more_to_waste(hall: Hall) -> None:
    waste = Waste(hall.store, hall.clock)
    for number in range(1, LATE_CANCELS + 1):
        await hall.engine.cancel(await running(hall, number, guild_id=number), user_id=7)
    with pytest.raises(NotNow, match="has already started this video"):
        await waste.check_cancel(await running(hall, 20, guild_id=20), "Scripted")
    for number in range(30, REFUSALS + 30):
        await waste.check_order(99, 7)
        hall.provider.polls.append(Failed(detail="no", refused=True))
        await hall.drive(await hall.promoted(number, guild_id=number))
    with pytest.raises(NotNow, match="content rules"):
        await waste.check_order(99, 7)


async def test_videos_that_a_hostile_server_does_not_let_through_stop_nobody_elsewhere(hall: Hall) -> None:
    waste = Waste(hall.store, hall.clock)
    for number in range(2, UNDELIVERED + 2):
        await undelivered(hall, number)
    with pytest.raises(NotNow, match="`/jobs resend` first"):
        await waste.check_order(1, 7)
    await waste.check_order(2, 7)


async def test_what_moderators_or_nobody_started_on_does_not_count(hall: Hall) -> None:
    waste = Waste(hall.store, hall.clock)
    for number in range(1, 9):
        await hall.engine.cancel(await running(hall, number), user_id=99)
        await hall.engine.cancel(await hall.promoted(number + 10), user_id=7)
    assert await waste.cancels_left(await hall.job(1)) == LATE_CANCELS


async def test_whose_videos_are_refused_again_and_again_waits(hall: Hall) -> None:
    waste = Waste(hall.store, hall.clock)
    for number in range(1, REFUSALS + 1):
        await waste.check_order(1, 7)
        hall.provider.polls.append(Failed(detail="no", refused=True))
        await hall.drive(await hall.promoted(number))
    with pytest.raises(NotNow, match=r"content rules in the last 24 hours.*Nothing was charged\.$"):
        await waste.check_order(1, 7)
    await waste.check_order(1, 8)
    hall.clock.pass_by(timedelta(hours=24))
    await waste.check_order(1, 7)


async def undelivered(hall: Hall, job_id: int = 1) -> Job:
    job = await in_state(hall, S.DELIVERING) if job_id == 1 else await running(hall, job_id)
    if job.state is S.RUNNING:
        job = await hall.store.jobs.move(job, S.DOWNLOADING, video=Succeeded(), ready_at=hall.clock.now())
        job = await hall.store.jobs.move(job, S.DELIVERING)
    return await hall.store.jobs.move(job, S.FAILED, failure=Failure.UNDELIVERABLE)


async def test_who_has_finished_videos_to_fetch_fetches_them_first(hall: Hall) -> None:
    waste = Waste(hall.store, hall.clock)
    for number in range(2, UNDELIVERED + 2):
        await waste.check_order(1, 7)
        job = await undelivered(hall, number)
    with pytest.raises(NotNow, match="`/jobs resend` first"):
        await waste.check_order(1, 7)
    await hall.store.accounts.book_again(job, (), DAY, hall.clock.now())
    await waste.check_order(1, 7)


# ---- videos asked for again -------------------------------------------------------------------------------


@on_both
async def test_a_video_that_was_not_charged_is_booked_when_it_is_asked_for_again(hall: Hall) -> None:
    job = await undelivered(hall, 2)
    hall.clock.pass_by(timedelta(days=1))
    booked = await hall.store.accounts.book_again(job, (), DAY, hall.clock.now())
    assert isinstance(booked, Job)
    assert booked.charged == 1
    standing = await hall.store.accounts.standing(1, 7, (), DAY, hall.clock.now())
    assert standing.used == 1, "in the window of now"
    again = await hall.store.accounts.book_again(job, (), DAY, hall.clock.now())
    assert again is None, "once"
    await hall.store.accounts.release(booked)
    assert (await hall.job(2)).charged == 0


async def test_two_who_ask_for_it_at_once_pay_once_and_neither_gives_back_what_the_other_has_paid(
    hall: Hall,
) -> None:
    job = await undelivered(hall, 2)
    resend = Resend(hall.store, hall.files, hall.box, AtHome(), hall.clock, DAY)

    async def ask_again() -> None:
        async with resend.paid(job, ()) as is_paid:  # read before the other one was booked
            assert not is_paid
            raise NotNow("I am still sending you another video.")

    async with resend.paid(job, ()) as is_paid:
        assert is_paid
        with pytest.raises(NotNow):
            await ask_again()
    assert (await hall.job(2)).charged == 1


async def test_it_has_to_fit_into_the_allowance(hall: Hall) -> None:
    job = await undelivered(hall, 2)
    none = Allowance(amount=0, kind=WindowKind.DAY)
    refused = await hall.store.accounts.book_again(job, (), none, hall.clock.now())
    assert isinstance(refused, NotBooked)
    assert refused.why is Refusal.NOTHING_LEFT


# ---- the rules of now -------------------------------------------------------------------------------------


@on_both
@pytest.mark.parametrize(
    ("change", "failure"),
    [
        (BlockMember(member_id=7), Failure.BLOCKED),
        (
            SetAllowance(member_id=7, allowance=Allowance(amount=0, kind=WindowKind.DAY)),
            Failure.OVER_ALLOWANCE,
        ),
        (SetBudget(micros=COST - 1), Failure.OVER_BUDGET),
    ],
)
async def test_what_was_decided_since_a_job_was_booked_ends_it_before_it_is_paid_for(
    hall: Hall, change: Change, failure: Failure
) -> None:
    await hall.book(1, cost_micros=COST)
    await decide(hall, change)
    await hall.runner.start()
    job = await eventually(hall.ended)
    assert (job.failure, job.charged, job.cost_micros) == (failure, 0, 0)
    assert hall.provider.submitted == []
    await eventually(lambda: hall.box.states(1)[-1:] == [S.FAILED])


async def test_a_budget_of_zero_ends_what_has_waited_since_another_month(hall: Hall) -> None:
    await hall.book(1, cost_micros=COST, created_at=hall.clock.now() - timedelta(days=31))
    await hall.book(2)
    await decide(hall, SetBudget(micros=0))
    await hall.runner.start()
    assert (await eventually(hall.ended)).failure in {Failure.OVER_BUDGET, Failure.TIMED_OUT}
    free = await eventually(lambda: hall.ended(2))
    assert free.state is S.DELIVERED
    assert hall.provider.submitted == ["p2"]


async def test_the_roles_that_a_member_had_count_as_long_as_the_job_waits(hall: Hall) -> None:
    await decide(hall, SetAllowance(role_id=5, allowance=DAY))
    hall.runner._objection = hall.store.accounts.objection(Allowance(amount=0, kind=WindowKind.DAY))
    await hall.book(1, role_ids=(5,))
    await hall.runner.start()
    assert (await eventually(hall.ended)).state is S.DELIVERED


async def test_a_lower_allowance_ends_no_more_than_it_has_to(hall: Hall) -> None:
    for number in range(1, 5):
        await hall.book(number, created_at=hall.clock.now() + timedelta(seconds=number))
    await decide(hall, SetAllowance(member_id=7, allowance=Allowance(amount=2, kind=WindowKind.DAY)))
    await hall.runner.start()
    await eventually(lambda: all_over(hall))
    ended = [replace(await hall.job(number)).state for number in range(1, 5)]
    assert sorted(ended) == [S.DELIVERED, S.DELIVERED, S.FAILED, S.FAILED]


async def all_over(hall: Hall) -> bool:
    return not await hall.store.jobs.open()


@pytest.mark.parametrize(("known", "state"), [(False, S.FAILED), (None, S.DELIVERED), (True, S.DELIVERED)])
async def test_nothing_is_bought_that_the_bot_may_not_post(
    hall: Hall, state: JobState, *, known: bool | None
) -> None:
    hall.box.open_to_us = known
    job = await hall.drive(await hall.promoted())
    assert job.state is state
    assert hall.provider.submitted == ([] if state is S.FAILED else ["p1"])
    assert job.failure is (Failure.MAY_NOT_POST if state is S.FAILED else None)
