import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.jobs import OPEN, UNDER_WAY, Failure, Job, JobState
from bot.store import Store
from bot.store.db import StoreError
from bot.store.jobs import Jobs, Moved
from bot.store.queue import Caps
from providers.base import Succeeded
from providers.specs import VideoRequest
from tests.bot.store.conftest import NOON, StillClock, new_job

Book = Callable[..., Any]
Used = Callable[..., Awaitable[int]]
Another = Callable[[], Awaitable[Store]]


def caps(member: int = 99, server: int = 99, **providers: int | None) -> Caps:
    return Caps(member, server, providers or {"eigenai": None})


async def promoted(jobs: Jobs, limits: Caps) -> list[int]:
    """The ids of all that can be promoted, in their order."""
    ids: list[int] = []
    while job := await jobs.promote(limits):
        ids.append(job.id)
    return ids


async def test_a_move_changes_the_state_and_what_goes_with_it(
    jobs: Jobs, book: Book, clock: StillClock
) -> None:
    submitting = await book(1, JobState.SUBMITTING)
    clock.time += timedelta(seconds=90)
    moved = await jobs.move(
        submitting, JobState.RUNNING, operation={"task": "é", "n": [1, None]}, submitted_at=clock.time
    )
    assert moved == replace(
        submitting,
        state=JobState.RUNNING,
        state_at=clock.time,
        operation={"task": "é", "n": [1, None]},
        submitted_at=clock.time,
    )
    assert await jobs.get(1) == moved


async def test_everything_a_job_can_hold_comes_back_as_it_was(jobs: Jobs, book: Book) -> None:
    running = await book(1, JobState.RUNNING)
    ready = NOON.replace(microsecond=1)
    job = await jobs.move(
        running, JobState.DOWNLOADING, video=Succeeded(url="https://host/a?b"), ready_at=ready
    )
    assert (job.video, job.ready_at) == (Succeeded(url="https://host/a?b"), ready)
    job = await jobs.move(job, JobState.DELIVERING)
    job = await jobs.move(job, JobState.DELIVERING, message_id=2**63 - 1)
    job = await jobs.move(job, JobState.FAILED, failure=Failure.TOO_LARGE, detail="413", ended_by=7)
    assert (job.message_id, job.failure, job.detail, job.ended_by) == (
        2**63 - 1,
        Failure.TOO_LARGE,
        "413",
        7,
    )
    assert await jobs.get(1) == job


async def test_whatever_a_vendor_says_can_be_stored(jobs: Jobs, book: Book) -> None:
    failed = await jobs.move(
        await book(1), JobState.FAILED, failure=Failure.REJECTED, detail="a\0b \ud800 🎬"
    )
    assert failed.detail == "a\N{REPLACEMENT CHARACTER}b ? 🎬"


async def test_only_what_has_a_column_can_be_stored(jobs: Jobs, book: Book) -> None:
    with pytest.raises(TypeError, match="no column takes a float"):
        await jobs.move(await book(1), JobState.FAILED, detail=1.5)
    assert (await jobs.get(1)).state is JobState.QUEUED


async def test_recording_the_message_does_not_renew_the_time_limit(
    jobs: Jobs, book: Book, clock: StillClock
) -> None:
    delivering = await book(1, JobState.DELIVERING)
    clock.time += timedelta(minutes=5)
    assert (await jobs.move(delivering, JobState.DELIVERING, message_id=5)).state_at == NOON


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.DOWNLOADING, JobState.DELIVERED])
async def test_a_move_that_does_not_exist_is_a_mistake_of_the_program(
    jobs: Jobs, book: Book, state: JobState
) -> None:
    job = await book(1)
    with pytest.raises(ValueError, match=f"from queued to {state}"):
        await jobs.move(job, state)
    assert await jobs.get(1) == job


async def test_who_moves_a_job_from_a_state_it_has_left_does_nothing(jobs: Jobs, book: Book) -> None:
    queued = await book(1)
    cancelled = await jobs.move(queued, JobState.CANCELLED, ended_by=30)
    with pytest.raises(Moved):
        await jobs.move(queued, JobState.SUBMITTING)
    assert await jobs.get(1) == cancelled


async def test_a_job_that_is_not_there_cannot_be_moved(jobs: Jobs) -> None:
    with pytest.raises(Moved):
        await jobs.move(new_job(404), JobState.FAILED)
    assert await jobs.get(404) is None


async def test_of_many_moves_at_once_one_wins(jobs: Jobs, book: Book) -> None:
    running = await book(1, JobState.RUNNING)
    states = [JobState.CANCELLED, JobState.FAILED, JobState.DOWNLOADING] * 7
    outcomes = await asyncio.gather(*(jobs.move(running, state) for state in states), return_exceptions=True)
    [winner] = [outcome for outcome in outcomes if isinstance(outcome, Job)]
    assert sum(isinstance(outcome, Moved) for outcome in outcomes) == len(states) - 1
    assert await jobs.get(1) == winner


@pytest.mark.usefixtures("in_threads")
async def test_of_two_programs_on_one_database_one_wins(jobs: Jobs, book: Book, another: Another) -> None:
    other = await another()
    running = await book(1, JobState.RUNNING)
    outcomes = await asyncio.gather(
        *(where.move(running, JobState.DOWNLOADING) for where in (jobs, other.jobs) * 5),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Job) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Moved) for outcome in outcomes) == 9


async def test_a_move_whose_answer_was_lost_finds_itself_when_it_is_made_again(
    jobs: Jobs, book: Book, clock: StillClock
) -> None:
    running, at = await book(1, JobState.RUNNING), clock.now()
    made = await jobs.move(running, JobState.DOWNLOADING, at=at, ready_at=at)
    clock.time += timedelta(seconds=1)
    assert await jobs.move(running, JobState.DOWNLOADING, at=at, again=True, ready_at=at) == made
    with pytest.raises(Moved):
        await jobs.move(running, JobState.DOWNLOADING, at=clock.now(), again=True, ready_at=at)


async def test_a_move_made_again_is_not_taken_for_that_of_somebody_else(
    jobs: Jobs, book: Book, clock: StillClock
) -> None:
    running, at = await book(1, JobState.RUNNING), clock.now()
    await jobs.move(running, JobState.CANCELLED, at=at, ended_by=5)
    with pytest.raises(Moved):
        await jobs.move(running, JobState.CANCELLED, at=at, again=True, ended_by=6)


async def test_the_right_to_ask_the_vendor_is_taken_once(jobs: Jobs, book: Book, clock: StillClock) -> None:
    job, at = await book(1, JobState.SUBMITTING, asked=False), clock.now()
    asked = await jobs.ask(job, at=at)
    assert asked.asked_at == at
    with pytest.raises(Moved):
        await jobs.ask(job, at=at)
    assert await jobs.ask(job, at=at, again=True) == asked
    with pytest.raises(Moved):
        await jobs.ask(job, at=at + timedelta(microseconds=1), again=True)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.CANCELLED, JobState.RUNNING])
async def test_only_what_is_being_submitted_may_be_asked_for(
    jobs: Jobs, book: Book, clock: StillClock, state: JobState
) -> None:
    job = await book(1, JobState.SUBMITTING, asked=False)
    await jobs.move(job, state)
    with pytest.raises(Moved):
        await jobs.ask(job, at=clock.now())


async def test_a_clock_that_was_put_back_keeps_no_job_waiting(
    jobs: Jobs, book: Book, clock: StillClock
) -> None:
    job = await book(1, JobState.SUBMITTING)
    await jobs.move(job, JobState.QUEUED, asked_at=None, not_before=clock.now() + timedelta(seconds=60))
    assert await promoted(jobs, caps()) == []
    clock.time -= timedelta(hours=1)
    assert await promoted(jobs, caps()) == [1]


async def test_times_that_a_changed_clock_has_made_teach_nothing(
    jobs: Jobs, book: Book, clock: StillClock
) -> None:
    running = await book(1, JobState.RUNNING)
    await jobs.move(running, JobState.DOWNLOADING, ready_at=clock.now() - timedelta(hours=1))
    assert await jobs.durations("eigenai", "wan") == []


@pytest.mark.parametrize("end", [JobState.FAILED, JobState.CANCELLED])
async def test_ending_without_a_video_gives_the_reservation_back_once(
    jobs: Jobs, book: Book, used: Used, end: JobState
) -> None:
    await book(1, price=2)
    job = await book(2, price=3)
    released = await jobs.move(job, end)
    assert (released.price, released.charged) == (3, 0)
    with pytest.raises(Moved):
        await jobs.move(job, end)
    assert await used() == 2


async def test_the_job_is_never_seen_ended_and_still_charged(jobs: Jobs, book: Book) -> None:
    job = await book(1)

    async def watch() -> None:
        while (seen := await jobs.get(1)).state.is_open:
            assert seen.charged == 1
        assert seen.charged == 0

    await asyncio.gather(watch(), jobs.move(job, JobState.FAILED))


async def test_a_delivered_video_stays_charged(book: Book, used: Used) -> None:
    assert (await book(1, JobState.DELIVERED, price=3)).charged == 3
    assert await used() == 3


async def test_being_sent_back_to_the_queue_keeps_the_reservation(jobs: Jobs, book: Book) -> None:
    submitting = await book(1, JobState.SUBMITTING)
    later = NOON + timedelta(minutes=1)
    queued = await jobs.move(submitting, JobState.QUEUED, not_before=later)
    assert (queued.charged, queued.not_before) == (1, later)


async def test_nothing_is_promoted_from_an_empty_queue(jobs: Jobs) -> None:
    assert await jobs.promote(caps()) is None


async def test_what_is_promoted_is_submitting_since_now(jobs: Jobs, book: Book, clock: StillClock) -> None:
    await book(1)
    clock.time += timedelta(seconds=5)
    job = await jobs.promote(caps())
    assert (job.state, job.state_at) == (JobState.SUBMITTING, clock.time)
    assert await jobs.get(1) == job


async def test_equals_are_promoted_by_age_and_then_by_id(jobs: Jobs, book: Book) -> None:
    await book(3, after=0, user_id=3)
    await book(2, after=0, user_id=2)
    await book(1, after=1, user_id=1)
    assert await promoted(jobs, caps()) == [2, 3, 1]


async def test_the_member_with_the_fewest_jobs_under_way_comes_first(jobs: Jobs, book: Book) -> None:
    for number in (1, 2, 3):
        await book(number, user_id=1, after=number)
    await book(4, user_id=2, after=10)
    assert [job.id for job in await jobs.queue()] == [1, 2, 3, 4]
    assert await promoted(jobs, caps()) == [1, 4, 2, 3]


async def test_jobs_in_other_servers_count_for_a_members_turn(jobs: Jobs, book: Book) -> None:
    await book(1, JobState.RUNNING, user_id=1, guild_id=77)
    await book(2, user_id=1, after=1)
    await book(3, user_id=2, after=2)
    assert await promoted(jobs, caps()) == [3, 2]


async def test_among_equal_members_the_server_with_the_fewest_jobs_comes_first(
    jobs: Jobs, book: Book
) -> None:
    await book(1, JobState.DELIVERING, user_id=1, guild_id=1)
    await book(2, user_id=2, guild_id=1, after=1)
    await book(3, user_id=3, guild_id=2, after=2)
    assert await promoted(jobs, caps()) == [3, 2]


@pytest.mark.parametrize("state", sorted(UNDER_WAY))
async def test_the_caps_of_member_and_server_count_every_job_under_way(
    jobs: Jobs, book: Book, state: JobState
) -> None:
    await book(1, state)
    await book(2)
    assert await jobs.promote(caps(member=1)) is None
    assert await jobs.promote(caps(server=1)) is None
    assert (await jobs.promote(caps(member=2, server=2))).id == 2


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.DELIVERED, JobState.FAILED, JobState.CANCELLED])
async def test_jobs_that_wait_or_are_over_take_no_place(jobs: Jobs, book: Book, state: JobState) -> None:
    await book(1, state)
    await book(2)
    assert await jobs.promote(caps(member=1, server=1, eigenai=1)) is not None


@pytest.mark.parametrize(
    ("state", "free"),
    [
        (JobState.SUBMITTING, False),
        (JobState.RUNNING, False),
        (JobState.DOWNLOADING, True),
        (JobState.DELIVERING, True),
    ],
)
async def test_a_providers_place_is_free_once_it_has_finished(
    jobs: Jobs, book: Book, state: JobState, *, free: bool
) -> None:
    await book(1, state, user_id=1, guild_id=1)
    await book(2)
    assert (await jobs.promote(caps(eigenai=1)) is not None) is free


ONE_PLACE = Caps(99, 99, {"eigenai": 1})


@pytest.mark.parametrize(
    ("state", "end", "failure"),
    [
        (JobState.RUNNING, JobState.CANCELLED, None),
        (JobState.RUNNING, JobState.FAILED, Failure.TIMED_OUT),
        (JobState.SUBMITTING, JobState.FAILED, Failure.OUTCOME_UNKNOWN),
    ],
)
async def test_what_is_over_here_and_not_at_its_provider_holds_its_place(
    jobs: Jobs, book: Book, clock: StillClock, state: JobState, end: JobState, failure: Failure | None
) -> None:
    until = clock.now() + timedelta(minutes=5)
    await jobs.move(await book(1, state), end, failure=failure, held_until=until)
    await book(2)
    clock.time = until - timedelta(seconds=1)
    assert await jobs.promote(ONE_PLACE) is None
    assert (await jobs.queue())[0].id == 2
    clock.time = until
    assert (await jobs.promote(ONE_PLACE)).id == 2


async def test_a_clock_that_was_put_back_holds_no_place(jobs: Jobs, book: Book, clock: StillClock) -> None:
    held = await book(1, JobState.RUNNING)
    await jobs.move(held, JobState.CANCELLED, held_until=clock.now() + timedelta(minutes=5))
    await book(2)
    clock.time -= timedelta(days=2)
    assert await jobs.promote(ONE_PLACE) is not None


async def test_what_was_never_sent_holds_no_place(jobs: Jobs, book: Book, clock: StillClock) -> None:
    job = await book(1, JobState.SUBMITTING, asked=False)
    await jobs.move(job, JobState.CANCELLED, held_until=clock.now() + timedelta(minutes=5))
    await book(2)
    assert await jobs.promote(ONE_PLACE) is not None


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.DOWNLOADING, JobState.DELIVERING])
async def test_what_waits_for_somebody_out_of_reach_counts_in_no_cap(
    jobs: Jobs, book: Book, clock: StillClock, state: JobState
) -> None:
    job = await book(1, state)
    await book(2)
    one = caps(1, 1, eigenai=1)
    assert await jobs.promote(one) is None
    await jobs.move(job, state, overdue_at=clock.now())
    assert (await jobs.promote(one)).id == 2


@pytest.mark.parametrize(
    ("state", "end", "failure"),
    [
        (JobState.QUEUED, JobState.CANCELLED, None),
        (JobState.QUEUED, JobState.FAILED, Failure.TIMED_OUT),
        (JobState.SUBMITTING, JobState.FAILED, Failure.REJECTED),
        (JobState.RUNNING, JobState.FAILED, Failure.PROVIDER_FAILED),
        (JobState.DOWNLOADING, JobState.CANCELLED, None),
        (JobState.DOWNLOADING, JobState.FAILED, Failure.TIMED_OUT),
    ],
)
async def test_what_never_ran_or_has_finished_holds_no_place(
    jobs: Jobs, book: Book, state: JobState, end: JobState, failure: Failure | None
) -> None:
    await jobs.move(await book(1, state), end, failure=failure)
    await book(2)
    assert await jobs.promote(ONE_PLACE) is not None


async def test_a_full_provider_does_not_hold_up_the_others(jobs: Jobs, book: Book) -> None:
    await book(1, JobState.RUNNING, user_id=1)
    await book(2, after=1, user_id=2)
    await book(3, after=2, user_id=3, provider="venice")
    assert await promoted(jobs, caps(eigenai=1, venice=None)) == [3]


async def test_a_provider_that_is_not_enabled_gets_nothing(jobs: Jobs, book: Book) -> None:
    await book(1, provider="retired")
    assert await jobs.promote(caps(eigenai=None)) is None
    assert await jobs.promote(Caps(9, 9, {})) is None
    assert (await jobs.get(1)).state is JobState.QUEUED


async def test_a_job_is_not_promoted_before_its_time(jobs: Jobs, book: Book, clock: StillClock) -> None:
    submitting = await book(1, JobState.SUBMITTING)
    await jobs.move(submitting, JobState.QUEUED, not_before=NOON + timedelta(seconds=30))
    await book(2, after=1)
    assert await promoted(jobs, caps()) == [2]
    clock.time += timedelta(seconds=30)
    assert await promoted(jobs, caps()) == [1]


async def test_promoting_at_once_passes_no_cap_and_promotes_nothing_twice(jobs: Jobs, book: Book) -> None:
    for number in range(12):
        await book(number + 1, user_id=number % 3, guild_id=number % 2)
    limits = caps(member=2, server=3, eigenai=5)
    won = [job.id for job in await asyncio.gather(*(jobs.promote(limits) for _ in range(20))) if job]
    assert len(won) == len(set(won)) == 5
    under_way = [job for job in await jobs.open() if job.state is JobState.SUBMITTING]
    assert {job.id for job in under_way} == set(won)
    assert max(sum(job.user_id == user for job in under_way) for user in range(3)) <= 2
    assert max(sum(job.guild_id == guild for job in under_way) for guild in range(2)) <= 3


@pytest.mark.usefixtures("in_threads")
async def test_two_programs_share_the_caps(jobs: Jobs, book: Book, another: Another) -> None:
    other = await another()
    for number in range(1, 9):
        await book(number)
    promotions = (where.promote(caps(eigenai=3)) for where in (jobs, other.jobs) * 5)
    won = [job.id for job in await asyncio.gather(*promotions) if job]
    assert len(won) == len(set(won)) == 3


async def test_every_open_job_is_found_again_oldest_first(jobs: Jobs, book: Book) -> None:
    for number, state in enumerate(JobState, start=1):
        await book(number, state, after=-number)
    assert {job.state for job in await jobs.open()} == OPEN
    assert [job.id for job in await jobs.open()] == [5, 4, 3, 2, 1]


async def test_an_end_is_unshown_until_its_card_is_closed(jobs: Jobs, book: Book) -> None:
    for number, state in enumerate(JobState, start=1):
        await book(number, state)
    unshown = await jobs.unshown()
    assert {job.state for job in unshown} == set(JobState) - OPEN
    for job in unshown:
        await jobs.close_card(job.id)
    assert await jobs.unshown() == []


async def test_recent_jobs_are_the_members_own_newest_first(jobs: Jobs, book: Book) -> None:
    for number in (1, 2, 3):
        await book(number, after=number)
    await book(4, after=3)
    await book(5, user_id=31)
    await book(6, guild_id=11)
    assert [job.id for job in await jobs.recent(10, 30, 3)] == [4, 3, 2]


async def test_durations_are_what_the_models_latest_videos_took(
    jobs: Jobs, book: Book, clock: StillClock
) -> None:
    for number, seconds in enumerate((30.5, 60, 45), start=1):
        running = await book(number, JobState.RUNNING)
        clock.time += timedelta(seconds=seconds)
        await jobs.move(running, JobState.DOWNLOADING, ready_at=clock.time)
    await book(4, JobState.RUNNING)
    await book(5, JobState.DELIVERED, provider="venice")
    await book(6, JobState.DELIVERED, request=VideoRequest(model="other", prompt="x"))
    assert await jobs.durations("eigenai", "wan") == [45, 60, 30.5]
    assert await jobs.durations("eigenai", "wan", limit=2) == [45, 60]
    assert await jobs.durations("eigenai", "unseen") == []


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.CANCELLED])
async def test_the_cards_message_is_recorded_in_any_state(jobs: Jobs, book: Book, state: JobState) -> None:
    job = await book(1, state)
    await jobs.record_card(1, 555)
    assert await jobs.get(1) == replace(job, card_id=555)


async def test_recording_the_card_does_not_disturb_a_move(jobs: Jobs, book: Book) -> None:
    job = await book(1)
    await jobs.record_card(1, 555)
    assert (await jobs.move(job, JobState.SUBMITTING)).card_id == 555


async def test_a_card_of_no_job_is_nothing(jobs: Jobs) -> None:
    await jobs.record_card(404, 1)
    assert await jobs.get(404) is None


async def test_jobs_outlive_the_program(store: Store, book: Book, another: Another) -> None:
    job = await book(1, JobState.RUNNING)
    await store.close()
    assert await (await another()).jobs.open() == [job]


async def test_no_row_is_charged_anything_but_its_price_or_nothing(store: Store, book: Book) -> None:
    await book(1, price=3)
    with pytest.raises(StoreError):
        await store._database.write(lambda on: on.rows("UPDATE job SET charged = 2"))
