"""Whether what a provider delivered is a video: whole, decodable, as long as it says."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from providers.child import Children
from providers.child_wire import FileRejected

SECONDS = 60
MEMORY = 1_500_000_000
"""Bytes."""


class BadVideo(Exception):
    """The provider delivered something that is no whole video. The message is for the log."""


@dataclass(frozen=True)
class VideoFacts:
    width: int
    height: int
    """As shown: square pixels, the right way up."""
    seconds: float
    codec: str
    """FFmpeg's name, such as "h264"."""
    audio_codec: str | None
    """None for a video without sound."""
    ready: bool
    """Every Discord client plays it in place as it is."""


_FACTS = TypeAdapter(VideoFacts)


def remember(facts: VideoFacts, path: Path) -> None:
    path.write_bytes(_FACTS.dump_json(facts))


def recall(path: Path) -> VideoFacts | None:
    """What was remembered there; None where nothing was, or only half of it."""
    try:
        return _FACTS.validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None


async def verify(children: Children, path: Path) -> VideoFacts:
    """What the file is, once every packet was read and a frame decoded.

    Raises BadVideo as a verdict on the file. ChildFailed passes through: nothing was found out, and the
    caller may look again.
    """
    try:
        answer = await children.run(
            "bot.media._probe:verify", seconds=SECONDS, memory=MEMORY, reads=path, path=str(path)
        )
    except FileRejected as refusal:
        raise BadVideo(f"{path.name} {refusal}") from refusal
    return _FACTS.validate_python(answer.facts)
