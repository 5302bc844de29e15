"""How EternalAI's answers are read: neither their shape nor the kind of their status can be relied on."""

import math
from collections.abc import Iterator

from pydantic import JsonValue

from providers import fields
from providers.fields import MOST_ENTRIES, identifier
from providers.http import JsonObject

DONE = {"success", "completed", "done"}
FAILED = {"failed", "error"}
_FIRST_ERROR = 400
_EFFECT_NAMES = ("id", "lora_id", "effect_id", "name", "tag")


def read(answer: JsonObject, field: str) -> JsonValue:
    """A field that is not empty, wherever it is: inside an envelope, on top, or inside the status."""
    for part in (answer.get("data"), answer.get("result"), answer, answer.get("status")):
        if isinstance(part, dict) and (found := part.get(field)) not in (None, ""):
            return found
    return None


def word(status: JsonValue) -> str:
    """The status in lower case; it may be a number, or lie inside an object."""
    while isinstance(status, dict):
        status = status.get("status")
    return fields.word(status if isinstance(status, str) else str(status)[: fields.LONGEST_WORD])


def refusal(answer: JsonObject) -> JsonValue:
    """What an answer with HTTP 200 says where it clearly means no: a status of failure, with words to it."""
    status = answer.get("status")
    # True and False are numbers here: 1 and 0.
    no = status <= 0 or status >= _FIRST_ERROR if isinstance(status, int) else word(status) in FAILED
    return said(answer) if no else None


def said(answer: JsonObject) -> JsonValue:
    """The vendor's words about what went wrong, if it has any."""
    return read(answer, "error") or read(answer, "message")


def progress(percent: JsonValue) -> float | None:
    """From 0 to 1. Nought says nothing: finished videos come with it, too."""
    found = fields.number(percent, 0, math.inf)
    return min(found, 100) / 100 if found else None


def effect_names(answer: JsonValue) -> frozenset[str]:
    """Everything that the listed effects may go by; their list is nowhere documented."""
    return frozenset(_effect_names(answer))


def _effect_names(answer: JsonValue) -> Iterator[str]:
    if isinstance(answer, dict):
        for key in ("data", "effects", "items"):
            yield from _effect_names(answer.get(key))
    if isinstance(answer, list):
        for item in answer[:MOST_ENTRIES]:
            names = [item.get(key) for key in _EFFECT_NAMES] if isinstance(item, dict) else [item]
            yield from (name for field in names if (name := identifier(field)))
