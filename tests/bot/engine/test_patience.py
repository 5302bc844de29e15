"""What is paid for is waited for while it is kept; time in which nobody could answer does not count."""

from datetime import datetime, timedelta

import pytest

from bot.engine.retry import BAD_DOWNLOADS
from bot.engine.uptime import GRACE
from bot.errors import Undeliverable, Undelivered
from bot.jobs import Failure, Job, JobState, Place
from bot.store.queue import Caps
from providers.base import Pending, Succeeded, Terms
from providers.errors import Overloaded, ProviderError, Uncertain, Unreachable
from tests.bot.conftest import Hall
from tests.bot.engine.test_engine import in_state
from tests.helpers import eventually, on_both

S = JobState
HOUR = timedelta(hours=1)
AWAY = Unreachable("no route")
BROKEN = Uncertain("500", status=500)


class Outage:
    """A vendor that answers nothing until a moment, and then what it has."""

    def __init__(self, hall: Hall, until: datetime, error: ProviderError = AWAY) -> None:
        self._hall, self._until, self._error = hall, until, error
        self.tries = 0

    async def call(self, *_: object) -> None:
        self.tries += 1
        if self._hall.clock.now() < self._until:
            raise self._error


def polls_fail(hall: Hall, span: timedelta, error: ProviderError = AWAY) -> Outage:
    """Looks fail for so long from now on."""
    outage, poll = Outage(hall, hall.clock.now() + span, error), hall.provider.poll

    async def failing(operation: dict[str, object]) -> object:
        await outage.call()
        return await poll(operation)  # type: ignore[arg-type] # as it came

    hall.provider.poll = failing  # type: ignore[method-assign,assignment] # the scripted provider's own
    return outage


def downloads_fail(hall: Hall, span: timedelta) -> Outage:
    outage, download = Outage(hall, hall.clock.now() + span), hall.provider.download

    async def failing(*given: object) -> None:
        await outage.call()
        await download(*given)  # type: ignore[arg-type] # as they came

    hall.provider.download = failing  # type: ignore[method-assign,assignment] # the scripted provider's own
    return outage


async def slept(hall: Hall, span: timedelta = HOUR) -> None:
    """The machine sleeps for so long in the middle of all that is under way."""
    hall.clock.pass_by(span)


# ---- time that the bot did not live -----------------------------------------------------------------------


@pytest.mark.parametrize("state", [S.RUNNING, S.DOWNLOADING])
async def test_a_call_that_fails_after_a_restart_ends_nothing_however_late_it_is(
    hall: Hall, state: JobState
) -> None:
    job = await in_state(hall, state)
    hall.clock.pass_by(timedelta(days=3))
    (polls_fail if state is S.RUNNING else downloads_fail)(hall, timedelta(minutes=1))
    assert (await hall.engine.drive(job)).state is S.DELIVERED


@pytest.mark.parametrize("state", [S.RUNNING, S.DOWNLOADING])
async def test_a_call_that_fails_after_a_pause_ends_nothing(hall: Hall, state: JobState) -> None:
    outage = (polls_fail if state is S.RUNNING else downloads_fail)(hall, HOUR + timedelta(minutes=1))
    await in_state(hall, state)
    await hall.runner.start()
    await eventually(lambda: outage.tries)
    await slept(hall)
    assert (await eventually(hall.ended)).state is S.DELIVERED


async def test_time_is_up_on_answers_that_come_for_some_minutes_after_a_pause(hall: Hall) -> None:
    hall.provider.polls.extend([Pending()] * 10_000)
    job = await in_state(hall, S.RUNNING)
    await hall.runner.start()
    await eventually(lambda: hall.provider.looks)
    await slept(hall)
    woke = hall.clock.now()
    job = await eventually(hall.ended)
    assert job.failure is Failure.TIMED_OUT
    assert GRACE <= job.state_at - woke < 3 * GRACE


async def test_what_was_broken_before_a_pause_is_not_hopeless_because_of_it(hall: Hall) -> None:
    hall.provider.terms = Terms(hopeless_after=300)
    outage = polls_fail(hall, HOUR + timedelta(minutes=4), BROKEN)
    await in_state(hall, S.RUNNING)
    await hall.runner.start()
    await eventually(lambda: outage.tries)
    await slept(hall)
    assert (await eventually(hall.ended)).state is S.DELIVERED


async def test_what_waits_in_the_queue_gets_its_turn_after_a_long_absence(hall: Hall) -> None:
    await hall.book(1, created_at=hall.clock.now() - timedelta(hours=9))
    await hall.runner.start()
    assert (await eventually(hall.ended)).state is S.DELIVERED


async def test_nobody_waits_in_the_queue_for_ever_after_an_absence(hall: Hall) -> None:
    await hall.book(1, created_at=hall.clock.now() - timedelta(hours=9))
    hall.runner._caps = Caps(1, 1, {})
    started = hall.clock.now()
    await hall.runner.start()
    job = await eventually(hall.ended)
    assert job.failure is Failure.TIMED_OUT
    assert job.state_at - started >= timedelta(minutes=30)


# ---- what was paid for ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [S.RUNNING, S.DOWNLOADING])
async def test_a_video_that_somebody_keeps_is_fetched_whenever_he_can_be_reached(
    hall: Hall, state: JobState
) -> None:
    job = await in_state(hall, state)
    outage = (polls_fail if state is S.RUNNING else downloads_fail)(hall, 20 * HOUR)
    job = await hall.engine.drive(job)
    assert (job.state, job.charged) == (S.DELIVERED, 1)
    assert outage.tries < 500, "it is asked for less often, the longer it takes"


@pytest.mark.parametrize("state", [S.RUNNING, S.DOWNLOADING])
async def test_nobody_else_waits_for_it(hall: Hall, state: JobState) -> None:
    (polls_fail if state is S.RUNNING else downloads_fail)(hall, 20 * HOUR)
    hall.runner._caps = Caps(1, 1, {"scripted": 1})
    job = await in_state(hall, state)
    began = hall.clock.now()
    await hall.book(2)
    await hall.runner.start()
    other = await eventually(lambda: under_way(hall, 2))
    assert other.state_at - began < HOUR
    assert (await hall.job(job.id)).overdue_at is not None


async def under_way(hall: Hall, job_id: int) -> Job | None:
    job = await hall.job(job_id)
    return None if job.state is S.QUEUED else job


@pytest.mark.parametrize(("state", "hours"), [(S.RUNNING, 5), (S.DOWNLOADING, 1)])
async def test_what_the_vendor_keeps_no_longer_is_lost_and_not_charged(
    hall: Hall, state: JobState, hours: int
) -> None:
    hall.provider.terms = Terms(keeps_for=hours * 3600.0)
    job = await in_state(hall, state)
    (polls_fail if state is S.RUNNING else downloads_fail)(hall, 99 * HOUR)
    job = await hall.engine.drive(job)
    assert (job.state, job.failure, job.charged) == (S.FAILED, Failure.LOST, 0)
    since = job.ready_at or job.created_at
    assert timedelta(hours=hours) <= job.state_at - since < timedelta(hours=hours, minutes=30)


async def test_the_vendors_own_word_on_how_long_it_keeps_a_video_counts(hall: Hall) -> None:
    job = await in_state(hall, S.RUNNING)
    expires_at = hall.clock.now() + 5 * HOUR
    hall.provider.polls.append(Succeeded(expires_at=expires_at))
    downloads_fail(hall, 99 * HOUR)
    job = await hall.engine.drive(job)
    assert job.failure is Failure.LOST
    assert expires_at <= job.state_at < expires_at + timedelta(minutes=10)


async def test_the_card_says_what_is_waited_for_and_until_when(hall: Hall) -> None:
    job = await in_state(hall, S.DOWNLOADING)
    downloads_fail(hall, 2 * HOUR)
    await hall.engine.drive(job)
    [kept_until] = {card.kept_until for card in hall.box.cards if card.job.overdue_at}
    assert kept_until == (job.ready_at or job.state_at) + timedelta(days=1)
    assert hall.box.cards[-1].job.state is S.DELIVERED


@on_both
async def test_a_restart_changes_nothing_for_what_is_overdue(hall: Hall) -> None:
    job = await in_state(hall, S.DOWNLOADING)
    downloads_fail(hall, 20 * HOUR)
    await hall.runner.start()
    overdue = await eventually(lambda: overdue_job(hall))
    hall.engine.stopping.set()
    await hall.runner.stop()
    hall.engine.stopping.clear()
    assert await hall.job() == overdue
    assert (await hall.engine.drive(await hall.job())).state is S.DELIVERED
    assert job.id == overdue.id


async def overdue_job(hall: Hall) -> Job | None:
    job = await hall.job()
    return job if job.overdue_at else None


async def test_a_vendor_that_asks_for_patience_has_not_answered(hall: Hall) -> None:
    job = await in_state(hall, S.RUNNING)
    polls_fail(hall, HOUR, Overloaded("503", status=503))
    assert (await hall.engine.drive(job)).state is S.DELIVERED


async def test_what_is_no_video_is_not_believed_right_after_a_pause(hall: Hall) -> None:
    hall.provider.downloads.extend([b"<html>"] * BAD_DOWNLOADS)
    await in_state(hall, S.DOWNLOADING)
    await hall.runner.start()
    await eventually(lambda: len(hall.provider.downloads) < BAD_DOWNLOADS - 1)
    await slept(hall)
    assert (await eventually(hall.ended)).state is S.DELIVERED


# ---- Discord ----------------------------------------------------------------------------------------------


def discord_is_away(hall: Hall, span: timedelta) -> None:
    """Nothing that is asked of Discord is answered for so long."""
    until, announce, withdraw = hall.clock.now() + span, hall.box.announce, hall.box.withdraw

    async def announced(job: Job, *, again: bool) -> object:
        if hall.clock.now() < until:
            raise Undelivered("reset")
        return await announce(job, again=again)

    async def withdrawn(job: Job) -> bool | None:
        if hall.clock.now() < until:
            raise Undelivered("reset")
        return await withdraw(job)

    hall.box.announce = announced  # type: ignore[method-assign,assignment] # the test's own messenger
    hall.box.withdraw = withdrawn  # type: ignore[method-assign] # the same


@pytest.mark.parametrize("span", [timedelta(minutes=1), 5 * HOUR])
async def test_a_video_stays_where_it_belongs_while_discord_does_not_answer(
    hall: Hall, span: timedelta
) -> None:
    job = await in_state(hall, S.DELIVERING)
    hall.clock.pass_by(timedelta(days=1))
    hall.box.places.append((Place.DIRECT, None))
    discord_is_away(hall, span)
    job = await hall.engine.drive(job)
    assert (job.state, job.place) == (S.DELIVERED, Place.CHANNEL)


async def test_a_place_is_left_when_discord_says_no_for_too_long(hall: Hall) -> None:
    job = await in_state(hall, S.DELIVERING)
    hall.box.places.append((Place.DIRECT, None))
    hall.box.faults.extend([Undelivered("429")] * 200)
    began = hall.clock.now()
    job = await hall.engine.drive(job)
    assert (job.failure, job.place) == (Failure.UNDELIVERABLE, Place.DIRECT)
    assert job.state_at - began >= timedelta(minutes=30)


async def test_an_outage_while_a_message_is_taken_back_is_waited_for_and_not_hammered(hall: Hall) -> None:
    job = await in_state(hall, S.DELIVERING)
    hall.box.places.append((Place.DIRECT, None))
    hall.box.faults.append(Undeliverable("403"))
    discord_is_away(hall, HOUR)
    began = hall.clock.now()
    job = await hall.engine.drive(job)
    assert job.state is S.DELIVERED
    assert job.state_at - began < 2 * HOUR
