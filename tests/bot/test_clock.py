import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bot.clock import Clock


def test_the_present_is_told_in_utc() -> None:
    now = Clock().now()
    assert now.tzinfo is UTC
    assert abs(datetime.now(UTC) - now) < timedelta(minutes=1)


@pytest.mark.parametrize("seconds", [0.001, 0, -5])
async def test_a_wait_ends_when_its_time_is_up(seconds: float) -> None:
    assert await Clock().wait(asyncio.Event(), seconds) is False


async def test_a_wait_ends_as_soon_as_its_event_is_set() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    assert await Clock().wait(event, 3600) is True


async def test_what_has_happened_already_is_not_waited_for() -> None:
    event = asyncio.Event()
    event.set()
    assert await Clock().wait(event, 3600) is True
    assert await Clock().wait(event, 0) is True
