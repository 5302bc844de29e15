"""What a vendor says, within bounds. What is beyond them is read as if it had not been said.

A provider's models use the types, such as `Identifier`; `providers.base` has them in whatever it returns.
"""

import re
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field, JsonValue

LONGEST_ID = 500
"""Characters; proxies in front of a vendor put a whole address into an id."""
LONGEST_LINK = 4096
LONGEST_WORDS = 1000
LONGEST_TEXT = 20_000
LONGEST_WORD = 60
LONGEST_TIME = 30 * 86_400.0
"""Seconds. No vendor works on a video, keeps one or asks for patience for longer than 30 days."""
DEAREST = 10**12
"""Millionths of a dollar. No price is believed from here on."""
MOST_ENTRIES = 1000
"""Entries of a catalogue that are looked at."""

_MOST_DIGITS = 10**40
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours and moves of the cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # titles, links
    r"|\x1b[ -/]*[0-~]?"
)


def plain(text: str, limit: int = LONGEST_WORDS) -> str:
    """Somebody's words as one line for a log, a row or a terminal: nothing in it acts or is invisible."""
    seen = "".join(char if char.isprintable() else " " for char in _ESCAPES.sub("", text))
    return " ".join(seen.split())[:limit]


def identifier(said: object) -> str | None:
    """An id, which may be a number."""
    if isinstance(said, int) and not isinstance(said, bool) and abs(said) < _MOST_DIGITS:
        said = str(said)
    is_one = isinstance(said, str) and 0 < len(said) <= LONGEST_ID and said.isprintable()
    return said if is_one and isinstance(said, str) and not said.isspace() else None


def link(said: object) -> str | None:
    """What looks like a link. Whether it may be followed is for `providers.http` to say."""
    is_one = isinstance(said, str) and "://" in said and len(said) <= LONGEST_LINK
    return said if is_one and isinstance(said, str) and said.isprintable() else None


def number(said: object, low: float, high: float) -> int | float | None:
    is_number = isinstance(said, int | float) and not isinstance(said, bool)
    return said if is_number and isinstance(said, int | float) and low <= said <= high else None


def seconds(said: object) -> float | None:
    return number(said, 0, LONGEST_TIME)


def share(said: object) -> float | None:
    """How much is done, from 0 to 1."""
    return number(said, 0, 1)


def micros(said: object) -> int | None:
    found = number(said, 0, DEAREST)
    return found if isinstance(found, int) else None


def from_dollars(said: object) -> int | None:
    """Millionths of a dollar, rounded up; the amount may be written as text."""
    if isinstance(said, str) and len(said) > LONGEST_WORD:
        return None
    try:
        found = Decimal(str(said)) * 1_000_000
        is_price = 0 <= found <= DEAREST
    except (ArithmeticError, ValueError):
        return None
    return int(found.to_integral_value(ROUND_CEILING)) if is_price else None


def word(said: object) -> str:
    """One word in lower case, such as a status; empty where it is none."""
    return said.strip().lower() if isinstance(said, str) and len(said) <= LONGEST_WORD else ""


def moment(said: object) -> datetime | None:
    """A date as vendors write it, if it is one of our time."""
    if not isinstance(said, str) or len(said) > LONGEST_WORD:
        return None
    try:
        found = datetime.fromisoformat(said)
        found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if _FIRST <= found < _LAST else None


_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def entries(said: JsonValue) -> list[JsonValue]:
    """The first of a catalogue's entries, which may lie inside an object."""
    if isinstance(said, dict):
        said = next((value for value in said.values() if isinstance(value, list)), None)
    return said[:MOST_ENTRIES] if isinstance(said, list) else []


def _words(said: object) -> object:
    return plain(said) if isinstance(said, str) else said


def _prompt(said: object) -> object:
    return plain(said, LONGEST_TEXT) if isinstance(said, str) else said


Identifier: TypeAlias = Annotated[str | None, BeforeValidator(identifier)]
Link: TypeAlias = Annotated[str | None, BeforeValidator(link)]
Seconds: TypeAlias = Annotated[float | None, BeforeValidator(seconds)]
Share: TypeAlias = Annotated[float | None, BeforeValidator(share)]
Micros: TypeAlias = Annotated[int | None, BeforeValidator(micros)]
Word: TypeAlias = Annotated[str, BeforeValidator(word)]
Moment: TypeAlias = Annotated[datetime | None, BeforeValidator(moment)]
Words: TypeAlias = Annotated[str, BeforeValidator(_words)]
"""Free words of a vendor's, cut and made plain."""
Prompt: TypeAlias = Annotated[str, BeforeValidator(_prompt)]
"""The same, as long as a prompt may be."""
ModelId: TypeAlias = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
"""What a model is called where it is asked for; an entry with another id is left out."""
