"""The boxes an MP4 is made of: whether they are all there, and in an order to play by. Runs in a child."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from providers.child_wire import FileRejected

HEADER = 8


def check_boxes(path: Path) -> list[str]:
    """The file's top-level boxes; raises FileRejected where they are not a whole MP4."""
    with path.open("rb") as file:
        boxes = list(_walk(file, path.stat().st_size))
    for needed in ("moov", "mdat"):
        if needed not in boxes:
            raise FileRejected(f"has no {needed} box: {boxes[:8]}")
    return boxes


def progressive(boxes: Sequence[str]) -> bool:
    """Players can begin before they have it all, and need no fragments put together to seek in it."""
    return boxes[0] == "ftyp" and boxes.index("moov") < boxes.index("mdat") and "moof" not in boxes


def _walk(file: BinaryIO, end: int) -> Iterator[str]:
    at = 0
    # Fewer bytes than a header are padding: whatever matters is among the boxes or is missed above.
    while end - at >= HEADER:
        file.seek(at)
        size, raw = struct.unpack(">I4s", file.read(HEADER))
        name = raw.decode("latin-1")
        if size == 1:
            size = int.from_bytes(file.read(8), "big")
        elif size == 0:
            size = end - at
        if size < HEADER:
            raise FileRejected(f"has a {name!r} box of {size} bytes at {at}")
        if at + size > end:
            raise FileRejected(f"is cut off: {name!r} at {at} should have {size} bytes and has {end - at}")
        yield name
        at += size
