from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.errors import BadRequest
from bot.quota.dates import until

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 20, 21, 30, tzinfo=UTC)
"""A Friday, 22:30 in Berlin."""


def in_berlin(typed: str, now: datetime = NOW) -> str:
    end = until(typed, now, BERLIN)
    assert end.tzinfo is UTC
    return f"{end.astimezone(BERLIN):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("typed", "end"),
    [
        ("3d", "2026-11-23 22:30"),
        ("12h", "2026-11-21 10:30"),
        ("12 hrs", "2026-11-21 10:30"),
        ("an hour", "2026-11-20 23:30"),
        ("a week", "2026-11-27 22:30"),
        ("2w", "2026-12-04 22:30"),
        ("2 weeks", "2026-12-04 22:30"),
        ("1 month", "2026-12-20 22:30"),
        ("3mo", "2027-02-20 22:30"),
        ("1y", "2027-11-20 22:30"),
        ("10 years", "2036-11-20 22:30"),
        ("in 3 days", "2026-11-23 22:30"),
        ("  IN  3\tDays ", "2026-11-23 22:30"),
    ],
)
def test_a_span_counts_from_now(typed: str, end: str) -> None:
    assert in_berlin(typed) == end


@pytest.mark.parametrize(
    ("typed", "end"),
    [
        ("today", "2026-11-21 00:00"),
        ("tomorrow", "2026-11-22 00:00"),
        ("2026-12-24", "2026-12-25 00:00"),
        ("24.12.2026", "2026-12-25 00:00"),
        ("24 Dec", "2026-12-25 00:00"),
        ("dec 24", "2026-12-25 00:00"),
        ("24 December 2027", "2027-12-25 00:00"),
        ("December 24, 2027", "2027-12-25 00:00"),
        ("31 Dec", "2027-01-01 00:00"),
    ],
)
def test_a_day_counts_to_its_end_where_the_server_is(typed: str, end: str) -> None:
    assert in_berlin(typed) == end


@pytest.mark.parametrize(
    ("typed", "end"),
    [("20 Nov", "2026-11-21 00:00"), ("19 Nov", "2027-11-20 00:00"), ("29 Feb", "2028-03-01 00:00")],
)
def test_a_day_without_a_year_is_the_next_one_of_that_name(typed: str, end: str) -> None:
    assert in_berlin(typed) == end


def test_today_is_the_servers_day_and_not_that_of_utc() -> None:
    assert in_berlin("today", datetime(2026, 11, 20, 23, 30, tzinfo=UTC)) == "2026-11-22 00:00"


def test_a_month_from_its_last_day_ends_on_a_day_that_exists() -> None:
    assert in_berlin("1 month", datetime(2027, 1, 31, 12, tzinfo=UTC)) == "2027-02-28 13:00"


def test_days_keep_the_time_of_day_and_hours_their_number_when_clocks_change() -> None:
    now = datetime(2027, 3, 27, 11, tzinfo=UTC)
    assert until("1d", now, BERLIN) - now == timedelta(hours=23)
    assert until("24h", now, BERLIN) - now == timedelta(hours=24)


@pytest.mark.parametrize(
    "typed",
    [
        "", " ", "soon", "forever", "3", "24", "2027", "d3", "3x", "3 3 days", "1d2d", "3m", "-3d", "1.5 d",
        "3 days ago", "yesterday", "2026-13-01", "2026-02-30", "0000-00-00", "01/02/2027", "12:00",
        "Dec 2027", "30 Feb", "3 days\0", "9" * 5000 + "d", "x" * 100_000, "in " * 5000 + "3d",
    ],
)  # fmt: skip
def test_what_cannot_be_read_for_certain_is_refused_with_an_example(typed: str) -> None:
    with pytest.raises(BadRequest, match=r"^I cannot read that .*`2 weeks`.*; nothing was changed\.$"):
        until(typed, NOW, BERLIN)


@pytest.mark.parametrize("typed", ["0d", "0 hours", "2026-11-19", "2020-01-01", "0001-01-01"])
def test_what_is_over_already_is_refused(typed: str) -> None:
    with pytest.raises(BadRequest, match=r"^That is not in the future\. .*; nothing was changed\.$"):
        until(typed, NOW, BERLIN)


@pytest.mark.parametrize(
    "typed", ["11 years", "121 months", "999999999999d", "9" * 30 + "h", "9" * 30 + "mo", "9999-12-31"]
)
def test_more_than_ten_years_is_refused(typed: str) -> None:
    with pytest.raises(BadRequest, match=r"^That is more than ten years ahead\. .*; nothing was changed\.$"):
        until(typed, NOW, BERLIN)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.text() | st.from_regex(r"(in )?[0-9]{1,20} ?(h|d|w|mo|y)", fullmatch=True) | st.dates().map(str),
    st.timedeltas(timedelta(), timedelta(days=30_000)),
    st.sampled_from(["UTC", "Europe/Berlin", "Africa/Cairo", "Asia/Kolkata", "Pacific/Kiritimati"]),
)
def test_whatever_is_typed_is_a_moment_ahead_or_refused(typed: str, later: timedelta, zone: str) -> None:
    now = NOW + later
    with suppress(BadRequest):
        assert now < until(typed, now, ZoneInfo(zone)) < now + timedelta(days=3654)
