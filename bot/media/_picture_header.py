"""What a file's first bytes say, before anything is decoded; its name and stated type are never believed."""

from providers.child_wire import FileRejected

MAX_PIXELS = 40_000_000
MIN_SIDE = 16
MAX_RATIO = 10

READABLE = ("JPEG", "PNG", "WEBP")
"""Pillow's names for what is decoded."""

_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
    b"8BPS": "Photoshop",
    b"\x00\x00\x01\x00": "icon",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"\x1aE\xdf\xa3": "video",
}
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}
"""The brands of the MP4 family that hold pictures."""


def readable_kind(data: bytes) -> str:
    """Pillow's name for the file's kind; raises FileRejected where it is not one of READABLE."""
    kind = _kind(data)
    if kind is None:
        raise FileRejected(
            "That file is not a picture I can read. Attach a JPEG, PNG or WebP image; nothing was charged."
        )
    if kind not in READABLE:
        raise FileRejected(
            f"That is a {kind} file, which I cannot use. "
            "Save it as a JPEG, PNG or WebP image and attach that; nothing was charged."
        )
    return kind


def check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise FileRejected(
            f"That picture has {width * height / 1e6:,.1f} million pixels; I take up to "
            f"{MAX_PIXELS / 1e6:.0f} million. Attach a smaller version; nothing was charged."
        )
    if min(width, height) < MIN_SIDE:
        raise FileRejected(
            f"That picture is too small: {width} x {height} pixels. "
            f"Attach one of at least {MIN_SIDE} x {MIN_SIDE}; nothing was charged."
        )
    if max(width, height) > MAX_RATIO * min(width, height):
        raise FileRejected(
            f"That picture is too narrow a strip: {width} x {height} pixels. Crop it so that no side is more "
            f"than {MAX_RATIO} times the other and attach that; nothing was charged."
        )


def _kind(data: bytes) -> str | None:
    """The file's kind as a person would name it, or None where it is nothing known."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "video")
    return next((kind for start, kind in _STARTS.items() if data.startswith(start)), None)


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from a WebP header; the decoder takes memory for all pixels when it opens one."""
    chunk, header = data[12:16], data[20:30]
    if len(header) < 10:  # noqa: PLR2004 - all three layouts end within ten bytes
        return None
    if chunk == b"VP8X":
        return 1 + int.from_bytes(header[4:7], "little"), 1 + int.from_bytes(header[7:10], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(header[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = (int.from_bytes(header[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return width, height
