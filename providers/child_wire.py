"""What a program and its decoding child say to each other. Imported by both, so it imports little."""

import json
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

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
    size = None if job.data is None else len(job.data)
    return _pack({**job._asdict(), "data": size}) + (job.data or b"")


def read_call(stream: BinaryIO) -> Call:
    """The call that comes on a stream, which stays open."""
    (length,) = _LENGTH.unpack(stream.read(_LENGTH.size))
    head = json.loads(stream.read(length))
    size = head.pop("data")
    return Call(**head, data=None if size is None else stream.read(size))


def pack_answer(answer: Answer) -> bytes:
    head = {"facts": answer.facts, "sizes": [len(blob) for blob in answer.blobs]}
    return _pack(head) + b"".join(answer.blobs)


def pack_refusal(refusal: FileRejected) -> bytes:
    return _pack({"refused": str(refusal)})


def unpack_answer(message: bytes) -> Answer:
    """The answer, or the task's refusal raised again on this side; ValueError for anything else."""
    try:
        (length,) = _LENGTH.unpack_from(message)
        if length > _LONGEST_HEAD:
            raise ValueError(f"a head of {length} bytes")
        start = _LENGTH.size + length
        head: dict[str, Any] = json.loads(message[_LENGTH.size : start])
        if "refused" in head:
            raise FileRejected(head["refused"])
        blobs: list[bytes] = []
        for size in head["sizes"]:
            blobs.append(message[start : start + size])
            start += size
        return Answer(head["facts"], tuple(blobs))
    except (struct.error, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not an answer: {message[:80]!r}") from error


def _pack(head: Mapping[str, object]) -> bytes:
    text = json.dumps(head).encode()
    return _LENGTH.pack(len(text)) + text


def progress_writer(path: Path) -> Callable[[float], None]:
    """Writes the share that is done, from 0 to 1, to a file whenever it has grown by a hundredth."""
    told = -1.0

    def report(share: float) -> None:
        nonlocal told
        if share >= told + 0.01:
            told = share
            path.write_text(f"{share:.3f}")

    return report


def read_progress(path: Path) -> float:
    """The share that stands in the file; 0 where none does: it is not there yet, or just being written."""
    with suppress(OSError, ValueError):
        return float(path.read_text())
    return 0.0
