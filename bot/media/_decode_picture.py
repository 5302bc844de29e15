"""From somebody's file to a clean JPEG. Runs in a child process; refusals are sentences for the person."""

import io
import struct
import zlib

from PIL import Image, ImageCms, ImageOps

from bot.media._picture_header import MIN_SIDE, check_size, readable_kind, webp_size
from bot.media._picture_parts import check_parts
from providers.child_wire import Answer, FileRejected

THUMBNAIL_SIDE = 256
QUALITIES = (95, 90, 82, 74, 66)
SHRINK = 0.8

# check_size replaces Pillow's own, which is higher and cannot say how many pixels there are.
Image.MAX_IMAGE_PIXELS = None

_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    EOFError,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders raise on bytes that are not what they claim to be."""


def prepare(data: bytes, *, max_side: int, max_bytes: int) -> Answer:
    """The picture upright, without metadata, as a JPEG within the limits, and its thumbnail."""
    image = _flat(_load(data, max_side))
    thumbnail = image.copy()
    thumbnail.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    image, encoded = _fit(image, max_bytes)
    facts = {"media_type": "image/jpeg", "width": image.width, "height": image.height}
    return Answer(facts, (encoded, _jpeg(thumbnail, quality=82)))


def _load(data: bytes, max_side: int) -> Image.Image:
    """The decoded picture, at most `max_side` wide and high, upright."""
    kind = readable_kind(data)
    check_parts(kind, data)
    try:
        if kind == "WEBP" and (size := webp_size(data)):
            check_size(*size)
        image = Image.open(io.BytesIO(data), formats=[kind])
        check_size(*image.size)
        # Phones keep depth maps and previews as further frames of a JPEG; those do not move.
        if kind != "JPEG" and getattr(image, "n_frames", 1) > 1:
            raise FileRejected(
                "That picture is animated, and I start from a still one. "
                "Attach a single frame as a JPEG, PNG or WebP image; nothing was charged."
            )
        # Lets a JPEG be decoded at a half, a quarter or an eighth, which is faster and no worse.
        image.draft(None, (max_side, max_side))
        image.load()
        image = _scalable(image)
    except _BROKEN as error:
        raise FileRejected(
            f"That {kind.replace('WEBP', 'WebP')} image is damaged or cut off. "
            "Open it, save it again and attach the new file; nothing was charged."
        ) from error
    image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return _upright(image)


def _scalable(image: Image.Image) -> Image.Image:
    """In a mode that can be scaled without harm: true colours, 8 bits, transparency as its own channel."""
    if image.mode.startswith("I"):
        # Pillow would cut off at 255 what goes up to 65535.
        eight_bits = image.point(lambda value: value * (1 / 257))  # pyright: ignore[reportUnknownMemberType] - untyped
        image = eight_bits.convert("L")
        # A transparent shade of grey is given in 16 bits too, and means nothing to the 8 that are left.
        image.info.pop("transparency", None)
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in {"RGB", "L", "CMYK"} else image.convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _BROKEN:
        # Broken metadata says nothing about the picture itself.
        return image


def _flat(image: Image.Image) -> Image.Image:
    """In sRGB, on white where it was transparent, carrying nothing but its pixels."""
    profile = image.info.get("icc_profile")
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    if profile:
        image = _in_srgb(image, profile)
    image = image.convert("RGB")
    # A JPEG's comment would be written again.
    image.info.clear()
    return image


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.ImageCmsProfile(
            ImageCms.createProfile("sRGB")  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType] - untyped
        )
        converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, *_BROKEN):
        # A profile that does not work, or is for other colours than the picture has: colours as they are.
        return image
    return converted or image


def _fit(image: Image.Image, max_bytes: int) -> tuple[Image.Image, bytes]:
    """The best quality that fits, then fewer pixels; the picture as encoded, and its bytes."""
    while True:
        for quality in QUALITIES:
            encoded = _jpeg(image, quality=quality)
            if len(encoded) <= max_bytes:
                return image, encoded
        size = round(image.width * SHRINK), round(image.height * SHRINK)
        if min(size) < MIN_SIDE:
            raise FileRejected(
                "I could not make that picture small enough for this model. "
                "Attach a simpler one or choose another model; nothing was charged."
            )
        image = image.copy()
        image.thumbnail(size, Image.Resampling.LANCZOS)


def _jpeg(image: Image.Image, *, quality: int) -> bytes:
    target = io.BytesIO()
    image.save(target, "JPEG", quality=quality, optimize=True)
    return target.getvalue()
