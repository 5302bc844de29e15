"""Until when a vendor keeps a file, where its answer or its link says so."""

import math
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue
from yarl import URL

_LONGEST = timedelta(days=30)
"""No vendor keeps videos longer; a later instant is a number that means something else."""
_JUST_PAST = timedelta(hours=1)
"""A clock that goes wrong by more than this says nothing."""
_SIGNED = (("X-Amz-Date", "X-Amz-Expires"), ("X-Goog-Date", "X-Goog-Expires"))
"""When a link was signed, and for how many seconds it holds."""


def instant(seconds: JsonValue, now: datetime | None = None) -> datetime | None:
    """The instant that a Unix time names; None for anything that cannot be an expiry seen now."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return None
    now = now or datetime.now(UTC)
    earliest, latest = (now - _JUST_PAST).timestamp(), (now + _LONGEST).timestamp()
    return datetime.fromtimestamp(seconds, UTC) if earliest <= seconds <= latest else None


def link_expiry(link: str, now: datetime | None = None) -> datetime | None:
    """Until when a signed link holds: S3, Google, CloudFront, Azure and Discord write it into the query."""
    try:
        query = URL(link).query
    except ValueError:
        return None
    for signed, holds in _SIGNED:
        if signed in query and holds in query:
            return instant(_signed(query[signed], query[holds]), now)
    for name, read in (("Expires", _seconds), ("se", _written), ("ex", _hexadecimal)):
        if name in query:
            return instant(read(query[name]), now)
    return None


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _hexadecimal(text: str) -> float | None:
    try:
        return float(int(text[:16], 16))
    except ValueError:
        return None


def _written(text: str) -> float | None:
    """A date as people write it, without a zone meaning UTC."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _signed(date: str, seconds: str) -> float | None:
    begin, length = _written(date), _seconds(seconds)
    return None if begin is None or length is None else begin + length
