"""Small real videos of every kind."""

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

NOISE = Image.effect_noise((96, 64), 90).convert("RGB")
UPRIGHT = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
TURNED = struct.pack(">9I", 0, 0x10000, 0, 0xFFFF0000, 0, 0, 64 << 16, 0, 0x40000000)
QUICK = {
    "libsvtav1": {"preset": "12"},
    "libaom-av1": {"cpu-used": "8"},
    "libvpx-vp9": {"cpu-used": "8"},
    "libx265": {"preset": "ultrafast"},
}
HDR = (9, 16, 9, 1)
"""BT.2020 with PQ, as a phone films it."""

Colours = tuple[int, int, int, int]
"""Primaries, curve, matrix and range, by their numbers in the standard."""


def write(  # noqa: PLR0913 - each is a way in which videos differ
    path: Path,
    codec: str = "libx264",
    *,
    size: tuple[int, int] = (96, 64),
    pixels: str = "yuv420p",
    colours: Colours | None = None,
    times: list[int] | None = None,
    sound: str | None = None,
    first: int = 0,
    picture: Callable[[int], Image.Image] = lambda number: NOISE.rotate(number * 15),
    movflags: str = "",
) -> Path:
    """By default half a second at 24 pictures per second; `times` are in 24ths of a second."""
    times = list(range(12)) if times is None else times
    with av.open(str(path), "w", options={"movflags": movflags} if movflags else {}) as container:
        stream = container.add_stream(codec, 24, QUICK.get(codec, {}))
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        context = stream.codec_context
        context.time_base = Fraction(1, 24)
        if colours:
            context.color_primaries, context.color_trc, context.colorspace, context.color_range = colours
        if sound:
            speaker = container.add_stream(sound, 48000, layout="mono")
            container.mux(speaker.encode(silence(24000, first * 2000, "fltp" if sound == "aac" else "flt")))
            container.mux(speaker.encode(None))
        for number, at in enumerate(times):
            frame = av.VideoFrame.from_image(picture(number).resize(size))
            frame.pts, frame.time_base = first + at, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def silence(samples: int, start: int, kind: str = "fltp") -> av.AudioFrame:
    frame = av.AudioFrame(kind, "mono", samples)
    frame.planes[0].update(bytes(frame.planes[0].buffer_size))
    frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
    return frame


def turned(path: Path) -> Path:
    """The same MP4 with a note to players that it was filmed upright."""
    data = path.read_bytes()
    at = data.index(UPRIGHT, data.index(b"tkhd"))
    path.write_bytes(data[:at] + TURNED + data[at + len(TURNED) :])
    return path


def bomb(path: Path) -> Path:
    """A file of a few hundred bytes that claims to have 900 million pixels."""
    write(path, "mjpeg", pixels="yuvj420p")
    side = struct.pack(">HH", 30000, 30000)
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack(">HH", 64, 96), side).replace(struct.pack(">HH", 96, 64), side))
    return path


def holed(path: Path) -> Path:
    """A video whose second half is noise, so that only decoding it all tells."""
    write(path, "libvpx-vp9", times=list(range(24)))
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    size = struct.unpack_from(">I", data, start - 8)[0] - 8
    data[start + size // 2 : start + size] = b"\xa5" * (size - size // 2)
    path.write_bytes(data)
    return path
