"""What is in a vendor's answer: its words, what its status means, when to come back, whether it is a file."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias

from pydantic import JsonValue, TypeAdapter

from providers.errors import (
    Advice,
    Forbidden,
    InvalidRequest,
    NotFound,
    OutOfFunds,
    Overloaded,
    Problem,
    ProviderError,
    Rejected,
    Unauthorized,
    Uncertain,
    Unreachable,
)
from providers.fields import LONGEST_TIME

JsonObject: TypeAlias = dict[str, JsonValue]
OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)
_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)

_TEXT_KEYS = ("error", "message", "detail", "details", "issues")
_RESETS = ("x-ratelimit-reset-requests", "x-ratelimit-reset")
_A_TIMESTAMP = 1_000_000_000
"""Numbers from here on are no number of seconds to wait, but a point in time."""
_BELIEVABLE = 3600.0
"""Rate limits start anew within the hour; a longer wait is a number that means something else."""

_REJECTIONS: Mapping[int, type[Rejected]] = {
    401: Unauthorized,
    402: OutOfFunds,
    403: Forbidden,
    404: NotFound,
    410: NotFound,
}
_TOO_LARGE = 413
_TRACES = ("CF-RAY", "x-ecolink-request-id", "x-request-id")
"""Headers that a vendor's support asks for."""


def meaning(status: int, headers: Mapping[str, str], said: str) -> ProviderError:
    """The error that an answer with a status of 400 or more is."""
    detail = trouble(status, headers, said)
    if status in {429, 503}:
        return Overloaded(detail, status=status, retry_after=retry_after(headers))
    if status >= 500 or status == 408:  # noqa: PLR2004 - the server may have acted before it failed
        return Uncertain(detail, status=status)
    if status == _TOO_LARGE:  # of what is sent, only a file can be that large
        return InvalidRequest(detail, status=status, advice=Advice(problem=Problem.FILE_TOO_LARGE))
    return _REJECTIONS.get(status, InvalidRequest)(detail, status=status)


def trouble(status: int, headers: Mapping[str, str], said: str) -> str:
    """An unwelcome answer in a line."""
    traces = (f" ({name}: {headers[name][:80]})" for name in _TRACES if name in headers)
    return f"HTTP {status}: {said}{''.join(traces)}"


def on_page(status: int, headers: Mapping[str, str], said: str) -> Unreachable:
    """The error that a page for people is: the vendor has not seen the request."""
    return Unreachable(f"{trouble(status, headers, said)}, on a page", status=status)


def is_page(status: int, media_type: str) -> bool:
    """Whether a refusal is a firewall's or a proxy's: a page for people, where a vendor answers programs.

    The vendor has not seen the request then: it has accepted nothing, and says nothing of key or money.
    """
    return status in _REJECTIONS and media_type in {"text/html", "application/xhtml+xml"}


def error_text(body: bytes) -> str:
    """The vendor's own words, from any of the shapes that vendors put them in."""
    try:
        found = find_text(_JSON.validate_json(body))
    except ValueError:
        found = None
    return found if found is not None else body.decode("utf-8", "replace")


def find_text(value: JsonValue) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return next((text for item in value if (text := find_text(item))), None)
    if isinstance(value, dict):
        return next((text for key in _TEXT_KEYS if (text := find_text(value.get(key)))), None)
    return None


def object_in(body: bytes) -> JsonObject:
    """The JSON object that a body is, or an empty one."""
    try:
        return OBJECT.validate_json(body)
    except ValueError:
        return {}


def json_in(body: bytes) -> JsonValue:
    """Whatever JSON a body is. Raises Uncertain for none."""
    try:
        return _JSON.validate_json(body)
    except ValueError as error:
        raise Uncertain("an answer without readable JSON") from error


def is_mp4(head: bytes) -> bool:
    return head[4:8] == b"ftyp"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until the vendor wants to hear from us again.

    Retry-After is a number or a date; where it is missing, the rate limit's reset is a number or a Unix time.
    """
    value = headers.get("Retry-After")
    if value is None:
        resets = (_until_reset(headers[name], _now(headers)) for name in _RESETS if name in headers)
        return next((seconds for seconds in resets if seconds is not None), None)
    try:
        seconds = float(value)
    except ValueError:
        moment = _moment(value)
        if moment is None:
            return None
        seconds = (moment - _now(headers)).total_seconds()
    return min(max(0.0, seconds), LONGEST_TIME) if math.isfinite(seconds) else None


def _now(headers: Mapping[str, str]) -> datetime:
    """The vendor's own time, where it tells: what it names is a point on its clock and not on ours."""
    return _moment(headers.get("Date", "")) or datetime.now(UTC)


def _moment(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found.tzinfo else None


def _until_reset(value: str, now: datetime) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    if seconds >= _A_TIMESTAMP:
        seconds -= now.timestamp()
    return max(0.0, seconds) if seconds <= _BELIEVABLE else None
