"""The checker itself, where Discord's document is there to check by."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests import openapi

pytestmark = pytest.mark.skipif(not openapi.present(), reason=f"{openapi.DOCUMENT} is not there")


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    json: Any = None


def test_requests_as_documented_pass() -> None:
    openapi.check(
        [
            Asked("GET", "/users/@me"),
            Asked("POST", "/channels/1/messages", {"content": "hello", "nonce": "42", "enforce_nonce": True}),
            Asked("PATCH", "/channels/1/messages/2", {"attachments": [{"id": 0, "filename": "a.mp4"}]}),
            Asked("POST", "/interactions/1/token/callback", {"type": 5, "data": {"flags": 64}}),
            Asked("PATCH", "/webhooks/1/token/messages/@original", {"content": "done"}),
        ]
    )


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Asked("POST", "/channels/1/messages", {"content": "a" * 4001}), "$.content"),
        (Asked("POST", "/channels/1/messages", {"nonce": "a" * 26}), "$.nonce"),
        (Asked("PATCH", "/channels/1/messages/2", {"components": [{"type": 99}]}), "$.components[0]"),
        (Asked("PUT", "/applications/1/commands", [{"name": "a" * 33, "description": "b"}]), "$[0].name"),
        (Asked("POST", "/interactions/1/token/callback"), "a body is missing"),
        (Asked("DELETE", "/channels/1/messages/2", {"reason": "why not"}), "no body"),
        (Asked("POST", "/channels/1/videos", {}), "no such call"),
    ],
)
def test_what_the_document_does_not_allow_is_named(asked: Asked, words: str) -> None:
    with pytest.raises(AssertionError) as raised:
        openapi.check([asked])
    assert f"{asked.method} {asked.path}" in str(raised.value)
    assert words in str(raised.value)
