"""Venice's refusals, which come in eight shapes: what each means, and what of it a person can use.

Source: the error schemas of the OpenAPI document and the page of error codes.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue

from providers.base import Failed
from providers.errors import (
    Advice,
    ContentRefused,
    Forbidden,
    InvalidRequest,
    NeedsConsent,
    NotFound,
    Overloaded,
    Problem,
    ProviderError,
    Rejected,
    Unauthorized,
)
from providers.http import JsonObject
from providers.specs import OPTIONS

Words: TypeAlias = Callable[[JsonValue], str]
"""The vendor's own words, without our key in them."""

UNPROCESSABLE = 422
_OPTIONS = {"image_url": "image", "end_image_url": "end_image", "audio_url": "audio_file"}
"""Fields that are called otherwise here."""
_CODE = re.compile(r"\b[A-Z]+(?:_[A-Z]+)+\b")
_QUOTED = re.compile(r"""["'`]([\w:. +-]{1,20})["'`]""")
_PLAIN = re.compile(r"[\w:. +-]{1,20}")
_MODEL = re.compile(r"[\w./:-]{1,60}")
_PRO_ONLY = re.compile(r"only available to pro\b", re.IGNORECASE)
"""A good key asks for a model of another plan; 401 has no code for it in the document, only these words."""
_MOST_ALLOWED = 12
_PROBLEMS: Mapping[str, Problem] = {
    "TOO_LARGE": Problem.FILE_TOO_LARGE,
    "TOO_SMALL": Problem.FILE_TOO_SMALL,
    "DURATION": Problem.FILE_TOO_LONG,
    "CORRUPTED": Problem.FILE_UNREADABLE,
    "FORMAT": Problem.FILE_UNREADABLE,
}
"""What is in the codes that find fault with a file and not with what it shows."""
_KINDS: Mapping[str, type[Rejected]] = {
    "PRO_ONLY_MODEL": Forbidden,
    "INVALID_MODEL": NotFound,
    "MODEL_NOT_FOUND": NotFound,
}
"""Codes that say more than their status does."""


class _Objection(BaseModel):
    """The fields of an error, whether they stand beside `error` or in it."""

    model_config = ConfigDict(extra="ignore")

    code: JsonValue = None
    type: JsonValue = None
    suggested_prompt: JsonValue = None
    recommended_model: JsonValue = None
    credits_refunded: JsonValue = None
    issues: JsonValue = None
    details: JsonValue = None


def refined(error: ProviderError, body: JsonObject, words: Words) -> ProviderError:
    """The error that the answer's body makes of the one that its status is."""
    # What was perhaps accepted stays in doubt, and what is only not now stays so, whatever the words say.
    if not isinstance(error, Rejected) or isinstance(error, Overloaded):
        return error
    nested = body.get("error")
    said = _Objection.model_validate({**body, **(nested if isinstance(nested, dict) else {})})
    code = said.code if isinstance(said.code, str) else _code_in(error.detail)
    if isinstance(error, Unauthorized) and _PRO_ONLY.search(error.detail):
        code = "PRO_ONLY_MODEL"
    if (kind := _KINDS.get(code)) is not None:
        return kind(error.detail, status=error.status)
    if not isinstance(error, InvalidRequest):
        return error
    advice = _advice(error, said, code, words)
    if code == "needs_consent":
        return NeedsConsent(error.detail, status=error.status)
    if error.status == UNPROCESSABLE and advice.problem is None and _is_refusal(nested, said, code):
        return ContentRefused(error.detail, status=error.status, advice=advice)
    wrong = said.issues or said.details
    detail = f"{error.detail} {words(json.dumps(wrong))}" if wrong else error.detail
    return InvalidRequest(detail, status=error.status, advice=advice)


def verdict(error: InvalidRequest) -> Failed:
    """What an objection to a video that was being made means for it."""
    return Failed(detail=error.detail, refused=isinstance(error, ContentRefused), advice=error.advice)


def _code_in(text: str) -> str:
    found = _CODE.search(text)
    return found[0] if found else ""


def _advice(error: InvalidRequest, said: _Objection, code: str, words: Words) -> Advice:
    problems = (problem for part, problem in _PROBLEMS.items() if part in code)
    option, allowed = _wrong_option(said)
    refunded = said.credits_refunded
    return Advice(
        suggested_prompt=_text(said.suggested_prompt, words),
        recommended_model=_model(said.recommended_model),
        refunded=refunded if isinstance(refunded, bool) else None,
        problem=next(problems, error.advice.problem),
        option=option,
        allowed=allowed,
    )


def _text(value: JsonValue, words: Words) -> str | None:
    return words(value) if isinstance(value, str) and value else None


def _model(value: JsonValue) -> str | None:
    """A model's id, as long as it looks like one: it is shown."""
    return value if isinstance(value, str) and _MODEL.fullmatch(value) else None


def _wrong_option(said: _Objection) -> tuple[str | None, tuple[str, ...]]:
    """The first option of ours that is objected to, and what would have been allowed there."""
    issues = said.issues if isinstance(said.issues, list) else []
    for issue in issues:
        if not isinstance(issue, dict):
            continue
        path = issue.get("path")
        if isinstance(path, list) and path and (option := _ours(path[0])):
            return option, _allowed(issue)
    fields = said.details if isinstance(said.details, dict) else {}
    return next((option for field in fields if (option := _ours(field))), None), ()


def _ours(field: JsonValue) -> str | None:
    option = _OPTIONS.get(str(field), str(field))
    return option if option in {"prompt", "image", *OPTIONS} else None


def _allowed(issue: JsonObject) -> tuple[str, ...]:
    """Values come as a list, or quoted in a sentence of what was expected."""
    listed = issue.get("values") or issue.get("options")
    if isinstance(listed, list):
        found = [str(value) for value in listed if _PLAIN.fullmatch(str(value))]
    else:
        found = _QUOTED.findall(str(issue.get("expected")))
    return tuple(dict.fromkeys(found))[:_MOST_ALLOWED]


def _is_refusal(nested: JsonValue, said: _Objection, code: str) -> bool:
    """Whether a 422 is about content: bare words are; an object has to say so."""
    if isinstance(nested, dict):
        return said.type == "provider_content_policy" or code == "CONTENT_POLICY_VIOLATION"
    return isinstance(nested, str)
