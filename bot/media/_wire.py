"""What the bot and its decoding child say to each other. Imported by both, so it imports little."""

import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

Fact: TypeAlias = str | int | float | bool | None

_LENGTH = struct.Struct(">I")
_LONGEST_HEAD = 64 * 1024
"""Bytes; a child that was taken over may send anything."""


class FileRejected(Exception):
    """The task understood its input and will not take it; the message says why."""


class Answer(NamedTuple):
    """What a task hands back."""

    facts: Mapping[str, Fact]
    blobs: tuple[bytes, ...] = ()


class Call(NamedTuple):
    """What the child is to do: a function by its "module:name", and what limits it."""

    task: str
    memory: int
    """Bytes of address space."""
    cpu_seconds: int
    options: Mapping[str, Fact]
    data: bytes | None
    """The task's first argument; None where it takes only options."""
    reads: str | None = None
    writes: str | None = None
    """The one file or folder beside its own code that it may read, and the folder that it may write to."""


def pack_call(job: Call) -> bytes:
    head = {
        "task": job.task,
        "memory": job.memory,
        "cpu_seconds": job.cpu_seconds,
        "options": job.options,
        "has_data": job.data is not None,
        "reads": job.reads,
        "writes": job.writes,
    }
    return _pack(head) + (job.data or b"")


def unpack_call(message: bytes) -> Call:
    head, data = _unpack(message)
    has_data = head.pop("has_data")
    return Call(**head, data=data if has_data else None)


def pack_answer(answer: Answer) -> bytes:
    head = {"facts": answer.facts, "sizes": [len(blob) for blob in answer.blobs]}
    return _pack(head) + b"".join(answer.blobs)


def pack_refusal(refusal: FileRejected) -> bytes:
    return _pack({"refused": str(refusal)})


def unpack_answer(message: bytes) -> Answer:
    """The answer, or the task's refusal raised again on this side; ValueError for anything else."""
    try:
        head, rest = _unpack(message)
        if "refused" in head:
            raise FileRejected(head["refused"])
        blobs: list[bytes] = []
        for size in head["sizes"]:
            blobs.append(rest[:size])
            rest = rest[size:]
        return Answer(head["facts"], tuple(blobs))
    except (struct.error, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not an answer: {message[:80]!r}") from error


def _pack(head: Mapping[str, object]) -> bytes:
    text = json.dumps(head).encode()
    return _LENGTH.pack(len(text)) + text


def _unpack(message: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = _LENGTH.unpack_from(message)
    start = _LENGTH.size
    if length > _LONGEST_HEAD:
        raise ValueError(f"a head of {length} bytes")
    return json.loads(message[start : start + length]), message[start + length :]
