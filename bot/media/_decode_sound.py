"""What kind of sound file somebody attached. Runs in a child; refusals are sentences for the person."""

import io

import av
from av.container import InputContainer
from av.error import FFmpegError

from providers.child_wire import Answer, FileRejected

_KINDS = {"mp3": "audio/mpeg", "wav": "audio/wav"}
_NOT_A_SOUND = "That is not a sound file I can use. Attach an MP3 or WAV file; nothing was charged."


def probe(data: bytes) -> Answer:
    """Its type and length, once every packet was read and a piece of it decoded."""
    for name, media_type in _KINDS.items():
        if name == "mp3" and not _begins_as_mp3(data):
            continue
        try:
            with av.open(io.BytesIO(data), "r", format=name) as container:
                seconds = _length(container)
        except (FFmpegError, ValueError, LookupError, StopIteration):
            continue
        if seconds > 0:
            return Answer({"media_type": media_type, "seconds": seconds})
    raise FileRejected(_NOT_A_SOUND)


def _begins_as_mp3(data: bytes) -> bool:
    """With a tag or a frame: the demuxer finds frames in other files as well, such as in an MP4."""
    return data[:3] == b"ID3" or (data[:1] == b"\xff" and data[1:2] >= b"\xe0")


def _length(container: InputContainer) -> float:
    stream = container.streams.audio[0]
    # The annotation promises a decoder. Without one, PyAV crashes on the first packet.
    if not bool(stream.codec_context):
        return 0.0
    end = 0
    for packet in container.demux(stream):
        end = max(end, (packet.pts or 0) + (packet.duration or 0))
    container.seek(0)
    next(container.decode(stream))
    return float(end * stream.time_base) if stream.time_base else 0.0
