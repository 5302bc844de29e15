"""Which days a period has, and how a job looks in a spreadsheet."""

import csv
import io
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.usage import Period, _csv, _midnights, days_of

BERLIN, TOKYO = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")
MAY_20 = datetime(2026, 5, 20, 22, 30, tzinfo=UTC)
"""A Wednesday; in Tokyo, it is Thursday already, and in Berlin as well."""


@pytest.mark.parametrize(
    ("period", "first", "last", "number"),
    [
        (Period.WEEK, date(2026, 5, 18), date(2026, 5, 20), 3),
        (Period.MONTH, date(2026, 5, 1), date(2026, 5, 20), 20),
        (Period.LAST_MONTH, date(2026, 4, 1), date(2026, 4, 30), 30),
        (Period.DAYS_30, date(2026, 4, 21), date(2026, 5, 20), 30),
        (Period.DAYS_90, date(2026, 2, 20), date(2026, 5, 20), 90),
    ],
)
def test_a_period_has_the_days_that_have_begun(period: Period, first: date, last: date, number: int) -> None:
    days = days_of(period, MAY_20, ZoneInfo("UTC"))
    assert (days[0], days[-1], len(days)) == (first, last, number)
    assert sorted(set(days)) == list(days)


def test_today_is_the_servers_own() -> None:
    assert days_of(Period.WEEK, MAY_20, TOKYO)[-1] == date(2026, 5, 21)


def test_the_month_before_january_is_december() -> None:
    days = days_of(Period.LAST_MONTH, datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo("UTC"))
    assert (days[0], days[-1]) == (date(2025, 12, 1), date(2025, 12, 31))


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_a_day_is_as_long_as_the_clock_there_makes_it(day: date, hours: int) -> None:
    start, end = _midnights([day], BERLIN)
    assert (end - start).total_seconds() == hours * 3600


def exported(**values: Any) -> dict[str, str]:
    """A job as a reader of the file gets it."""
    row = {
        "id": 1_234_567_890_123_456_789,
        "created_at": "2026-05-20T22:30:00.000007+00:00",
        "user_id": 7,
        "channel_id": 3,
        "provider": "venice",
        "model": "wan",
        "request": '{"prompt": "a slow pan"}',
        "state": "delivered",
        "failure": None,
        "price": 2,
        "charged": 0,
        "quoted_micros": None,
        "cost_micros": 0,
    }
    [line] = csv.DictReader(io.StringIO(_csv([{**row, **values}], TOKYO).decode("utf-8-sig")))
    return line


def test_times_are_the_servers_and_ids_are_not_rounded() -> None:
    line = exported()
    assert line["time"] == "2026-05-21T07:30:00+09:00"
    assert (line["job"], line["member"], line["channel"]) == ("'1234567890123456789", "'7", "'3")
    assert (line["price_credits"], line["charged_credits"], line["failure"]) == ("2", "0", "")


def test_a_price_that_is_not_known_is_empty_and_none_is_a_number() -> None:
    line = exported(quoted_micros=None, cost_micros=5)
    assert (line["quoted_usd"], line["cost_usd"]) == ("", "0.000005")
    assert exported(quoted_micros=0)["quoted_usd"] == "0.000000"


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\\t", "\\r"])
def test_no_prompt_and_no_model_is_a_formula(begin: str) -> None:
    line = exported(model="=1", request=f'{{"prompt": "{begin}cmd|\' /C calc\'!A1"}}')
    assert line["prompt"].startswith("'")
    assert line["model"] == "'=1"


def test_what_no_encoding_has_does_not_spoil_the_file() -> None:
    assert exported(request='{"prompt": "half \\ud83d, two\\nlines \\"quoted\\""}')["prompt"] == (
        'half ?, two\nlines "quoted"'
    )
