"""What a video is, from its headers, its packets and one picture. Runs in a child process."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from bot.media._boxes import check_boxes, progressive
from providers.child_wire import Answer, FileRejected

MAX_SIDE = 8192
MAX_PIXELS = 8192 * 4352
"""8K. A decoder may hold sixteen pictures at once."""
MAX_SECONDS = 900.0
MIN_SHARE = 0.9
MAX_MISSING_SECONDS = 0.25
"""How much shorter than its header says a video may be: headers round, and edit lists trim."""
MAX_RATE = Fraction(60)
"""Pictures per second: more is shown by no player in a chat."""
MAX_GAP = 0.5
"""Seconds between two pictures from which on players stutter, or seek to the wrong place."""
SMALL_OFFSET = 0.1
"""Seconds. Sound begins a little before the pictures because of how AAC works; that is no late start."""
PROFILES = ("Constrained Baseline", "Baseline", "Main", "High")
"""Of H.264: those that every decoder knows, in hardware too."""
MAX_LEVEL = b"\x34"
"""Of H.264, as its header has it: 5.2, which is 4K. Beyond that browsers and phones give up."""
_ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_EBML = b"\x1a\x45\xdf\xa3"


@dataclass(frozen=True)
class Probe:
    path: Path
    format: str
    """The demuxer: "mp4" or "matroska"."""
    size: tuple[int, int]
    """Pixels as shown: square ones, the right way up."""
    rotation: int
    """Degrees against the clock that a player turns the pictures by: 0, 90, 180 or -90."""
    start: float
    """Seconds on the file's own clock at which it begins."""
    seconds: float
    rate: Fraction
    """Pictures per second; the usual distance decides where it varies."""
    frames: int
    codec: str
    """FFmpeg's name, such as "h264"."""
    plain: bool
    """Every client shows its pictures as they are: common H.264 in an MP4, with even sides and timing."""
    ready: bool
    """And so is the file around them, with AAC or no sound: it can be posted as it is."""
    video_bytes: int
    audio_bytes: int
    audio: str | None
    """FFmpeg's name of the sound's codec; None without sound."""


@dataclass(frozen=True)
class _Seen:
    """What the packets have told."""

    pts: list[float]
    """Of the pictures in the order they are shown, in seconds."""
    ends: float
    starts: float
    """When the first of either stream is due."""
    video_bytes: int
    audio_bytes: int
    first: VideoFrame


def verify(*, path: str) -> Answer:
    """Facts about the video; raises FileRejected unless it is whole and decodes."""
    source = probe(Path(path).absolute())
    width, height = source.size
    return Answer(
        {
            "width": width,
            "height": height,
            "seconds": source.seconds,
            "codec": source.codec,
            "audio_codec": source.audio,
            "ready": source.ready,
        }
    )


def probe(path: Path) -> Probe:
    """Read all of its packets and decode one picture; raises FileRejected for what is no video to work on."""
    name = _format(path)
    playable = name == "mp4" and progressive(check_boxes(path))
    try:
        with open_source(path, name) as container:
            return _inspect(container, path, name, playable=playable)
    except MemoryError:
        # Says more about this machine than about the file.
        raise
    except (FFmpegError, ValueError) as error:
        raise FileRejected(f"does not play: {error}") from error


def open_source(path: Path, name: str) -> InputContainer:
    # Named formats and protocols: no playlist inside may make the demuxer open anything else.
    return av.open(str(path), format=name, options={"protocol_whitelist": "file"})


def streams(container: InputContainer) -> tuple[VideoStream, AudioStream | None]:
    """The pictures and the sound; raises FileRejected if there are none that can be decoded."""
    moving = [
        stream
        for stream in container.streams.video
        # Cover art counts as a stream too. Without a decoder there is no context.
        if not stream.disposition & Disposition.attached_pic and known(stream)
    ]
    if not moving:
        raise FileRejected("has no video stream that can be decoded")
    moving[0].codec_context.thread_count = 1
    sounds = [stream for stream in container.streams.audio if known(stream)]
    return moving[0], sounds[0] if sounds else None


def known(stream: VideoStream | AudioStream) -> bool:
    # The annotation promises a context; for an unknown codec there is none.
    return bool(stream.codec_context)


def _format(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[:4] == _EBML:
        return "matroska"
    if head[4:8] in _ISO_BOXES:
        return "mp4"
    raise FileRejected(f"is neither MP4 nor WebM: it starts with {head!r}" if head else "is empty")


def _inspect(container: InputContainer, path: Path, name: str, *, playable: bool) -> Probe:
    video, audio = streams(container)
    context = video.codec_context
    width, height = context.width, context.height
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise FileRejected(f"has {width} x {height} pixels")
    stated = _stated(container, video)
    if stated > MAX_SECONDS:
        raise FileRejected(f"states a duration of {stated:.0f} s")
    seen = _read(container, video, audio)
    seconds = max(seen.ends - seen.pts[0], 1 / float(MAX_RATE))
    if seen.ends - seen.starts > MAX_SECONDS:
        raise FileRejected(f"has {seen.ends - seen.starts:.0f} s")
    # WebM states where the clock ends, which may have begun late.
    if max(seconds, seen.ends) < stated * MIN_SHARE - MAX_MISSING_SECONDS:
        raise FileRejected(f"is cut off: it states {stated:.2f} s and has {seconds:.2f} s")
    gaps = [after - before for before, after in pairwise(seen.pts) if after > before]
    plain = _plain(context, seen.first) and max(gaps, default=0.0) <= MAX_GAP
    start = 0.0 if abs(seen.starts) < SMALL_OFFSET else seen.starts
    sound = audio.codec_context.codec.canonical_name if audio else None
    # Tracks beside these, and QuickTime's own kind of file, are what some players stumble over.
    bare = len(container.streams) == 1 + bool(audio) and container.metadata.get("major_brand") != "qt  "
    rotation = round(seen.first.rotation / 90) * 90
    return Probe(
        path=path,
        format=name,
        size=_upright(width, height, video.sample_aspect_ratio, rotation),
        rotation=-90 if rotation in (-90, 270) else abs(rotation),
        start=start,
        seconds=seconds,
        rate=_rate(gaps, video),
        frames=len(seen.pts),
        codec=context.codec.canonical_name,
        plain=plain,
        ready=plain and playable and bare and not start and sound in (None, "aac"),
        video_bytes=seen.video_bytes,
        audio_bytes=seen.audio_bytes,
        audio=sound,
    )


def _plain(context: VideoCodecContext, first: VideoFrame) -> bool:
    kind = (context.codec.canonical_name, context.codec_tag, context.pix_fmt) == ("h264", "avc1", "yuv420p")
    # The fourth byte of an MP4's H.264 header is the level.
    common = context.profile in PROFILES and (context.extradata or b"")[3:4] <= MAX_LEVEL
    return kind and common and not (context.width % 2 or context.height % 2 or first.interlaced_frame)


def _stated(container: InputContainer, video: VideoStream) -> float:
    if video.duration and video.time_base:
        return float(video.duration * video.time_base)
    return (container.duration or 0) / av.time_base


def _read(container: InputContainer, video: VideoStream, audio: AudioStream | None) -> _Seen:
    shown: list[tuple[float, float]] = []
    first: VideoFrame | None = None
    starts = float("inf")
    sizes = {video.index: 0, audio.index if audio else -1: 0}
    for packet in container.demux(*(stream for stream in (video, audio) if stream)):
        if packet.is_corrupt:
            raise FileRejected(f"has a damaged packet at byte {packet.pos}")
        sizes[packet.stream.index] += packet.size
        if packet.stream.index == video.index and first is None:
            first = _first(decode(video, packet))
        if packet.pts is None or packet.is_discard:
            continue
        at = float(packet.pts * packet.time_base)
        starts = min(starts, at)
        if packet.stream.index == video.index:
            shown.append((at, at + float((packet.duration or 0) * packet.time_base)))
    if first is None:
        raise FileRejected("has no frame that decodes")
    if not shown:
        raise FileRejected("has no duration")
    shown.sort()
    return _Seen(
        pts=[at for at, _ in shown],
        ends=shown[-1][1],
        starts=starts,
        video_bytes=sizes[video.index],
        audio_bytes=sizes.get(audio.index, 0) if audio else 0,
        first=first,
    )


def _first(frames: list[VideoFrame]) -> VideoFrame | None:
    if frames and frames[0].is_corrupt:
        raise FileRejected("has a damaged first frame")
    return frames[0] if frames else None


def decode(video: VideoStream, packet: Packet) -> list[VideoFrame]:
    """The pictures of a packet; none where it is damaged, which those around it may make up for."""
    try:
        return video.decode(packet)
    except InvalidDataError:
        return []


def _upright(width: int, height: int, aspect: Fraction | None, rotation: int) -> tuple[int, int]:
    wide = round(width * aspect) if aspect and Fraction(1, 8) < aspect < 8 else width  # noqa: PLR2004 - what no video is
    return (height, wide) if rotation % 180 else (wide, height)


def _rate(gaps: list[float], video: VideoStream) -> Fraction:
    if not gaps:
        return min(MAX_RATE, video.average_rate or Fraction(24))
    usual = median(gaps)
    stated = video.average_rate
    # Containers that count in milliseconds round every gap; their header knows better.
    if stated and abs(float(stated) * usual - 1) < 0.05:  # noqa: PLR2004 - about the same
        return min(MAX_RATE, stated)
    return max(Fraction(1), min(MAX_RATE, Fraction(1 / usual).limit_denominator(100)))
