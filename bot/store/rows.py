"""Jobs as rows of the database, and back."""

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import datetime
from typing import cast

from pydantic import TypeAdapter, ValidationError

from bot.jobs import Job, JobState
from bot.store.db import Row, Value, clean, to_text
from providers.base import Succeeded
from providers.errors import Advice
from providers.specs import VideoRequest

log = logging.getLogger(__name__)


def among(states: frozenset[JobState]) -> str:
    """States as an SQL list; they are our own words."""
    return "(" + ", ".join(f"'{state}'" for state in sorted(states)) + ")"


def to_value(value: object) -> Value:
    match value:
        case datetime():
            return to_text(value)
        case Succeeded() | VideoRequest() | Advice():
            return value.model_dump_json(exclude_none=True)
        case dict():
            return json.dumps(value)
        case str():
            return clean(value)
        case int() | None:
            return value
        case _:
            raise TypeError(f"no column takes a {type(value).__name__}")


def time_of(value: Value) -> datetime:
    return datetime.fromisoformat(str(value))


_JOB = TypeAdapter(Job)
_COLUMNS = tuple(field.name for field in fields(Job))
_JSON_COLUMNS = ("request", "operation", "video", "advice", "role_ids")


class Unreadable(Exception):
    """A row that this version does not understand, such as one of a newer version; the job is left alone."""


def job_of(row: Row) -> Job:
    """Raises Unreadable."""
    try:
        parsed = {name: json.loads(str(row[name])) for name in _JSON_COLUMNS if row[name] is not None}
        return _JOB.validate_python({name: row[name] for name in _COLUMNS} | parsed)
    except ValidationError as error:
        # Without the values, among which is what a member has written.
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Unreadable(f"{where}: {first['msg']}") from None
    except ValueError as error:
        raise Unreadable(str(error)) from None


class Reader:
    """Reads jobs, and leaves those out that this version cannot read; each of them is logged once."""

    def __init__(self) -> None:
        self._told: set[int] = set()

    def each(self, rows: Iterable[Row]) -> Iterator[Job]:
        for row in rows:
            try:
                yield job_of(row)
            except Unreadable as error:
                self._tell(cast("int", row["id"]), error)

    def all(self, rows: Iterable[Row]) -> list[Job]:
        return list(self.each(rows))

    def _tell(self, job_id: int, error: Unreadable) -> None:
        if job_id not in self._told:
            self._told.add(job_id)
            log.error("job %d cannot be read, and is left alone: %s", job_id, error)
