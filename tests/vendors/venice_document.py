"""Requests to Venice, held against its own OpenAPI document where a checkout has it beside it."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

DOCUMENT = Path(__file__).resolve().parents[3] / "shared" / "specs" / "venice-video-openapi.json"


def problem(method: str, path: str, body: Any) -> str:
    """What the document has against a call, in words; empty if nothing, or if there is no document."""
    if not DOCUMENT.exists():
        return ""
    call = _document()["paths"].get(path, {}).get(method.lower())
    if call is None:
        return f"{method} {path}: there is no such call"
    if "requestBody" not in call:
        return "" if body is None else f"{method} {path}: there must be no body"
    error = best_match(_validator(path, method.lower()).iter_errors(body))
    return f"{method} {path}: {error.json_path}: {error.message}" if error else ""


@cache
def _document() -> Any:
    return json.loads(DOCUMENT.read_bytes())


@cache
def _validator(path: str, method: str) -> Draft202012Validator:
    body = _document()["paths"][path][method]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": _document()["components"]})
