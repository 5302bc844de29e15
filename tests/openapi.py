"""Requests to Discord, held against Discord's own OpenAPI document where a checkout has it beside it.

    openapi.check(env.http_requests)      # simcord's
    openapi.check(discord.requests)       # the loopback server's

Where the document is absent, everything passes.
"""

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

_LONG_NUMBER = re.compile(r"\d{6,}")
"""An id or a time: a body is as right with one as with another, and is looked at once."""
DOCUMENT = Path(__file__).resolve().parents[2] / "shared" / "specs" / "discord-openapi.json"


class Request(Protocol):
    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str:
        """Without the API's prefix: `/channels/1/messages`."""
        ...

    @property
    def json(self) -> Any: ...


def present() -> bool:
    return DOCUMENT.exists()


def check(requests: Iterable[Request]) -> None:
    """Raise AssertionError with all that is wrong with these requests; without the document nothing is."""
    if present():
        wrong = [words for request in requests if (words := problem(request))]
        assert not wrong, "\n".join(wrong)


def problem(request: Request) -> str:
    """What Discord's document has against a request, in words; empty if nothing."""
    name = f"{request.method} {request.path}"
    template = _template(request.method.lower(), request.path)
    if template is None:
        return f"{name}: there is no such call"
    value = _normal(request.json)
    # The commands of one bot are mostly those of all others, and take long to look at.
    parts = [[part] for part in value] if isinstance(value, list) else [value]
    for part in parts:
        body = _LONG_NUMBER.sub(lambda found: "1" * len(found[0]), json.dumps(part))
        if wrong := _wrong_body(request.method.lower(), template, body):
            return f"{name}: {wrong}"
    return ""


@cache
def _wrong_body(method: str, template: str, body: str) -> str:
    validator, required = _validator(method, template)
    value = json.loads(body)
    if value is None:
        return "a body is missing" if required else ""
    if validator is None:
        return "there must be no body"
    error = best_match(validator.iter_errors(value))
    return f"{error.json_path}: {error.message}" if error else ""


@cache
def _document() -> Any:
    return json.loads(DOCUMENT.read_bytes())


@cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    """Every path of the document; the ones with the fewest gaps come first."""
    paths = sorted(_document()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), path) for path in paths]


@cache
def _template(method: str, path: str) -> str | None:
    paths = _document()["paths"]
    return next(
        (name for pattern, name in _templates() if pattern.fullmatch(path) and method in paths[name]), None
    )


@cache
def _validator(method: str, template: str) -> tuple[Draft202012Validator | None, bool]:
    body = _document()["paths"][template][method].get("requestBody")
    if body is None:
        return None, False
    # A file's parts are no part of the schema: what matters is the JSON that goes with them.
    schema = body["content"]["application/json"]["schema"]
    rooted = {**schema, "components": _document()["components"]}
    return Draft202012Validator(rooted), body.get("required", False)


def _normal(value: Any, within: str = "") -> Any:
    """The body as documented: discord.py sends many ids as numbers, which Discord takes as well."""
    if isinstance(value, dict):
        return {key: _normal_id(key, inner, within) for key, inner in value.items()}
    if isinstance(value, list):
        return [str(inner) if _is_id(within, inner) else _normal(inner, within) for inner in value]
    return value


def _normal_id(key: str, value: Any, within: str) -> Any:
    is_id = key.endswith("_id") or (within, key) == ("attachments", "id")
    return str(value) if is_id and isinstance(value, int) else _normal(value, key)


def _is_id(within: str, value: Any) -> bool:
    return within in {"users", "roles"} and isinstance(value, int)
