from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from bot.quotas import Allowance, Balance, Window, WindowKind, window_at

DAY, WEEK, MONTH = WindowKind


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "now", "start", "end"),
    [
        (DAY, "2024-05-15T13:14:15.000016", "2024-05-15", "2024-05-16"),
        (DAY, "2024-05-15", "2024-05-15", "2024-05-16"),
        (DAY, "2024-05-15T23:59:59.999999", "2024-05-15", "2024-05-16"),
        (DAY, "2024-02-28T12:00", "2024-02-28", "2024-02-29"),
        (DAY, "2024-02-29T12:00", "2024-02-29", "2024-03-01"),
        (DAY, "2023-02-28T12:00", "2023-02-28", "2023-03-01"),
        (DAY, "2024-12-31T23:59", "2024-12-31", "2025-01-01"),
        (WEEK, "2024-05-13", "2024-05-13", "2024-05-20"),
        (WEEK, "2024-05-19T23:59:59.999999", "2024-05-13", "2024-05-20"),
        (WEEK, "2024-03-01T12:00", "2024-02-26", "2024-03-04"),
        (WEEK, "2025-01-01T12:00", "2024-12-30", "2025-01-06"),
        (MONTH, "2024-02-29T12:00", "2024-02-01", "2024-03-01"),
        (MONTH, "2023-02-01", "2023-02-01", "2023-03-01"),
        (MONTH, "2024-01-31T12:00", "2024-01-01", "2024-02-01"),
        (MONTH, "2024-12-31T23:59:59.999999", "2024-12-01", "2025-01-01"),
    ],
)
def test_windows_begin_at_midnight_on_mondays_and_on_the_first(
    kind: WindowKind, now: str, start: str, end: str
) -> None:
    assert window_at(kind, utc(now)) == Window(utc(start), utc(end))


@pytest.mark.parametrize("kind", WindowKind)
def test_windows_follow_each_other_without_gap_or_overlap(kind: WindowKind) -> None:
    end = utc("2023-12-25")
    while end < utc("2025-03-05"):
        window = window_at(kind, end)
        assert window.start == end or end == utc("2023-12-25")
        assert window_at(kind, window.end - timedelta(microseconds=1)) == window
        end = window.end


def test_the_present_may_be_told_in_any_zone() -> None:
    assert window_at(DAY, datetime(2024, 5, 15, 1, tzinfo=timezone(timedelta(hours=2)))).start == utc(
        "2024-05-14"
    )
    assert window_at(MONTH, datetime(2024, 12, 31, 20, tzinfo=timezone(-timedelta(hours=5)))).start == utc(
        "2025-01-01"
    )


@pytest.mark.parametrize("day", ["2024-03-31", "2024-10-27"])
def test_a_day_on_which_clocks_are_changed_has_24_hours(day: str) -> None:
    window = window_at(DAY, datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo("Europe/Berlin")))
    assert window == Window(utc(day), utc(day) + timedelta(hours=24))


def test_what_is_left_never_falls_below_nothing() -> None:
    window = window_at(DAY, utc("2024-05-15"))
    assert [Balance(Allowance(3, DAY), window, used).left for used in (0, 2, 3, 4)] == [3, 1, 0, 0]
