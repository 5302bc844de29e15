"""Pauses: nothing new is booked or sent, what waits waits on, and what is being made is made."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from bot.jobs import JobState
from bot.posting import Hold
from bot.quota.allowances import Allowance, WindowKind
from bot.quota.decisions import Change, Decision, PauseServer, ResumeServer
from bot.quota.limits import HourlyRoom, Limits, Pauses, Period, Scope
from bot.store.accounts import Accounts
from bot.store.queue import Caps
from tests.bot.conftest import Hall
from tests.bot.conftest import Make as MakeHall
from tests.helpers import eventually, on_both

Switch = Callable[[Hall], Awaitable[object]]
CAPS = Caps(9, 9, {"scripted": None})
LONG = timedelta(minutes=35)
MANY = Allowance(amount=100, kind=WindowKind.DAY)


async def decide(hall: Hall, number: int, change: Change, guild_id: int = 1) -> None:
    decision = Decision(number, guild_id, 99, hall.clock.now(), change, "a raid")
    await hall.store.decisions.add(number, guild_id, None, lambda _: decision)


async def by_moderators(hall: Hall) -> None:
    await decide(hall, 1, PauseServer())


async def by_moderators_for_a_while(hall: Hall) -> None:
    await decide(hall, 1, PauseServer(until=hall.clock.now() + LONG + timedelta(hours=1)))


async def everything(hall: Hall) -> None:
    await hall.store.pauses.pause(None, "the bill")


async def one_provider(hall: Hall) -> None:
    await hall.store.pauses.pause("scripted", "")


async def resumed(hall: Hall) -> None:
    await decide(hall, 2, ResumeServer())
    await hall.store.pauses.resume(None)


EVERY = [by_moderators, by_moderators_for_a_while, everything, one_provider]


@pytest.mark.parametrize("pause", EVERY)
async def test_what_waits_is_not_promoted_until_the_pause_ends(hall: Hall, pause: Switch) -> None:
    await hall.book(1)
    await pause(hall)
    assert await hall.store.jobs.promote(CAPS) is None
    await resumed(hall)
    assert await hall.store.jobs.promote(CAPS) is not None


@pytest.mark.parametrize("pause", EVERY)
async def test_what_waits_for_longer_than_a_job_may_does_not_end_but_is_made_afterwards(
    hall: Hall, pause: Switch
) -> None:
    # Its time in the queue was up long ago.
    await hall.book(1, created_at=hall.clock.now() - timedelta(hours=5))
    await pause(hall)
    await hall.runner.start()
    began = hall.clock.now()
    await eventually(lambda: hall.clock.now() >= began + LONG)
    assert (await hall.job()).state is JobState.QUEUED
    await resumed(hall)
    job = await eventually(hall.ended)
    assert job is not None
    assert job.state is JobState.DELIVERED
    assert hall.provider.submitted == ["p1"]


@on_both
async def test_a_pause_ends_by_itself_when_its_time_is_up(hall: Hall) -> None:
    await hall.book(1)
    await decide(hall, 1, PauseServer(until=hall.clock.now() + LONG))
    await hall.runner.start()
    job = await eventually(hall.ended)
    assert job is not None
    assert job.state is JobState.DELIVERED


@pytest.mark.parametrize("pause", EVERY)
async def test_what_is_being_made_is_made(hall: Hall, pause: Switch) -> None:
    job = await hall.promoted()
    await pause(hall)
    assert (await hall.drive(job)).state is JobState.DELIVERED


@pytest.mark.parametrize("pause", [by_moderators, by_moderators_for_a_while])
async def test_a_servers_pause_is_its_own(hall: Hall, pause: Switch) -> None:
    await pause(hall)
    assert await hall.book(1) is None
    assert await hall.book(2, guild_id=2) is not None
    assert await hall.store.jobs.promote(CAPS) is not None


async def test_a_pause_of_one_provider_is_no_pause_of_others(hall: Hall) -> None:
    await hall.store.pauses.pause("other", "too slow")
    await hall.book(1)
    assert await hall.store.jobs.promote(CAPS) is not None


@on_both
async def test_pauses_of_the_operators_are_written_beside_the_owner_and_add_up(hall: Hall) -> None:
    pauses = hall.store.pauses
    assert await pauses.get() == Pauses()
    await pauses.pause("a", "slow")
    await pauses.pause("b", "")
    assert await pauses.pause(None, "") == Pauses(everything="", providers={"a": "slow", "b": ""})
    assert (await pauses.get()).why("c") == ""
    assert await pauses.resume("a") == Pauses(everything="", providers={"b": ""})
    assert await pauses.resume(None) == Pauses()


# ---- what an hour may cost at most ------------------------------------------------------------------------

TEN_AN_HOUR = Limits(budgets={(Scope.BOT, Period.HOUR): 10})
HOUR = timedelta(hours=1)


async def submitted_at(hall: Hall, job_id: int) -> datetime:
    job = await eventually(lambda: hall.ended(job_id))
    assert job is not None
    assert (job.state, job.failure) == (JobState.DELIVERED, None)
    assert job.asked_at is not None
    return job.asked_at


@on_both
async def test_what_was_accepted_waits_for_the_next_hour_and_its_card_says_so(make_hall: MakeHall) -> None:
    hall = await make_hall(limits=TEN_AN_HOUR)
    began = hall.clock.now()
    # Booked in two earlier hours, while nothing could be sent; both would be sent now.
    for number, before in ((1, 3), (2, 5)):
        assert await hall.book(number, cost_micros=8, created_at=began - before * HOUR)
    await hall.book(3)
    await hall.runner.start()
    times = [await submitted_at(hall, number) for number in (1, 2, 3)]
    assert abs(times[0] - times[1]) >= HOUR
    assert min(times) - began < HOUR
    assert times[2] - began < HOUR, "what costs nothing does not wait"
    assert Hold.BUDGET in {card.hold for card in hall.box.cards}
    assert hall.provider.submitted.count("p1") == hall.provider.submitted.count("p2") == 1


async def test_an_hours_budget_that_was_lowered_lets_what_waits_wait(make_hall: MakeHall) -> None:
    hall = await make_hall(limits=Limits(budgets={(Scope.SERVER, Period.HOUR): 10}))
    for number, guild_id in ((1, 1), (2, 1), (3, 2)):
        assert await hall.book(number, cost_micros=5, guild_id=guild_id)
    hall.store.jobs._limits = Limits(budgets={(Scope.SERVER, Period.HOUR): 9})
    hall.runner._objection = Accounts(
        hall.store.jobs._database, hall.store.decisions, hall.store.jobs._limits
    ).objection(MANY)
    hall.store.spending._limits = hall.store.jobs._limits
    await hall.runner.start()
    first, second, elsewhere = [await submitted_at(hall, number) for number in (1, 2, 3)]
    assert abs(first - second) >= HOUR
    assert abs(elsewhere - min(first, second)) < HOUR


async def test_who_comes_later_does_not_take_what_somebody_waits_for() -> None:
    room = HourlyRoom({Scope.BOT: 10, Scope.SERVER: 6}, {1: 5, 2: 3})
    queue = [(1, 0), (1, 1), (2, 4), (2, 1), (1, 1), (1, 0), (3, 11)]
    assert list(room.waits(queue)) == [False, False, True, True, True, False, True]
    assert list(HourlyRoom({Scope.SERVER: 6}, {1: 5}).waits([(1, 7), (1, 2), (2, 6), (1, 1)])) == [
        False,
        True,
        False,
        True,
    ]
    assert list(HourlyRoom({}, {}).waits([(1, 10**9)])) == [False]
