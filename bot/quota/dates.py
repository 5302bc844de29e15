"""When something is to end, as a moderator types it. Pure: time is a parameter.

A strict grammar of its own: dateparser takes 2026-13-01 for the 13th of January and guesses which number
of 01/02/2027 is the month, and a wrong date is worse than a question.
"""

import re
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from bot.errors import BadRequest

_LONGEST_TEXT = 40
_LONGEST = relativedelta(years=10)
_SPAN = re.compile(r"(?:in )?([0-9]+|an?) ?([a-z]+)")
_UNITS = {
    name: unit
    for names, unit in (
        ("h hr hrs hour hours", relativedelta(hours=1)),
        ("d day days", relativedelta(days=1)),
        ("w wk wks week weeks", relativedelta(weeks=1)),
        # No "m": it could be minutes.
        ("mo month months", relativedelta(months=1)),
        ("y yr yrs year years", relativedelta(years=1)),
    )
    for name in names.split()
}
_FORMS = ("%Y-%m-%d", "%d.%m.%Y", "%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y")
_HINT = "Try `12h`, `3d`, `2 weeks`, `24 Dec` or `2030-12-24`; nothing was changed."


def until(typed: str, now: datetime, zone: ZoneInfo) -> datetime:
    """The moment in UTC, at most ten years ahead; a day means its end in `zone`. Raises BadRequest."""
    here = now.astimezone(zone)
    try:
        end = _end(typed, here)
    # A number or a year that no calendar has.
    except (OverflowError, ValueError):
        end = None
    if end is None or end.astimezone(zone) > here + _LONGEST:
        raise BadRequest(f"That is more than ten years ahead. {_HINT}")
    if end <= now:
        raise BadRequest(f"That is not in the future. {_HINT}")
    return end


def _end(typed: str, here: datetime) -> datetime:
    text = " ".join(typed.casefold().replace(",", " ").split()) if len(typed) <= _LONGEST_TEXT else ""
    if (span := _SPAN.fullmatch(text)) and (unit := _UNITS.get(span[2])):
        length = unit * (int(span[1]) if span[1].isdigit() else 1)
        # Twelve hours are always as long; a day later it is the same time of day.
        return here.astimezone(UTC) + length if unit.hours else (here + length).astimezone(UTC)
    if day := _day(text, here.date()):
        return datetime.combine(day + timedelta(days=1), time(), here.tzinfo).astimezone(UTC)
    raise BadRequest(f"I cannot read that as a date or a length of time. {_HINT}")


def _day(text: str, today: date) -> date | None:
    if text in {"today", "tomorrow"}:
        return today + timedelta(days=text == "tomorrow")
    # Without a year it is the next such day; the 29th of February may be eight years off.
    upcoming = (_date(f"{text} {year}") for year in range(today.year, today.year + 9))
    return _date(text) or next((day for day in upcoming if day and day >= today), None)


def _date(text: str) -> date | None:
    for form in _FORMS:
        with suppress(ValueError):
            return datetime.strptime(text, form).date()  # noqa: DTZ007 - a day is a day in any zone
    return None
