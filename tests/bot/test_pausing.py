"""Pauses: nothing new is booked or sent, what waits waits on, and what is being made is made."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from bot.jobs import JobState
from bot.pauses import Pauses, PauseServer, ResumeServer
from bot.rules import Act, Change
from bot.store.queue import Caps
from tests.bot.conftest import Hall
from tests.helpers import eventually, on_both

Switch = Callable[[Hall], Awaitable[object]]
CAPS = Caps(9, 9, {"scripted": None})
LONG = timedelta(minutes=35)


async def decide(hall: Hall, number: int, change: Change, guild_id: int = 1) -> None:
    act = Act(number, guild_id, 99, hall.clock.now(), change, "a raid")
    await hall.store.acts.add(number, guild_id, None, lambda _: act)


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
