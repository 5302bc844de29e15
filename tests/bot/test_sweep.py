"""What jobs leave behind is removed: every day, once it is old, and never under an open job."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest

from bot.app import KEEP, SWEEP_EVERY, _sweep
from bot.jobs import JobState
from bot.store.db import StoreError
from tests.bot.conftest import Hall, Make
from tests.clock import FastClock
from tests.helpers import eventually


class EndOfRound(Exception):
    pass


class OneRound(FastClock):
    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        assert seconds == SWEEP_EVERY
        raise EndOfRound


async def aged(hall: Hall, tmp_path: Path, job_id: int, age: timedelta, *, over: bool) -> Path:
    """The folder of a job, as if nobody had touched it for so long."""
    job = await hall.book(job_id)
    assert job is not None
    if over:
        await hall.store.jobs.move(job, JobState.CANCELLED)
    folder = tmp_path / "jobs" / str(job_id)
    then = (hall.clock.now() - age).timestamp()
    os.utime(folder, (then, then))
    return folder


async def test_old_folders_go_and_those_of_open_jobs_and_young_ones_stay(hall: Hall, tmp_path: Path) -> None:
    hour = timedelta(hours=1)
    old = await aged(hall, tmp_path, 1, KEEP + hour, over=True)
    young = await aged(hall, tmp_path, 2, KEEP - hour, over=True)
    still_open = await aged(hall, tmp_path, 3, KEEP + hour, over=False)
    with pytest.raises(EndOfRound):
        await _sweep(hall.files, hall.store, OneRound(speed=1))
    assert [folder.exists() for folder in (old, young, still_open)] == [False, True, True]


async def test_it_is_done_again_every_day_even_after_trouble(
    make_hall: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hall = await make_hall(speed=2_000_000)
    folder = await aged(hall, tmp_path, 1, timedelta(), over=True)
    jobs, troubles = hall.store.jobs.open, [StoreError("locked"), OSError("a bad disk")]

    async def troubled() -> object:
        if troubles:
            raise troubles.pop()
        return await jobs()

    monkeypatch.setattr(hall.store.jobs, "open", troubled)
    sweeping = asyncio.create_task(_sweep(hall.files, hall.store, hall.clock))
    await eventually(lambda: not folder.exists())
    sweeping.cancel()
    assert not troubles
