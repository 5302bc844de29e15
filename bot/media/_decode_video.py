"""Whether a file is a complete video that plays. Runs in a child process; refusals are for the log."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from bot.media._wire import Answer, Fact, Refused

MAX_SIDE = 8192
BOX_HEADER = 8
MIN_SHARE = 0.9
MAX_MISSING_SECONDS = 0.25
"""How much shorter than its header says a video may be: headers round, and edit lists trim."""


def verify(*, path: str) -> Answer:
    """Facts about the video; raises Refused unless it is an MP4 that is whole and decodes."""
    file = Path(path).absolute()
    boxes = check_boxes(file)
    try:
        # Named formats and protocols: no playlist inside may make the demuxer open anything else.
        with av.open(str(file), format="mp4", options={"protocol_whitelist": "file"}) as container:
            facts = _facts(container)
    except MemoryError:
        # Says more about this machine than about the file.
        raise
    except (FFmpegError, ValueError) as error:
        raise Refused(f"does not play: {error}") from error
    faststart = boxes.index("moov") < boxes.index("mdat")
    return Answer({**facts, "size_bytes": file.stat().st_size, "faststart": faststart})


def check_boxes(path: Path) -> list[str]:
    """The file's top-level boxes; raises Refused where they are not a whole MP4."""
    with path.open("rb") as file:
        start = file.read(BOX_HEADER + 4)
        if start[4:8] != b"ftyp":
            raise Refused(f"is no MP4: it starts with {start!r}" if start else "is empty")
        file.seek(0)
        boxes = list(_walk(file, path.stat().st_size))
    for needed in ("moov", "mdat"):
        if needed not in boxes:
            raise Refused(f"has no {needed} box: {boxes[:8]}")
    return boxes


def _walk(file: BinaryIO, end: int) -> Iterator[str]:
    at = 0
    # Fewer bytes than a header are padding: whatever matters is among the boxes or is missed above.
    while end - at >= BOX_HEADER:
        file.seek(at)
        size, raw = struct.unpack(">I4s", file.read(BOX_HEADER))
        name = raw.decode("latin-1")
        if size == 1:
            size = int.from_bytes(file.read(8), "big")
        elif size == 0:
            size = end - at
        if size < BOX_HEADER:
            raise Refused(f"has a {name!r} box of {size} bytes at {at}")
        if at + size > end:
            raise Refused(f"is cut off: {name!r} at {at} should have {size} bytes and has {end - at}")
        yield name
        at += size


def _facts(container: InputContainer) -> dict[str, Fact]:
    # Cover art of a sound file counts as a video stream too.
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving:
        raise Refused("has no video stream")
    stream = moving[0]
    context = stream.codec_context
    width, height = context.width, context.height
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise Refused(f"has {width} x {height} pixels")
    context.thread_count = 1
    audio = container.streams.audio
    return {
        "width": width,
        "height": height,
        "seconds": _seconds(container, stream),
        "codec": context.codec.canonical_name,
        "pixel_format": context.pix_fmt,
        "audio_codec": audio[0].codec_context.codec.canonical_name if audio else None,
    }


def _seconds(container: InputContainer, stream: VideoStream) -> float:
    """How long the stream is, after every packet has been read and the first frame decoded."""
    decoded = False
    spans: list[tuple[int, int]] = []
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise Refused(f"has a damaged packet at byte {packet.pos}")
        if not decoded:
            decoded = _first_frame(stream, packet)
        if packet.pts is not None:
            spans.append((packet.pts, packet.pts + (packet.duration or 0)))
    if not decoded:
        raise Refused("has no frame that decodes")
    base = float(stream.time_base or 0)
    measured = (max(end for _, end in spans) - min(start for start, _ in spans)) * base if spans else 0.0
    stated = (stream.duration or 0) * base
    if measured < stated * MIN_SHARE - MAX_MISSING_SECONDS:
        raise Refused(f"is cut off: it states {stated:.2f} s and has {measured:.2f} s")
    seconds = stated if stated > 0 else measured
    if seconds <= 0:
        raise Refused("has no duration")
    return seconds


def _first_frame(stream: VideoStream, packet: Packet) -> bool:
    frames = stream.decode(packet)
    if frames and frames[0].is_corrupt:
        raise Refused("has a damaged first frame")
    return bool(frames)
