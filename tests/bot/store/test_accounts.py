"""Booking a job: what members have left, decided in one transaction. On SQLite and PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from bot.jobs import JobState
from bot.store.jobs import Jobs
from providers.options import SourceImage
from providers.specs import VideoRequest
from tests.bot.store.conftest import NOON, Reserve, new_job

Used = Callable[..., Awaitable[int]]
Book = Callable[..., Any]
MIDNIGHT = NOON + timedelta(hours=12)


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
