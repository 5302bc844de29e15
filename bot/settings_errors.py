"""What is wrong with a setting, as a sentence: its name, what it should be, and an example.

No value is quoted: it may be a key.
"""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError


def sentences(error: ValidationError, model: type[BaseModel], prefix: str = "") -> list[str]:
    """One for each setting of the model that is wrong; what its own validators say begins with a verb."""
    found: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        # What lies deeper is a place inside one variable's value.
        field = str(problem["loc"][0])
        name = f"{prefix}{field}".upper()
        phrase = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            sentence = f"{name} is not a setting of Stillmotion: remove it from .env or correct it."
        elif field == "providers":
            sentence = phrase  # sentences by itself
        else:
            schema = _schema_of(model, field)
            phrase = phrase if problem["type"] == "value_error" else f"should be {_kind(schema)}"
            example = "" if "such as" in phrase else f", such as `{_example(schema)}`"
            sentence = f"{name} {phrase}{example}."
        found.setdefault(name, sentence)
    return [line for sentence in found.values() for line in sentence.splitlines()]


def any_of(words: Iterable[str]) -> str:
    """`a, b or c`."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _schema_of(model: type[BaseModel], field: str) -> dict[str, Any]:
    """A field's own JSON schema; where it may be nothing as well, that of what it may be."""
    whole = model.model_json_schema()
    found: dict[str, Any] = whole["properties"][field]
    inner: dict[str, Any] = found.get("anyOf", [{}])[0]
    referred: dict[str, Any] = whole.get("$defs", {}).get(found.get("$ref", "").rpartition("/")[2], {})
    return {**referred, **inner, **found}


def _kind(schema: dict[str, Any]) -> str:
    match schema:
        case {"description": said}:
            return str(said)
        case {"enum": words}:
            return f"one of {any_of(map(str.lower, words))}"
        case {"type": "boolean"}:
            return "true or false"
        case {"type": "array", "items": item}:
            return f"a list with commas between its entries, each {_kind(item)}"
        case {"type": "integer" | "number" as kind}:
            return f"a {'whole ' if kind == 'integer' else ''}number{_bounds(schema)}"
        case _:
            return "text"


def _bounds(schema: dict[str, Any]) -> str:
    match schema:
        case {"minimum": low, "maximum": high}:
            return f" from {low} to {high}"
        case {"minimum": low}:
            return f" of at least {low}"
        case {"exclusiveMinimum": low}:
            return f" above {low}"
        case _:
            return ""


def _example(schema: dict[str, Any]) -> str:
    """As it is written in .env."""
    found = schema["examples"][0] if "examples" in schema else schema.get("default")
    if found is None:
        found = schema["enum"][0] if "enum" in schema else 10
    if isinstance(found, list):
        return ", ".join(map(str, found))  # pyright: ignore[reportUnknownArgumentType] - of JSON
    return str(found).lower() if "enum" in schema or isinstance(found, bool) else str(found)
