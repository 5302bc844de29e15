"""Whether what a provider delivered is a video: whole, decodable, as long as it says."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from bot.media._wire import Refused
from bot.media.child import Children

SECONDS = 60
MEMORY = 1_500_000_000
"""Bytes."""


class BadVideo(Exception):
    """The provider delivered something that is no whole video. The message is for the log."""


@dataclass(frozen=True)
class VideoFacts:
    width: int
    height: int
    seconds: float
    codec: str
    """FFmpeg's name, such as "h264"."""
    pixel_format: str | None
    audio_codec: str | None
    """None for a video without sound."""
    faststart: bool
    """Players can begin before they have the whole file."""
    size_bytes: int


_FACTS = TypeAdapter(VideoFacts)


async def verify(children: Children, path: Path) -> VideoFacts:
    """What the file is, once every packet was read and a frame decoded.

    Raises BadVideo as a verdict on the file. ChildFailed passes through: nothing was found out, and the
    caller may look again.
    """
    try:
        answer = await children.run(
            "bot.media._decode_video:verify", seconds=SECONDS, memory=MEMORY, path=str(path)
        )
    except Refused as refusal:
        raise BadVideo(f"{path.name} {refusal}") from refusal
    return _FACTS.validate_python(answer.facts)
