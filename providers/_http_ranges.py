"""Going on with a download that broke off: what to ask for, and whether the answer fits what is there."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import aiohttp

from providers.base import Sink
from providers.errors import Uncertain

UNSATISFIABLE = 416
_PARTIAL = 206
_CONTENT_RANGE = re.compile(r"bytes +([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)
_STRONG_TAG = re.compile(r'"[!#-~]+"')
"""An ETag that two different files never share; a weak one begins with W/."""


class _Part(NamedTuple):
    start: int
    total: int | None
    """The size of the whole file, where it is told."""


def rest_of(sink: Sink) -> dict[str, str]:
    """The headers that ask for what is missing, and for all of it should the file be another by now."""
    if not sink.size or sink.validator is None:
        return {}
    return {"Range": f"bytes={sink.size}-", "If-Range": sink.validator}


async def begun(response: aiohttp.ClientResponse, sink: Sink, start: int) -> int | None:
    """Make the sink ready for the answer to a request for all from `start` on.

    Returns the size of the whole file where only a part of it comes and that is told.
    """
    if response.status != _PARTIAL:
        await sink.begin(_validator_in(response.headers))
        return None
    part = _part_in(response.headers, sink.validator if start else None)
    if part is None or part.start != start:
        await sink.begin(None)
        raise Uncertain("not the part of the file that was asked for", status=response.status)
    if not start:
        await sink.begin(_validator_in(response.headers))
    return part.total


def _validator_in(headers: Mapping[str, str]) -> str | None:
    """What tells this file from every other version of it: a strong ETag, else its date."""
    if _is_encoded(headers):
        return None  # offsets count encoded bytes, and those are not what we keep
    if _STRONG_TAG.fullmatch(tag := headers.get("ETag", "")):
        return tag
    date = headers.get("Last-Modified", "")
    return date if date and date.isascii() and date.isprintable() else None


def _part_in(headers: Mapping[str, str], validator: str | None) -> _Part | None:
    """Which part an answer with status 206 brings; None if it is not one of the file that we have.

    Some servers look at Range and not at If-Range, so that the validator is compared here too.
    """
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if found is None or _is_encoded(headers):
        return None
    if validator is not None:
        field = "ETag" if validator.startswith('"') else "Last-Modified"
        if headers.get(field, validator) != validator:
            return None
    start, end = int(found[1]), int(found[2])
    total = None if found[3] == "*" else int(found[3])
    if end < start or (total is not None and total <= end):
        return None
    return _Part(start, total)


def _is_encoded(headers: Mapping[str, str]) -> bool:
    return headers.get("Content-Encoding", "identity").strip().lower() != "identity"
