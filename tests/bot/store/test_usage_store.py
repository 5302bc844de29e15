"""What was used in a server, day by day of its own time zone, in one question however long the period is."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.catalogue import Catalogue
from bot.store import Store
from bot.store.db import Row
from bot.usage import Period, Reports, _midnights, days_of
from tests.bot.store.conftest import StillClock, new_job
from tests.helpers import AtHome

BERLIN = ZoneInfo("Europe/Berlin")
TICK = timedelta(microseconds=1)
EASTER = datetime(2024, 4, 1, 12, tzinfo=UTC)
"""The day after Berlin's clocks were put forward."""


@pytest.fixture
def reads(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SELECTs that the store has sent."""
    sent: list[str] = []
    read = store._database.read

    async def counted(sql: str, /, **values: Any) -> list[Row]:
        sent.append(sql)
        return await read(sql, **values)

    monkeypatch.setattr(store._database, "read", counted)
    return sent


async def test_ninety_days_take_no_more_questions_than_a_week(
    store: Store, clock: StillClock, reads: list[str]
) -> None:
    reports = Reports(store, Catalogue({}, None), AtHome(), clock)
    numbers: list[int] = []
    for period in (Period.WEEK, Period.DAYS_90):
        reads.clear()
        await reports.usage(10, period)
        numbers.append(len(reads))
    assert numbers[0] == numbers[1] <= 5


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/Santiago"])
async def test_a_day_is_from_midnight_to_midnight_there(
    store: Store, book: Callable[..., Any], zone: str
) -> None:
    days = days_of(Period.DAYS_90, EASTER, ZoneInfo(zone))
    midnights = _midnights(days, ZoneInfo(zone))
    for number, midnight in enumerate(midnights):
        await book(2 * number, created_at=midnight - TICK, provider="a", price=2)
        await book(2 * number + 1, created_at=midnight, provider="b", price=3)
    await book(1000, created_at=EASTER, guild_id=11)
    used = await store.usage.by_day(10, midnights)
    assert used == [{"a": 2, "b": 3}] * 90


async def test_what_is_not_charged_was_not_used(store: Store, book: Callable[..., Any]) -> None:
    await book(1, price=0)
    assert await store.usage.by_day(10, [new_job().created_at, EASTER]) == [{}]
