"""What tests of the store share: an open database, a store on it with a clock that stands still, jobs."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.clock import Clock
from bot.jobs import Job, JobState
from bot.quota.allowances import Allowance, WindowKind
from bot.store import Store, connect
from bot.store.db import Database
from bot.store.jobs import Jobs
from providers.specs import VideoRequest

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


class StillClock(Clock):
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database without a row: every test of the store runs on both kinds."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
async def connect_to() -> AsyncIterator[Callable[[str], Database]]:
    """Make databases which are closed at the end, whatever becomes of the test."""
    made: list[Database] = []

    def make(url: str) -> Database:
        made.append(connect(url))
        return made[-1]

    yield make
    for database in made:
        await database.close()


@pytest.fixture
async def database(database_url: str, connect_to: Callable[[str], Database]) -> Database:
    """An open database without a schema."""
    made = connect_to(database_url)
    await made.open()
    return made


@pytest.fixture
async def another(
    database_url: str, clock: StillClock, connect_to: Callable[[str], Database]
) -> Callable[[], Awaitable[Store]]:
    """Open the same database as another program would."""

    async def open_store() -> Store:
        made = Store(connect_to(database_url), clock)
        await made.open()
        return made

    return open_store


@pytest.fixture
async def store(another: Callable[[], Awaitable[Store]]) -> Store:
    return await another()


@pytest.fixture
def jobs(store: Store) -> Jobs:
    return store.jobs


def new_job(job_id: int = 1, *, after: float = 0, **values: Any) -> Job:
    """A queued job, made so many seconds after a minute to noon."""
    made = NOON + timedelta(seconds=after - 60)
    fields: dict[str, Any] = {
        "guild_id": 10,
        "channel_id": 20,
        "user_id": 30,
        "provider": "eigenai",
        "request": VideoRequest(model="wan", prompt="a slow pan", seed=0),
        "state": JobState.QUEUED,
        "price": 1,
        "created_at": made,
        "state_at": made,
        "not_before": made,
        **values,
    }
    return Job(id=job_id, charged=fields["price"], **fields)


Reserve = Callable[..., Awaitable[Job | None]]


@pytest.fixture
def reserve(store: Store) -> Reserve:
    """Book a job against a daily allowance; None if it does not fit."""

    async def reserve_job(job: Job, amount: int | None, *role_ids: int) -> Job | None:
        default = Allowance(amount=amount, kind=WindowKind.DAY)
        booked = await store.accounts.reserve(job, role_ids, default)
        return booked if isinstance(booked, Job) else None

    return reserve_job


@pytest.fixture
def used(store: Store) -> Callable[..., Awaitable[int]]:
    """The credits that count today."""

    async def used_today(guild_id: int = 10, user_id: int = 30, now: datetime = NOON) -> int:
        default = Allowance(amount=5, kind=WindowKind.DAY)
        return (await store.accounts.standing(guild_id, user_id, (), default, now)).used

    return used_today


@pytest.fixture
def book(jobs: Jobs, reserve: Reserve, clock: StillClock) -> Callable[..., Any]:
    """Reserve a job and bring it into a state, as if at the present of the clock."""

    async def booked(
        job_id: int, state: JobState = JobState.QUEUED, *, asked: bool = True, **values: Any
    ) -> Job:
        job = await reserve(new_job(job_id, **values), 1000)
        assert job is not None
        for step in path_to(state):
            times = {JobState.RUNNING: "submitted_at", JobState.DOWNLOADING: "ready_at"}
            changes = {times[step]: clock.now()} if step in times else {}
            job = await jobs.move(job, step, **changes)
            job = await jobs.ask(job, at=clock.now()) if step is JobState.SUBMITTING and asked else job
        return job

    return booked


def path_to(state: JobState) -> list[JobState]:
    """The moves that bring a queued job into this state."""
    story = [
        JobState.SUBMITTING,
        JobState.RUNNING,
        JobState.DOWNLOADING,
        JobState.DELIVERING,
        JobState.DELIVERED,
    ]
    if state is JobState.QUEUED:
        return []
    return story[: story.index(state) + 1] if state in story else [state]
