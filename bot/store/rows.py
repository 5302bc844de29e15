"""Jobs as rows of the database, and back."""

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime

from pydantic import TypeAdapter

from bot.jobs import Job, JobState
from bot.store.db import Row, Value, clean, to_text
from providers.base import Succeeded
from providers.errors import Advice
from providers.specs import VideoRequest


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


def jobs_of(rows: Sequence[Row]) -> list[Job]:
    return [job_of(row) for row in rows]


_JOB = TypeAdapter(Job)
_COLUMNS = tuple(field.name for field in fields(Job))
_JSON_COLUMNS = ("request", "operation", "video", "advice", "role_ids")


def job_of(row: Row) -> Job:
    parsed = {name: json.loads(str(row[name])) for name in _JSON_COLUMNS if row[name] is not None}
    return _JOB.validate_python({name: row[name] for name in _COLUMNS} | parsed)
