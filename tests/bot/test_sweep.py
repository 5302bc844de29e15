"""What jobs leave behind is removed: every hour, once it is old, and never under an open job."""

import asyncio
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.app import SWEEP_EVERY, _sweep
from bot.clock import Clock
from bot.jobs import Failure, Job, JobState
from bot.store.db import StoreError
from providers.base import Succeeded
from tests.bot.conftest import Hall, Make
from tests.helpers import eventually

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
S = JobState


class EndOfRound(Exception):
    pass


class OneRound(Clock):
    """The time of one round of sweeping."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        assert seconds == SWEEP_EVERY == 3600
        raise EndOfRound


async def ended(hall: Hall, failure: Failure | None = None) -> Job:
    """A job whose video is here, and which is over just now."""
    job = await hall.promoted()
    job = await hall.store.jobs.move(job, S.RUNNING, operation={})
    job = await hall.store.jobs.move(job, S.DOWNLOADING, video=Succeeded())
    job = await hall.store.jobs.move(job, S.DELIVERING)
    hall.files.video(job.id).write_bytes(b"video")
    if failure is None:
        return await hall.store.jobs.move(job, S.DELIVERED)
    return await hall.store.jobs.move(job, S.FAILED, failure=failure)


async def left(hall: Hall, tmp_path: Path, now: datetime, *, touched: datetime | None = None) -> set[str]:
    """What is in the folder of job 1 after a sweep; it was touched long ago if not told otherwise."""
    folder = tmp_path / "jobs" / "1"
    then = (touched or now - timedelta(days=99)).timestamp()
    os.utime(folder, (then, then))
    with pytest.raises(EndOfRound):
        await _sweep(hall.files, hall.store, OneRound(now))
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.mark.parametrize("failure", [None, Failure.UNDELIVERABLE, Failure.TOO_LARGE])
async def test_a_video_stays_for_so_long_after_the_end_of_its_job(
    hall: Hall, tmp_path: Path, failure: Failure | None
) -> None:
    hall.files.kept_for = 3 * DAY
    job = await ended(hall, failure)
    assert "video.mp4" in await left(hall, tmp_path, job.state_at + 3 * DAY - HOUR)
    assert not await left(hall, tmp_path, job.state_at + 3 * DAY)


@pytest.mark.parametrize("kept_for", [timedelta(), 6 * HOUR])
async def test_a_posted_video_stays_for_less_than_a_day_if_that_is_wished(
    hall: Hall, tmp_path: Path, kept_for: timedelta
) -> None:
    hall.files.kept_for = kept_for
    job = await ended(hall)
    if kept_for:
        assert "video.mp4" in await left(hall, tmp_path, job.state_at + kept_for - HOUR)
    assert await left(hall, tmp_path, job.state_at + kept_for) == {"thumbnail.jpg"}
    assert not await left(hall, tmp_path, job.state_at + DAY)


@pytest.mark.parametrize("kept_for", [timedelta(), 6 * HOUR])
async def test_what_could_not_be_posted_stays_for_a_day_at_least(
    hall: Hall, tmp_path: Path, kept_for: timedelta
) -> None:
    hall.files.kept_for = kept_for
    job = await ended(hall, Failure.UNDELIVERABLE)
    assert "video.mp4" in await left(hall, tmp_path, job.state_at + DAY - HOUR)
    assert not await left(hall, tmp_path, job.state_at + DAY)


async def test_nothing_is_removed_under_an_open_job(hall: Hall, tmp_path: Path) -> None:
    job = await hall.promoted()
    assert "image" in await left(hall, tmp_path, job.state_at + 99 * DAY)


async def test_what_was_touched_lately_stays(hall: Hall, tmp_path: Path) -> None:
    hall.files.kept_for = 3 * DAY
    now = (await ended(hall)).state_at + 4 * DAY
    assert await left(hall, tmp_path, now, touched=now - 3 * DAY + HOUR)
    assert not await left(hall, tmp_path, now, touched=now - 3 * DAY)


async def test_the_files_of_a_job_that_is_just_being_booked_stay(hall: Hall, tmp_path: Path) -> None:
    hall.files.kept_for = timedelta()
    (tmp_path / "jobs" / "1").mkdir(parents=True)
    (tmp_path / "jobs" / "1" / "image").touch()
    now = hall.clock.now()
    assert await left(hall, tmp_path, now, touched=now - DAY + HOUR) == {"image"}
    assert not await left(hall, tmp_path, now, touched=now - DAY)


async def test_it_is_done_again_every_hour_even_after_trouble(
    make_hall: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hall = await make_hall()
    await ended(hall)
    folder, then = tmp_path / "jobs" / "1", hall.clock.now().timestamp()
    os.utime(folder, (then, then))
    get, troubles = hall.store.jobs.get, [StoreError("locked"), OSError("a bad disk")]

    async def troubled(job_id: int) -> Job | None:
        if troubles:
            raise troubles.pop()
        return await get(job_id)

    monkeypatch.setattr(hall.store.jobs, "get", troubled)
    sweeping = asyncio.create_task(_sweep(hall.files, hall.store, hall.clock))
    await eventually(lambda: not folder.exists())
    sweeping.cancel()
    assert not troubles


async def test_the_files_of_a_job_that_cannot_be_read_stay_and_the_others_go(
    hall: Hall, tmp_path: Path
) -> None:
    job = await ended(hall)
    await hall.book(2)
    sql = "UPDATE job SET request = '{' WHERE id = 2 RETURNING id"
    await hall.store.jobs._database.write(lambda on: on.rows(sql))
    (tmp_path / "jobs" / "3").mkdir()
    for number in ("2", "3"):
        os.utime(tmp_path / "jobs" / number, (0, 0))
    assert not await left(hall, tmp_path, job.state_at + 99 * DAY)
    assert [path.name for path in (tmp_path / "jobs").iterdir()] == ["2"]
