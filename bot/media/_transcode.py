"""Makes a video that Discord plays and takes: H.264, yuv420p, AAC, index in front. Runs in a child."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.codec.context import Flags
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from bot.media._probe import Probe, open_source, probe, streams
from bot.media._streams import CopiedStream, Pictures, Plan, Size, Sound
from providers.child_wire import Answer, FileRejected, progress_writer

NICER = 5
"""On top of what every child is: a video takes a minute, and pictures should not wait for it."""
PRESET = "veryfast"
GOOD = 18
"""The constant quality (CRF) that nobody tells from the original: no clip needs more, however much may be."""
FILL = 0.98
"""How much of the limit the streams may take: the rest is the container and what rate control misses."""
UGLY = 0.1
"""Bits per pixel below which a smaller picture looks better, once it is shown as large as the full one.

Measured by SSIM at the same bytes, on clips of two or three seconds. The full size begins to win over three
quarters at 0.07 (a game of life in 720p), at 0.085, 0.12 and 0.17 (a fractal zoom in 1080p, 360p and 720p)
and beyond 0.13 (a turning texture in 1080p and 360p); three quarters win over a half from 0.075 to 0.14 of
their own bits per pixel. On gradients no size is worse than another by more than 0.001 from 0.035 on. Grain
shows no border: SSIM likes none of it better than some of it.
"""
HOPELESS = UGLY / 4
"""Bits per pixel for which not even a calm picture is good."""
SCALES = (Fraction(1), Fraction(3, 4), Fraction(1, 2), Fraction(3, 8), Fraction(1, 4), Fraction(1, 8))
MAX_PIXELS, FULL_HD = 1920 * 1088, 1920 * 1080
"""What old phones decode in hardware, and what comes of a larger picture."""
SMALLEST = 16
SOUND_BITS, LEAST_SOUND_BITS = 128_000, 32_000
SOUND_SHARE = 0.2
"""How much of the limit sound may take before it is encoded anew."""
LEAST_BITS = 5000
"""Per second of pictures: x264 counts in thousands, and nothing would be seen."""
TRIES, CORRECTION = 3, 0.95
"""Of the second pass, each time with fewer bits than what went wrong asks for."""
MIN_DECODED = 0.9
FULL = (errno.ENOSPC, errno.EDQUOT)
"""What a disk says that takes no more: that is no verdict on the video."""


def fit(*, path: str, target: str, limit: int) -> Answer:
    """Write `target`, of at most `limit` bytes, where the video goes into so few; FileRejected is no video.

    Files whose names begin with the target's stay behind: statistics, and the share done in `.progress`.
    """
    # Windows has no such thing.
    with suppress(AttributeError):
        os.nice(NICER)
    progress = Path(f"{target}.progress")
    return Answer({"way": make(Path(path), Path(target), limit, progress_writer(progress))})


def make(path: Path, target: Path, limit: int, report: Callable[[float], None]) -> str | None:
    """How it was made: "copied", "good", "filled" or "smaller"; None where it does not go into the limit."""
    source = probe(path.absolute())
    try:
        return _make(source, target, limit, report)
    except MemoryError:
        raise
    except (FFmpegError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        raise FileRejected(f"cannot be encoded: {error}") from error


def _make(source: Probe, target: Path, limit: int, report: Callable[[float], None]) -> str | None:
    sound_bits, sound_bytes = _sound(source, limit)
    base = Plan(source, target, None, sound_bits, limit)
    if source.plain and source.video_bytes + sound_bytes <= limit and _run(base, report, 0, 1) <= limit:
        return "copied"
    room = int(limit * FILL) - sound_bytes
    bits = int(room * 8 / source.seconds)
    sizes, needed = ladder(source), 0.0
    for size in sizes:
        pixels, plan = size[0] * size[1], replace(base, size=size)
        density = bits / float(pixels * source.rate)
        is_fine = density >= UGLY or size == sizes[-1]
        # A calm picture is good with fewer bits, unless the last size has shown that this one is not calm.
        if not is_fine and (density < HOPELESS or needed * pixels > limit):
            continue
        good = _good(plan, report)
        if good <= limit:
            return "good" if size == sizes[0] else "smaller"
        needed = good / pixels
        if is_fine and _filled(plan, bits, report) <= limit:
            return "filled" if size == sizes[0] else "smaller"
    return None


def _good(base: Plan, report: Callable[[float], None]) -> int:
    """A whole encode at a good quality, which is also the first of two passes; its size."""
    options = *_common(base), ("crf", str(GOOD)), ("fastfirstpass", "0")
    return _run(replace(base, options=options, flags=int(Flags.pass1)), report, 0, 0.5)


def _filled(base: Plan, bits: int, report: Callable[[float], None]) -> int:
    """The second pass, with as many bits as there may be; its size, which can still be too much."""
    size = base.give_up + 1
    for _ in range(TRIES):
        if bits < LEAST_BITS:
            break
        plan = replace(base, options=_common(base), bits=bits, flags=int(Flags.pass2))
        size = _run(plan, report, 0.5, 0.5)
        if size <= base.give_up:
            break
        # Short clips give the encoder too few pictures to make up for what it misses.
        bits = int(bits * base.give_up / size * CORRECTION)
    return size


def _common(plan: Plan) -> tuple[tuple[str, str], ...]:
    return ("preset", PRESET), ("stats", f"{plan.target}.stats")


def ladder(source: Probe) -> list[Size]:
    """Even sizes, from the full one downwards."""
    width, height = source.size
    cap = 1.0 if width * height <= MAX_PIXELS else (FULL_HD / (width * height)) ** 0.5
    sizes: list[Size] = []
    for scale in SCALES:
        size = _even(width * cap * float(scale)), _even(height * cap * float(scale))
        if size not in sizes:
            sizes.append(size)
    return sizes


def _even(side: float) -> int:
    return max(SMALLEST, 2 * round(side / 2))


def _sound(source: Probe, limit: int) -> tuple[int | None, int]:
    """Bits per second to encode the sound at, None to leave it as it is; and how many bytes it takes."""
    if source.audio is None:
        return None, 0
    if source.audio == "aac" and source.audio_bytes <= SOUND_SHARE * limit:
        return None, source.audio_bytes
    bits = int(min(SOUND_BITS, max(LEAST_SOUND_BITS, SOUND_SHARE * limit * 8 / source.seconds)))
    return bits, int(bits * source.seconds / 8)


def _run(plan: Plan, report: Callable[[float], None], done: float, share: float) -> int:
    """Go through the source once; the size of what came of it, or more than `give_up`."""
    written = _Written(plan.give_up)
    source = plan.source
    with open_source(source.path, source.format) as given:
        video, audio = streams(given)
        with av.open(str(plan.target), "w", format="mp4", options={"movflags": "+faststart"}) as made:
            pictures = Pictures(made, video, plan) if plan.size else CopiedStream(made, video, source.start)
            sound: Sound | CopiedStream | None = None
            if audio:
                copied = plan.sound_bits is None
                sound = CopiedStream(made, audio, source.start) if copied else Sound(made, audio, plan)
            for packet in given.demux(*(stream for stream in (video, audio) if stream)):
                if packet.stream.index == video.index:
                    written.add(made, pictures.take(packet))
                    if packet.pts is not None:
                        at = float(packet.pts * packet.time_base) - source.start
                        report(done + share * min(1.0, max(0.0, at / source.seconds)))
                elif sound:
                    written.add(made, sound.take(packet))
            if isinstance(pictures, Pictures) and pictures.decoded < MIN_DECODED * source.frames:
                raise FileRejected(f"has {source.frames} frames and {pictures.decoded} that decode")
    return written.bytes if written.bytes > plan.give_up else plan.target.stat().st_size


class _Written:
    """Counts what goes into a file, and stops writing once that is too much."""

    def __init__(self, give_up: int) -> None:
        self.bytes = 0
        self._give_up = give_up

    def add(self, made: OutputContainer, packets: Iterator[Packet]) -> None:
        for packet in packets:
            self.bytes += packet.size
            if self.bytes <= self._give_up:
                made.mux(packet)
