"""The streams of a video on their way from one file to another. Runs in a child process."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import InvalidDataError
from av.filter import Graph
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from bot.media._probe import Probe, decode

if TYPE_CHECKING:
    from av.filter.context import FilterContext

Size: TypeAlias = tuple[int, int]

THREADS = 2
KEY_SECONDS = 2
SOUND_RATE = 48000
RGB, UNSPECIFIED = 0, 2
"""In place of the matrix by which colours are stored."""
HD = 720


@dataclass(frozen=True)
class Plan:
    """One way through the file."""

    source: Probe
    target: Path
    size: Size | None
    """None copies the pictures as they are."""
    sound_bits: int | None
    """Bits per second; None copies the sound, or there is none."""
    give_up: int
    """Bytes from which on nothing is written any more: only the statistics count then."""
    options: tuple[tuple[str, str], ...] = ()
    bits: int = 0
    """Bits per second of the pictures; 0 where the options say how good they shall be."""
    flags: int = 0


class CopiedStream:
    """Takes packets of a stream over as they are."""

    def __init__(self, made: OutputContainer, stream: VideoStream | AudioStream, start: float) -> None:
        # PyAV leaves its **kwargs without a type; none are given.
        add = made.add_stream_from_template  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - its **kwargs
        self._stream = add(stream, opaque=True)
        self._start = start

    def take(self, packet: Packet) -> Iterator[Packet]:
        # The last packet of a stream only says that there are no more.
        if packet.dts is not None:
            shift = _ticks(self._start, packet.time_base)
            packet.dts -= shift
            if packet.pts is not None:
                packet.pts -= shift
            packet.stream = self._stream
            yield packet


class Pictures:
    """Decodes, turns upright, spaces evenly, scales and encodes the pictures."""

    def __init__(self, made: OutputContainer, stream: VideoStream, plan: Plan) -> None:
        self.decoded = 0
        self._stream = stream
        self._plan = plan
        add = made.add_stream  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - its **kwargs
        source, rate = stream.codec_context, plan.source.rate
        self._encoder = add("libx264", rate, dict(plan.options))
        self._encoder.width, self._encoder.height = plan.size or (0, 0)
        self._encoder.pix_fmt = "yuv420p"
        self._encoder.gop_size = round(KEY_SECONDS * rate)
        self._encoder.thread_count = THREADS
        context = self._encoder.codec_context
        context.time_base = 1 / rate
        context.flags |= plan.flags
        if plan.bits:
            context.bit_rate, context.bit_rate_tolerance = plan.bits, plan.bits // 100
        context.color_primaries, context.color_trc = source.color_primaries, source.color_trc
        context.colorspace, context.color_range = _matrix(source), ColorRange.MPEG
        self._graph: Graph | None = None

    def take(self, packet: Packet) -> Iterator[Packet]:
        for frame in decode(self._stream, packet):
            self.decoded += 1
            self._graph = self._graph or self._filters(frame)
            if frame.pts is not None:
                frame.pts -= _ticks(self._plan.source.start, frame.time_base)
            self._graph.vpush(frame)
            yield from self._encoded(self._graph)
        if not packet.size and self._graph:
            self._graph.vpush(None)
            yield from self._encoded(self._graph)
            yield from self._encoder.encode(None)

    def _encoded(self, graph: Graph) -> Iterator[Packet]:
        with suppress(BlockingIOError, EOFError):
            while True:
                frame = graph.vpull()
                # The encoder would take the decoder's kinds of pictures for orders.
                frame.pict_type = PictureType.NONE
                yield from self._encoder.encode(frame)

    def _filters(self, frame: VideoFrame) -> Graph:
        turned = {90: ["transpose=cclock"], -90: ["transpose=clock"], 180: ["hflip", "vflip"]}
        width, height = self._plan.size or (0, 0)
        matrix = ":out_color_matrix=bt709" if frame.colorspace == RGB else ""
        return chain(
            Graph(),
            f"buffer=width={frame.width}:height={frame.height}:pix_fmt={frame.format.name}"
            f":time_base={frame.time_base}:colorspace={frame.colorspace}:range={frame.color_range}",
            f"fps={self._plan.source.rate}:start_time=0",
            *turned.get(self._plan.source.rotation, []),
            f"scale={width}:{height}:flags=lanczos:out_range=tv{matrix}",
            "setsar=1",
            "format=yuv420p",
            "buffersink",
        )


def _matrix(source: VideoCodecContext) -> int:
    """Said aloud where the source does not: players guess it from the height, which may change here."""
    if source.colorspace in (RGB, UNSPECIFIED):
        is_hd = source.colorspace == RGB or source.height >= HD
        return Colorspace.ITU709 if is_hd else Colorspace.ITU601
    return source.colorspace


class Sound:
    """Decodes sound and encodes it as AAC, with silence where there is a gap."""

    def __init__(self, made: OutputContainer, stream: AudioStream, plan: Plan) -> None:
        self._stream = stream
        self._start = plan.source.start
        add = made.add_stream  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - its **kwargs
        self._encoder = add("aac", SOUND_RATE)
        self._encoder.bit_rate = plan.sound_bits or 0
        self._graph: Graph | None = None

    def take(self, packet: Packet) -> Iterator[Packet]:
        frames: list[AudioFrame] = []
        with suppress(InvalidDataError):
            frames = self._stream.decode(packet)
        for frame in frames:
            self._graph = self._graph or self._filters(frame)
            if frame.pts is not None:
                frame.pts -= _ticks(self._start, frame.time_base)
            self._graph.push(frame)
            yield from self._encoded(self._graph)
        if not packet.size and self._graph:
            self._graph.push(None)
            yield from self._encoded(self._graph)
            yield from self._encoder.encode(None)

    def _encoded(self, graph: Graph) -> Iterator[Packet]:
        with suppress(BlockingIOError, EOFError):
            while True:
                yield from self._encoder.encode(cast("AudioFrame", graph.pull()))

    def _filters(self, frame: AudioFrame) -> Graph:
        return chain(
            Graph(),
            f"abuffer=sample_rate={frame.sample_rate}:sample_fmt={frame.format.name}"
            f":channel_layout={frame.layout.name}:time_base={frame.time_base}",
            f"aresample={SOUND_RATE}:async=1000:first_pts=0",
            "aformat=sample_fmts=fltp:channel_layouts=stereo",
            "asetnsamples=1024:p=0",
            "abuffersink",
        )


def chain(graph: Graph, *filters: str) -> Graph:
    """Filters one after the other, each as FFmpeg writes it."""
    before: FilterContext | None = None
    for text in filters:
        name, _, arguments = text.partition("=")
        node = graph.add(name, arguments)
        if before:
            before.link_to(node)
        before = node
    graph.configure()
    return graph


def _ticks(seconds: float, base: Fraction | None) -> int:
    return round(seconds / base) if base else 0
