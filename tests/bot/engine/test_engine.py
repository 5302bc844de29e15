"""The life of a job, state by state, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from errno import EIO, ENOSPC
from statistics import median
from typing import Any

import pytest

from bot.engine.retry import BAD_DOWNLOADS, OUTAGES_UNTIL_REST, UNKNOWN_ANSWERS
from bot.errors import TooLarge, Undeliverable, Undelivered
from bot.jobs import Failure, Job, JobState
from bot.store.db import StoreError
from bot.store.jobs import Jobs, Moved
from bot.store.queue import Caps
from providers.base import Failed, Operation, Pending, Succeeded, Terms
from providers.errors import (
    NO_ADVICE,
    Advice,
    Forbidden,
    InvalidRequest,
    NotFound,
    OutOfFunds,
    Overloaded,
    Unauthorized,
    Uncertain,
    Unreachable,
    Unusable,
)
from providers.specs import Mode, ModelSpec
from tests.bot.conftest import Hall, Make, Scripted
from tests.helpers import eventually

S = JobState


async def in_state(hall: Hall, state: JobState) -> Job:
    """A job that has come as far as this, by the moves that lead there."""
    job = await hall.promoted()
    if state is S.SUBMITTING:
        return job
    job = await hall.store.jobs.move(
        job, S.RUNNING, operation={"handle": "p1"}, submitted_at=hall.clock.now()
    )
    if state is S.RUNNING:
        return job
    job = await hall.store.jobs.move(job, S.DOWNLOADING, video=Succeeded(), ready_at=hall.clock.now())
    return job if state is S.DOWNLOADING else await hall.store.jobs.move(job, S.DELIVERING)


async def test_a_job_lives_from_submit_to_delivered(hall: Hall) -> None:
    job = await hall.drive(await hall.promoted())
    assert job.state is S.DELIVERED
    assert job.charged == 1
    assert job.operation == {"handle": "p1"}
    assert hall.box.announced == [1]
    assert hall.box.attached == [(1, 1001)]
    assert hall.box.states(1) == [S.SUBMITTING, S.RUNNING, S.DOWNLOADING, S.DELIVERING, S.DELIVERED]
    assert hall.provider.cleaned == [{"handle": "p1"}]
    assert await hall.files.complete(1, job.request) is None, "what was attached is gone"


@pytest.mark.parametrize("kept_for", [timedelta(), timedelta(hours=1)])
async def test_a_posted_video_is_kept_if_that_is_wished(hall: Hall, kept_for: timedelta) -> None:
    hall.files.kept_for = kept_for
    await hall.drive(await hall.promoted())
    assert hall.files.video(1).exists() == bool(kept_for)


async def test_where_the_disk_is_full_videos_of_old_jobs_make_room(hall: Hall) -> None:
    await in_state(hall, S.DELIVERING)
    hall.files.video(1).touch()
    hall.box.faults.append(Undeliverable("403"))  # nobody has this one yet
    await hall.drive(await hall.promoted(5))
    for old in (2, 3):
        await hall.drive(await hall.promoted(old))
    hall.files._free = lambda _: hall.provider.resources.max_video_bytes - 1
    seen: list[list[bool]] = []

    async def download(*given: Any) -> None:
        seen.append([hall.files.video(job_id).exists() for job_id in (1, 5, 2, 3)])
        await Scripted.download(hall.provider, *given)

    hall.provider.download = download
    hall.provider.downloads.append(OSError(EIO, "Input/output error"))
    hall.provider.downloads.append(OSError(ENOSPC, "No space left on device"))
    assert (await hall.drive(await hall.promoted(4))).state is S.DELIVERED
    assert seen == [[True] * 4, [True] * 4, [True, True, False, False]]


async def test_a_hiccup_of_the_database_long_after_the_deadline_loses_no_video(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_state(hall, S.DELIVERING)
    hall.clock.pass_by(timedelta(hours=2))
    move, refusals = Jobs.move, iter(range(1))

    async def failing(self: Jobs, job: Job, state: JobState, **changes: object) -> Job:
        if state is S.DELIVERED and next(refusals, None) is not None:
            raise StoreError("database is locked")
        return await move(self, job, state, **changes)

    monkeypatch.setattr(Jobs, "move", failing)
    await hall.runner.start()
    assert (await eventually(hall.ended)).state is S.DELIVERED
    assert hall.box.announced == [1]


@pytest.mark.parametrize("state", [S.RUNNING, S.DOWNLOADING, S.DELIVERING])
async def test_a_job_found_after_a_crash_takes_the_same_path(hall: Hall, state: JobState) -> None:
    job = await in_state(hall, state)
    assert (await hall.engine.drive(job)).state is S.DELIVERED
    assert hall.provider.submitted == []
    assert hall.box.attached == [(1, 1001)]


async def test_a_row_that_was_asked_for_and_not_answered_is_never_submitted_again(hall: Hall) -> None:
    asked = await hall.store.jobs.ask(await in_state(hall, S.SUBMITTING), at=hall.clock.now())
    job = await hall.engine.drive(asked)
    assert (job.state, job.failure, job.charged) == (S.FAILED, Failure.OUTCOME_UNKNOWN, 0)
    assert hall.provider.submitted == []


async def test_a_row_that_was_not_asked_for_goes_on(hall: Hall) -> None:
    assert (await hall.engine.drive(await in_state(hall, S.SUBMITTING))).state is S.DELIVERED
    assert hall.provider.submitted == ["p1"]


async def test_what_costs_nothing_is_asked_for_again(hall: Hall) -> None:
    hall.provider.terms = Terms(is_free=True)
    asked = await hall.store.jobs.ask(await in_state(hall, S.SUBMITTING), at=hall.clock.now())
    assert (await hall.engine.drive(asked)).state is S.QUEUED
    hall.provider.submits.append(Uncertain("cut"))
    again = await hall.drive(await hall.promoted(2))
    assert (again.state, again.asked_at, again.charged) == (S.QUEUED, None, 1)


async def test_that_the_vendor_is_asked_is_committed_before(hall: Hall) -> None:
    hall.provider.gate.clear()
    drive = asyncio.ensure_future(hall.drive(await hall.promoted()))
    await eventually(lambda: hall.provider.submitted)
    job = await hall.job()
    assert job.state is S.SUBMITTING
    assert job.asked_at is not None
    hall.provider.gate.set()
    assert (await drive).state is S.DELIVERED


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (Unauthorized("401"), Failure.UNAUTHORIZED),
        (OutOfFunds("402"), Failure.OUT_OF_FUNDS),
        (InvalidRequest("400"), Failure.REJECTED),
        (Forbidden("403"), Failure.FORBIDDEN),
        (NotFound("404"), Failure.MODEL_GONE),
        (Uncertain("500"), Failure.OUTCOME_UNKNOWN),
        (TimeoutError(), Failure.OUTCOME_UNKNOWN),
    ],
)
async def test_a_submit_that_fails_ends_the_job_and_gives_the_credit_back(
    hall: Hall, error: Exception, failure: Failure
) -> None:
    hall.provider.submits.append(error)
    job = await hall.drive(await hall.promoted())
    assert (job.state, job.failure, job.charged) == (S.FAILED, failure, 0)
    assert len(hall.provider.submitted) == 1


@pytest.mark.parametrize("error", [Overloaded("503", retry_after=30), Unreachable("refused")])
async def test_a_definite_not_now_sends_the_job_back_to_the_queue(hall: Hall, error: Exception) -> None:
    hall.provider.submits.append(error)
    job = await hall.drive(await hall.promoted())
    assert (job.state, job.asked_at, job.charged) == (S.QUEUED, None, 1)
    wait = job.not_before - job.created_at
    assert wait >= timedelta(seconds=30 if isinstance(error, Overloaded) else 5)


async def test_no_vendor_keeps_a_job_in_the_queue_for_longer_than_two_hours(hall: Hall) -> None:
    hall.provider.submits.append(Overloaded("429", retry_after=1e15))
    job = await hall.drive(await hall.promoted())
    assert job.state is S.QUEUED
    assert job.not_before - hall.clock.now() <= timedelta(hours=2)


async def test_no_vendor_puts_off_the_last_look_beyond_the_deadline(make_hall: Make) -> None:
    hall = await make_hall()
    hall.provider.polls.append(Overloaded("429", retry_after=1e15))
    job = await hall.engine.drive(await in_state(hall, S.RUNNING))
    assert (job.state, hall.provider.looks) == (S.DELIVERED, 2)
    assert job.state_at - job.created_at < timedelta(minutes=30)


async def test_what_a_submit_tells_of_its_provider_is_remembered(hall: Hall) -> None:
    catalogue = hall.engine._catalogue
    hall.provider.submits.append(OutOfFunds("402"))
    await hall.drive(await hall.promoted(1))
    assert catalogue._keys.is_suspected("scripted")
    assert catalogue.health["scripted"].is_available(hall.clock.now()), "until its key is known not to work"


async def test_a_submit_without_its_picture_is_not_made(hall: Hall) -> None:
    job = await hall.promoted()
    await hall.files.clear(1)
    assert (await hall.drive(job)).failure is Failure.IMAGE_LOST
    assert hall.provider.submitted == []


async def test_an_operation_is_stored_however_long_the_database_takes(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await hall.promoted()
    move, refusals = Jobs.move, iter(range(3))

    async def failing(self: Jobs, job: Job, state: JobState, **changes: object) -> Job:
        if state is S.RUNNING and next(refusals, None) is not None:
            raise StoreError("the disk is full")
        return await move(self, job, state, **changes)

    monkeypatch.setattr(Jobs, "move", failing)
    job = await hall.drive(job)
    assert job.state is S.DELIVERED
    assert len(hall.provider.submitted) == 1


async def test_a_look_that_finds_nothing_new_writes_nothing(hall: Hall) -> None:
    job = await in_state(hall, S.RUNNING)
    hall.provider.polls.extend([Pending()] * 5)
    drive = asyncio.ensure_future(hall.engine.drive(job))
    await eventually(lambda: hall.provider.looks >= 3)
    assert await hall.job() == job
    assert (await drive).state is S.DELIVERED


async def test_progress_reaches_the_card(hall: Hall) -> None:
    hall.provider.polls.extend([Pending(progress=0.25), Pending(progress=0.25), Pending(progress=0.5)])
    await hall.engine.drive(await in_state(hall, S.RUNNING))
    shown = [card.progress for card in hall.box.cards if card.progress is not None]
    assert shown == [0.25, 0.5], "what has not changed is not shown again"


@pytest.mark.parametrize(
    "error", [Uncertain("cut"), Overloaded("429", retry_after=5), Unreachable("dns"), Unauthorized("401")]
)
async def test_an_outage_moves_the_next_look_and_ends_nothing(hall: Hall, error: Exception) -> None:
    hall.provider.polls.extend([error] * 4)
    assert (await hall.engine.drive(await in_state(hall, S.RUNNING))).state is S.DELIVERED


async def test_an_unknown_operation_is_believed_only_when_said_again_and_again(hall: Hall) -> None:
    hall.provider.polls.extend([NotFound("404"), NotFound("404"), Pending()])
    assert (await hall.engine.drive(await in_state(hall, S.RUNNING))).state is S.DELIVERED


async def test_an_operation_may_be_unknown_for_the_first_minute(make_hall: Make) -> None:
    hall = await make_hall()
    hall.provider.polls.extend([NotFound("404")] * UNKNOWN_ANSWERS)
    assert (await hall.engine.drive(await in_state(hall, S.RUNNING))).state is S.DELIVERED


async def test_an_unknown_operation_ends_the_job_in_the_end(hall: Hall) -> None:
    hall.provider.polls.extend([NotFound("404")] * 100)
    job = await hall.engine.drive(await in_state(hall, S.RUNNING))
    assert (job.failure, job.charged) == (Failure.LOST, 0)


BROKEN = Uncertain("500", status=500)


@pytest.mark.parametrize(("between", "end"), [([], S.FAILED), ([Pending()], S.DELIVERED)])
async def test_where_500_means_a_failed_video_it_is_believed_when_nothing_else_is_said_for_long(
    make_hall: Make, between: list[Any], end: JobState
) -> None:
    hall = await make_hall()
    hall.provider.terms = Terms(hopeless_after=100)
    hall.provider.polls.extend([*[BROKEN] * 6, *between, *[BROKEN] * 4])
    job = await hall.engine.drive(await in_state(hall, S.RUNNING))
    assert job.state is end
    assert job.failure is (Failure.LOST if end is S.FAILED else None)


async def test_our_own_limits_do_not_end_a_row_of_500(make_hall: Make) -> None:
    hall = await make_hall()
    hall.provider.terms = Terms(hopeless_after=100)
    hall.provider.polls.extend([BROKEN, Overloaded("our own limit")] * 8)
    assert (await hall.engine.drive(await in_state(hall, S.RUNNING))).failure is Failure.LOST


CUT = Uncertain("cut")


@pytest.mark.parametrize(
    "answers", [[BROKEN, *[CUT] * 4, BROKEN], [CUT] * 6, [Uncertain("502", status=502)] * 6]
)
async def test_only_a_row_of_nothing_but_500_means_a_failed_video(
    make_hall: Make, answers: list[Exception]
) -> None:
    hall = await make_hall()
    hall.provider.terms = Terms(hopeless_after=30)
    hall.provider.polls.extend(answers)
    assert (await hall.engine.drive(await in_state(hall, S.RUNNING))).state is S.DELIVERED


@pytest.mark.parametrize(
    "answers",
    [[BROKEN] * OUTAGES_UNTIL_REST, [*[CUT] * (OUTAGES_UNTIL_REST - 1), Pending(), CUT]],
    ids=["500 for one video alone", "an answer in between"],
)
async def test_one_video_that_cannot_be_looked_at_leaves_its_provider_fit(
    make_hall: Make, answers: list[Any]
) -> None:
    hall = await make_hall()
    hall.provider.polls.extend(answers)
    await hall.engine.drive(await in_state(hall, S.RUNNING))
    assert hall.engine._catalogue.health["scripted"].rest_count == 0


@pytest.mark.parametrize(
    ("verdict", "cleaned"),
    [
        (Failed(detail="no luck"), 1),
        (Failed(detail="no", refused=True), 1),
        (NotFound("404"), 0),
        (Pending(), 0),
    ],
)
async def test_a_vendor_forgets_what_it_has_given_up_itself_and_not_what_we_have(
    make_hall: Make, verdict: Any, cleaned: int
) -> None:
    hall = await make_hall()
    hall.provider.polls.extend([verdict] * 10_000)
    assert (await hall.engine.drive(await in_state(hall, S.RUNNING))).state is S.FAILED
    assert len(hall.provider.cleaned) == cleaned
    assert len(hall.provider.cancelled) == 1 - cleaned, "what nobody waits for is stopped, where it can be"


async def test_a_cancel_while_an_order_waits_for_the_rate_limit_is_never_sent(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = asyncio.Event()

    @asynccontextmanager
    async def wait() -> AsyncIterator[None]:
        await free.wait()
        yield

    monkeypatch.setattr(hall.provider, "rate_limit", wait)
    job = await hall.promoted()
    drive = asyncio.ensure_future(hall.drive(job))
    await hall.engine.cancel(job, user_id=7)
    free.set()
    assert (await drive).state is S.CANCELLED
    assert hall.provider.submitted == []


async def test_a_stop_while_an_order_waits_for_the_rate_limit_leaves_it_in_the_queue(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def stopped_meanwhile() -> AsyncIterator[None]:
        hall.engine.stopping.set()
        yield

    monkeypatch.setattr(hall.provider, "rate_limit", stopped_meanwhile)
    assert (await hall.drive(await hall.promoted())).state is S.QUEUED
    assert hall.provider.submitted == []


async def test_what_was_cancelled_while_it_was_sent_still_takes_a_place(hall: Hall) -> None:
    hall.provider.gate.clear()
    job = await hall.promoted(1)
    drive = asyncio.ensure_future(hall.drive(job))
    await eventually(lambda: hall.provider.submitted)
    await hall.engine.cancel(job, user_id=7)
    await hall.book(2)
    one = Caps(9, 9, {"scripted": 1})
    assert await hall.store.jobs.promote(one) is None
    hall.provider.gate.set()
    await drive


async def test_a_model_that_has_left_the_list_ends_its_jobs(hall: Hall) -> None:
    job = await hall.promoted()
    hall.engine._catalogue._specs["scripted"] = [ModelSpec(id="n", name="N", mode=Mode.IMAGE_TO_VIDEO)]
    assert (await hall.drive(job)).failure is Failure.MODEL_GONE


async def test_without_any_list_a_job_waits(hall: Hall) -> None:
    job = await hall.promoted()
    hall.engine._catalogue._specs.clear()
    assert (await hall.drive(job)).state is S.QUEUED


async def test_the_vendors_own_estimate_is_shown_and_not_to_the_second(hall: Hall) -> None:
    hall.provider.polls.append(Pending(remaining_seconds=80))
    await hall.engine.drive(await in_state(hall, S.RUNNING))
    [promised] = {card.expected_at for card in hall.box.cards if card.promised_at is not None}
    assert promised is not None
    assert promised.second % 15 == 0
    began = min(card.job.submitted_at or card.job.created_at for card in hall.box.cards)
    assert timedelta(seconds=80) <= promised - began < timedelta(minutes=5)


ADVICE = Advice(suggested_prompt="a calm sea")


@pytest.mark.parametrize("refused", [True, False])
async def test_the_vendors_advice_comes_with_its_verdict(hall: Hall, *, refused: bool) -> None:
    hall.provider.polls.append(Failed(detail="no", refused=refused, advice=ADVICE))
    job = await hall.drive(await hall.promoted())
    assert (job.failure, job.advice) == (Failure.REFUSED if refused else Failure.PROVIDER_FAILED, ADVICE)


@pytest.mark.parametrize("advice", [ADVICE, NO_ADVICE])
async def test_the_vendors_advice_comes_with_its_no(hall: Hall, advice: Advice) -> None:
    hall.provider.submits.append(InvalidRequest("400", advice=advice))
    job = await hall.drive(await hall.promoted())
    assert (job.failure, job.advice) == (Failure.REJECTED, advice if advice is ADVICE else None)


async def test_a_job_waits_the_longer_the_older_it_is(hall: Hall) -> None:
    hall.provider.submits.append(Unreachable("dns"))
    asked = hall.clock.now()
    job = await hall.drive(await hall.promoted(created_at=asked - timedelta(seconds=200)))
    assert timedelta(seconds=55) <= job.not_before - asked


@pytest.mark.parametrize(("said", "cost"), [(None, 50), (70, 70), (0, 0)])
async def test_what_a_video_has_cost_takes_the_place_of_what_was_reserved(
    hall: Hall, said: int | None, cost: int
) -> None:
    hall.provider.polls.append(Succeeded(cost_micros=said))
    job = await hall.drive(await hall.promoted(quoted_micros=50, cost_micros=50))
    assert (job.state, job.cost_micros) == (S.DELIVERED, cost)


async def test_a_video_that_is_over_takes_no_share_of_the_looks(hall: Hall) -> None:
    hall.provider.polls.append(Failed(detail="no luck"))
    await hall.drive(await hall.promoted(1))
    await hall.drive(await hall.promoted(2))
    assert hall.engine._context.polled["scripted"] == 0


async def test_a_verdict_ends_the_job(hall: Hall) -> None:
    hall.provider.polls.append(Failed(detail="no luck"))
    job = await hall.engine.drive(await in_state(hall, S.RUNNING))
    assert (job.state, job.failure, job.detail, job.charged) == (
        S.FAILED,
        Failure.PROVIDER_FAILED,
        "no luck",
        0,
    )


async def test_past_its_deadline_a_job_is_timed_out(hall: Hall) -> None:
    hall.provider.polls.extend([Pending()] * 10_000)
    job = await hall.engine.drive(await in_state(hall, S.RUNNING))
    assert (job.failure, job.charged) == (Failure.TIMED_OUT, 0)
    assert job.state_at - (job.submitted_at or job.state_at) >= timedelta(seconds=300)


async def test_a_job_found_long_after_its_deadline_is_looked_at_before_it_is_given_up(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await in_state(hall, S.RUNNING)
    hall.clock.pass_by(timedelta(days=2))
    assert (await hall.engine.drive(job)).state is S.DELIVERED


@pytest.mark.parametrize("given", [b"<html>", Unusable("text"), NotFound("404")])
async def test_a_download_is_repeated_before_it_is_judged(hall: Hall, given: Exception | bytes) -> None:
    hall.provider.downloads.extend([given] * 2)
    assert (await hall.engine.drive(await in_state(hall, S.DOWNLOADING))).state is S.DELIVERED


@pytest.mark.parametrize(
    "given",
    [[b"<html>"] * BAD_DOWNLOADS, [Overloaded("429", retry_after=200), b"<html>"]],
    ids=["soon", "once"],
)
async def test_what_is_no_video_is_believed_neither_soon_nor_at_once(
    make_hall: Make, given: list[Exception | bytes]
) -> None:
    hall = await make_hall()
    hall.provider.downloads.extend(given)
    assert (await hall.engine.drive(await in_state(hall, S.DOWNLOADING))).state is S.DELIVERED


async def test_what_is_never_a_video_is_a_provider_failure(make_hall: Make) -> None:
    hall = await make_hall()
    hall.provider.downloads.extend([b"<html>"] * 20)
    job = await hall.engine.drive(await in_state(hall, S.DOWNLOADING))
    assert (job.failure, job.charged) == (Failure.BAD_VIDEO, 0)
    assert len(hall.provider.downloads) <= 15
    assert hall.provider.cleaned == [], "the vendor still has what never arrived here whole"
    assert hall.box.announced == []


async def test_a_download_is_repeated_when_the_vendor_wants_it(make_hall: Make) -> None:
    hall = await make_hall()
    hall.provider.downloads.append(Overloaded("429", retry_after=200))
    job = await in_state(hall, S.DOWNLOADING)
    asked = hall.clock.now()
    await hall.engine.drive(job)
    assert hall.clock.now() - asked >= timedelta(seconds=200)


async def test_a_delivery_is_repeated_through_an_outage_without_a_second_message(hall: Hall) -> None:
    hall.box.faults.extend([Undelivered("502")] * 3)
    job = await hall.engine.drive(await in_state(hall, S.DELIVERING))
    assert job.state is S.DELIVERED
    assert hall.box.announced == [1]


async def test_a_stored_message_is_used_again(hall: Hall) -> None:
    job = await in_state(hall, S.DELIVERING)
    job = await hall.store.jobs.move(job, S.DELIVERING, message_id=55)
    await hall.engine.drive(job)
    assert hall.box.announced == []
    assert hall.box.attached == [(1, 55)]


@pytest.mark.parametrize(
    ("error", "failure"),
    [(TooLarge("30 MB"), Failure.TOO_LARGE), (Undeliverable("403"), Failure.UNDELIVERABLE)],
)
async def test_what_discord_does_not_take_is_not_charged_and_kept(
    hall: Hall, error: Exception, failure: Failure
) -> None:
    hall.files.kept_for = timedelta()
    job = await in_state(hall, S.DOWNLOADING)
    hall.box.faults.extend([error] * 9)
    job = await hall.engine.drive(job)
    assert (job.state, job.failure, job.charged) == (S.FAILED, failure, 0)
    assert hall.files.video(1).exists()
    assert await hall.files.complete(1, job.request) is None, "what was attached is gone"


@pytest.mark.parametrize(
    ("given", "failure"), [(b"<html>", Failure.BAD_VIDEO), (Uncertain("cut"), Failure.LOST)]
)
async def test_a_file_that_is_gone_and_does_not_come_again_is_no_fault_of_the_channel(
    hall: Hall, given: Exception | bytes, failure: Failure
) -> None:
    job = await in_state(hall, S.DELIVERING)
    hall.provider.downloads.extend([given] * 10_000)
    job = await hall.engine.drive(job)
    assert (job.failure, job.charged) == (failure, 0)


async def test_delivery_is_bounded_too(hall: Hall) -> None:
    hall.box.faults.extend([Undelivered("502")] * 10_000)
    job = await hall.engine.drive(await in_state(hall, S.DELIVERING))
    assert (job.failure, job.charged) == (Failure.UNDELIVERABLE, 0)


async def test_a_cancel_beats_a_poll_in_flight(hall: Hall) -> None:
    job = await in_state(hall, S.RUNNING)
    hall.provider.polls.extend([Pending()] * 10_000)
    drive = asyncio.ensure_future(hall.engine.drive(job))
    await eventually(lambda: hall.provider.looks >= 1)
    cancelled = await hall.engine.cancel(job, user_id=7)
    looks = hall.provider.looks
    assert (await drive).state is S.CANCELLED
    assert cancelled.charged == 0
    assert hall.provider.cancelled == [{"handle": "p1"}]
    assert hall.provider.looks <= looks + 1, "the vendor is not asked any longer"


async def test_a_vendor_that_cannot_be_told_to_stop_is_no_obstacle_to_a_cancel(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def out_of_reach(_: Operation) -> None:
        raise Unreachable("dns")

    monkeypatch.setattr(hall.provider, "cancel", out_of_reach)
    await hall.engine.cancel(await in_state(hall, S.RUNNING), user_id=7)
    assert hall.box.states(1)[-1] is S.CANCELLED


async def test_an_older_card_never_hides_a_cancel_during_a_look(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await in_state(hall, S.RUNNING)

    async def look(_: Operation) -> Pending:
        await hall.engine.cancel(await hall.job(), user_id=7)
        return Pending(progress=0.5)

    monkeypatch.setattr(hall.provider, "poll", look)
    assert (await hall.engine.drive(job)).state is S.CANCELLED
    assert hall.box.states(1)[-1] is S.CANCELLED


async def test_a_cancel_while_the_vendor_is_accepting_tells_the_vendor_afterwards(hall: Hall) -> None:
    hall.provider.gate.clear()
    job = await hall.promoted()
    drive = asyncio.ensure_future(hall.drive(job))
    await eventually(lambda: hall.provider.submitted)
    await hall.engine.cancel(job, user_id=7)
    hall.provider.gate.set()
    assert (await drive).state is S.CANCELLED
    assert hall.provider.cancelled == [{"handle": "p1"}]


async def test_a_job_that_got_on_cannot_be_cancelled_as_what_it_was(hall: Hall) -> None:
    job = await in_state(hall, S.RUNNING)
    await hall.drive(await hall.job())
    with pytest.raises(Moved):
        await hall.engine.cancel(job, user_id=7)


async def test_a_provider_that_is_gone_ends_its_jobs(hall: Hall) -> None:
    job = await in_state(hall, S.RUNNING)
    hall.engine._catalogue.providers.clear()
    job = await hall.engine.drive(job)
    assert (job.failure, job.charged) == (Failure.NO_PROVIDER, 0)


async def test_what_was_measured_becomes_the_estimate(hall: Hall) -> None:
    for number in range(1, 4):
        await hall.drive(await hall.promoted(number))
    await hall.book(9)
    await hall.engine.show(await hall.job(9))
    measured = await hall.store.jobs.durations("scripted", "m")
    assert hall.box.cards[-1].typical_seconds == median(measured)


async def test_a_job_from_the_future_is_not_sent_again_at_once(hall: Hall) -> None:
    hall.provider.submits.append(Overloaded("503", status=503))
    ahead = hall.clock.now() + timedelta(hours=1)  # the clock was put back since
    job = await hall.drive(await hall.promoted(created_at=ahead, state_at=ahead, not_before=ahead))
    assert job.not_before >= hall.clock.now() + timedelta(seconds=4)


async def test_a_vendor_that_cannot_be_told_is_no_reason_not_to_tell_the_member(hall: Hall) -> None:
    async def broken(operation: Operation) -> None:
        raise KeyError("a bug")

    job = await in_state(hall, S.RUNNING)
    hall.provider.cancel = hall.provider.cleanup = broken  # type: ignore[method-assign] # the test's own
    assert (await hall.engine.cancel(job, user_id=7)).state is S.CANCELLED
    assert hall.box.states(1)[-1] is S.CANCELLED
    assert await hall.files.complete(1, job.request) is None
