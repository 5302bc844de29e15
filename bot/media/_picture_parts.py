"""How many parts a picture's file is made of, counted before it is decoded. Runs in a child.

A decoder goes through the whole picture for each pass of a JPEG, and for each part through Python. Files that
consist of hardly anything else keep a core busy for minutes, in a few megabytes.
"""

import re
from collections.abc import Iterator

from providers.child_wire import FileRejected

MAX_SCANS = 100
"""Honest progressive pictures have about ten, and no encoder is known to make more than thirty."""
MAX_SEGMENTS = 5_000
"""The largest profiles and metadata take 600."""
MAX_CHUNKS = 20_000
"""Encoders write pixels in pieces of 8 KB and more: 3,200 in the largest file."""

_MARKER = re.compile(rb"\xff+[\x01-\xcf\xd9-\xfe]")
"""Between and behind a JPEG's coded pixels, in which 0xff never stands before these."""
_END_OF_IMAGE, _SCAN, _BARE = 0xD9, 0xDA, 0x01
_PNG_HEAD, _CHUNK_FRAME = 8, 12


def check_parts(kind: str, data: bytes) -> None:
    """Raises FileRejected for a JPEG or PNG in more parts than any honest one. `kind` is Pillow's name."""
    if kind == "JPEG":
        _check_jpeg(data)
    elif kind == "PNG":
        for number, _ in enumerate(_chunks(data)):
            if number >= MAX_CHUNKS:
                raise _too_many("PNG", MAX_CHUNKS, "pieces")


def _check_jpeg(data: bytes) -> None:
    scans = 0
    for segments, marker in enumerate(_markers(data), start=1):
        scans += marker == _SCAN
        if scans > MAX_SCANS:
            raise _too_many("JPEG", MAX_SCANS, "passes")
        if segments > MAX_SEGMENTS:
            raise _too_many("JPEG", MAX_SEGMENTS, "pieces")


def _markers(data: bytes) -> Iterator[int]:
    """Those of the first picture, as a decoder would find them; what phones put behind it is not decoded."""
    at = 2
    while found := _MARKER.search(data, at):
        at = found.end()
        marker = data[at - 1]
        if marker == _END_OF_IMAGE:
            return
        yield marker
        if marker != _BARE:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))


def _chunks(data: bytes) -> Iterator[bytes]:
    at = _PNG_HEAD
    while at < len(data):
        name = data[at + 4 : at + 8]
        yield name
        if name == b"IEND":
            return
        at += _CHUNK_FRAME + int.from_bytes(data[at : at + 4], "big")


def _too_many(kind: str, most: int, parts: str) -> FileRejected:
    return FileRejected(
        f"That {kind} image is made of more than {most:,} {parts}, which takes too long to decode. "
        "Open it, save it again and attach the new file; nothing was charged."
    )
