"""What Discord answers, read as far as it can be read: nulls and unknown shapes are nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

Object: TypeAlias = Mapping[str, object]


@dataclass(frozen=True)
class Message:
    id: int
    channel_id: int | None
    author_id: int | None
    content: str
    descriptions: tuple[str, ...]
    """Of its embeds."""
    custom_ids: frozenset[str]
    """Of its buttons."""


def message_of(answer: object) -> Message | None:
    """A message; None if not even its id can be read."""
    found = _object(answer)
    message_id = id_of(found)
    if message_id is None:
        return None
    content = found.get("content")
    descriptions = (_object(embed).get("description") for embed in objects(found.get("embeds")))
    return Message(
        id=message_id,
        channel_id=_int(found.get("channel_id")),
        author_id=id_of(found.get("author")),
        content=content if isinstance(content, str) else "",
        descriptions=tuple(text for text in descriptions if isinstance(text, str)),
        custom_ids=frozenset(_custom_ids(found.get("components"))),
    )


def attached(answer: object) -> frozenset[str] | None:
    """The names of a message's files; None if nobody can tell which it has."""
    files = _object(answer).get("attachments")
    if not isinstance(files, list):
        return None
    return frozenset(str(_object(file).get("filename")) for file in objects(cast("object", files)))


def id_of(answer: object) -> int | None:
    return _int(_object(answer).get("id"))


def objects(answer: object) -> list[object]:
    return cast("list[object]", answer) if isinstance(answer, list) else []


def _object(answer: object) -> Object:
    return cast("Object", answer) if isinstance(answer, dict) else {}


def _int(value: object) -> int | None:
    """A number, which Discord writes as text."""
    return int(value) if isinstance(value, str | int) and str(value).isdecimal() else None


def _custom_ids(components: object) -> Iterator[str]:
    for component in objects(components):
        found = _object(component)
        if isinstance(custom_id := found.get("custom_id"), str):
            yield custom_id
        yield from _custom_ids(found.get("components"))
