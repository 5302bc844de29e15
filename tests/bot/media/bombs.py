"""Small files that are a lot of work: for tests and for tests/bench/pictures.py."""

import io
import re
import struct
import zlib

from PIL import Image

_SOS = b"\xff\xda"
_EOI = b"\xff\xd9"


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def many_scans(scans: int, size: tuple[int, int] = (64, 64), *, pad: int = 0) -> bytes:
    """A progressive JPEG whose last pass is repeated, which nothing forbids; `pad` bytes before each."""
    whole = encoded(Image.new("L", size), "JPEG", progressive=True)
    scan = whole[whole.rindex(b"\xff\xc4") : whole.rindex(_EOI)]
    assert _SOS in scan
    padding = b"\xff\xfe" + struct.pack(">H", pad + 2) + bytes(pad) if pad else b""
    return whole[: whole.rindex(_EOI)] + (padding + scan) * (scans - whole.count(_SOS)) + _EOI


def many_segments(count: int) -> bytes:
    """A JPEG with so many empty application segments."""
    whole = encoded(Image.new("L", (64, 64)), "JPEG")
    return whole[:2] + b"\xff\xe5\x00\x02" * count + whole[2:]


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def many_chunks(count: int, name: bytes = b"teXt", content: bytes = b"") -> bytes:
    """A PNG with so many of one chunk before its pixels."""
    whole = encoded(Image.new("L", (64, 64)), "PNG")
    at = whole.index(b"IDAT") - 4
    return whole[:at] + png_chunk(name, content) * count + whole[at:]


def split_pixels(count: int) -> bytes:
    """A PNG whose pixels come in so many empty pieces."""
    return many_chunks(count, b"IDAT")


def riff(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def webp_chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def webp(chunks: bytes, size: tuple[int, int] = (64, 64), *, flags: int = 0) -> bytes:
    """An extended WebP of one picture with these chunks behind it."""
    pixels = encoded(Image.new("RGB", size), "WEBP", lossless=True)[12:]
    sides = b"".join(struct.pack("<I", side - 1)[:3] for side in size)
    return riff(webp_chunk(b"VP8X", struct.pack("<I", flags) + sides) + pixels + chunks)


def many_frames(count: int) -> bytes:
    """An animated WebP of so many frames."""
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    whole = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    at = whole.index(b"ANMF")
    (size,) = struct.unpack_from("<I", whole, at + 4)
    frame = whole[at : at + 8 + size + size % 2]
    return riff(whole[12:at] + frame * count)


def scans(data: bytes) -> int:
    return len(re.findall(_SOS, data))
