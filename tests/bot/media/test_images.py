import io
import random
import struct
import warnings
import zlib
from collections.abc import Callable

import pytest
from PIL import Image, ImageCms

from bot.errors import BadImage, NotNow
from bot.media import _decode_picture, images
from bot.media.images import PreparedImage, check_size, prepare
from providers.child import ChildFailed, Children
from providers.child_wire import FileRejected
from providers.options import ImageLimits, SourceImage

ORIENTATION = 0x0112
GPS = 0x8825
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def frames(count: int = 3) -> list[Image.Image]:
    return [Image.new("RGB", (32, 32), (80 * number, 0, 0)) for number in range(count)]


def noise(width: int, height: int) -> Image.Image:
    return Image.frombytes("RGB", (width, height), random.Random(7).randbytes(width * height * 3))  # noqa: S311


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(rows: bytes, *, width: int = 40, height: int = 40, bits: int = 8, colours: int = 2) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + body + png_chunk(b"IEND", b"")


def webp_claiming(width: int, height: int) -> bytes:
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\x64\0\0\0WEBPVP8X\x0a\0\0\0" + b"\0\0\0\0" + sizes + bytes(80)


def work(data: bytes, max_side: int = 2048, max_bytes: int = 10_000_000) -> tuple[Image.Image, PreparedImage]:
    """What the child would make of it, without a child; and that, decoded."""
    answer = _decode_picture.prepare(data, max_side=max_side, max_bytes=max_bytes)
    body, thumbnail = answer.blobs
    source = SourceImage.model_validate({**answer.facts, "data": body})
    image = Image.open(io.BytesIO(body), formats=["JPEG"])
    image.load()
    assert image.size == (source.width, source.height)
    assert image.mode == "RGB"
    return image, PreparedImage(source, thumbnail)


def colour(image: Image.Image, at: tuple[float, float] = (0.5, 0.5)) -> tuple[int, ...]:
    pixel = image.getpixel((int(image.width * at[0]), int(image.height * at[1])))
    assert isinstance(pixel, tuple)
    return pixel


def near(expected: tuple[int, ...]) -> object:
    return pytest.approx(expected, abs=6)


# Through a child


async def test_a_picture_is_prepared(children: Children) -> None:
    prepared = await prepare(
        children, encoded(Image.new("RGB", (800, 400), RED), "PNG"), ImageLimits(max_side=400)
    )
    assert (prepared.image.media_type, prepared.image.width, prepared.image.height) == (
        "image/jpeg",
        400,
        200,
    )
    thumbnail = Image.open(io.BytesIO(prepared.thumbnail), formats=["JPEG"])
    assert thumbnail.size == (256, 128)
    assert colour(thumbnail) == near(RED)


async def test_a_refusal_is_a_sentence_for_the_person(children: Children) -> None:
    with pytest.raises(BadImage) as caught:
        await prepare(children, b"dear diary,\n" * 40, ImageLimits())
    assert str(caught.value) == (
        "That file is not a picture I can read. Attach a JPEG, PNG or WebP image; nothing was charged."
    )


async def test_a_picture_that_is_too_much_work(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "SECONDS", 0)
    with pytest.raises(BadImage, match=r"took too long or too much memory.*nothing was charged") as caught:
        await prepare(children, encoded(Image.new("RGB", (64, 64)), "PNG"), ImageLimits())
    assert isinstance(caught.value.__cause__, ChildFailed)


async def test_while_the_bot_stops_it_is_not_the_picture_s_fault(children: Children) -> None:
    await children.close()
    with pytest.raises(NotNow, match=r"restarting.*nothing was charged"):
        await prepare(children, b"", ImageLimits())


# What is refused


@pytest.mark.parametrize("data", [b"", b"\x89", b"GIF", b"hello, world", bytes(500), b"RIFF\0\0\0\0WAVEfmt "])
def test_no_picture(data: bytes) -> None:
    with pytest.raises(FileRejected, match="not a picture I can read"):
        work(data)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (encoded(frames()[0], "GIF"), "GIF"),
        (encoded(frames()[0], "GIF", save_all=True, append_images=frames()[1:]), "GIF"),
        (encoded(frames()[0], "BMP"), "BMP"),
        (encoded(frames()[0], "TIFF"), "TIFF"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
        (b"\0\0\0\x18ftypavif" + bytes(40), "AVIF"),
        (b"\0\0\0\x18ftypisom" + bytes(40), "video"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_a_type_that_is_not_taken_is_named(data: bytes, name: str) -> None:
    with pytest.raises(FileRejected, match=rf"That is a {name} file.*JPEG, PNG or WebP.*nothing was charged"):
        work(data)


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_animated(kind: str) -> None:
    with pytest.raises(FileRejected, match=r"is animated.*nothing was charged"):
        work(encoded(frames()[0], kind, save_all=True, append_images=frames()[1:]))


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("WEBP", {}), ("WEBP", {"lossless": True})],
)
def test_cut_off(kind: str, options: dict[str, object], share: float) -> None:
    data = encoded(noise(96, 64), kind, **options)
    with pytest.raises(FileRejected, match=r"is damaged or cut off.*nothing was charged"):
        work(data[: int(len(data) * share)])


def test_the_first_bytes_of_a_picture_and_nothing_else() -> None:
    for start in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP"):
        with pytest.raises(FileRejected, match="is damaged or cut off"):
            work(start)


def test_a_palette_picture_without_its_palette() -> None:
    with pytest.raises(FileRejected, match="PNG image is damaged or cut off"):
        work(png((b"\0" + bytes(40)) * 40, colours=3))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (png(b"", width=50_000, height=50_000), "2,500.0 million pixels; I take up to 40 million"),
        (webp_claiming(16_000, 16_000), "256.0 million pixels"),
        (encoded(Image.new("1", (12_000, 12_000)), "PNG"), "144.0 million pixels"),
    ],
    ids=["claimed", "claimed webp", "real"],
)
def test_too_many_pixels(data: bytes, said: str) -> None:
    with pytest.raises(FileRejected, match=said):
        work(data)


@pytest.mark.parametrize("size", [(1, 1), (15, 40)])
def test_too_small(size: tuple[int, int]) -> None:
    with pytest.raises(FileRejected, match=rf"too small: {size[0]} x {size[1]} pixels.*at least 16 x 16"):
        work(encoded(Image.new("RGB", size), "PNG"))


def test_too_narrow() -> None:
    assert work(encoded(Image.new("RGB", (200, 20)), "PNG"))
    with pytest.raises(FileRejected, match="too narrow a strip: 201 x 20 pixels"):
        work(encoded(Image.new("RGB", (201, 20)), "PNG"))


def test_what_cannot_be_made_to_fit() -> None:
    with pytest.raises(FileRejected, match="could not make that picture small enough"):
        work(encoded(noise(64, 64), "PNG"), max_bytes=100)


# What comes out


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_ends_upright(orientation: int) -> None:
    upright = Image.new("RGB", (96, 64), WHITE)
    upright.paste(RED, (0, 0, 48, 32))
    upright.paste(BLUE, (48, 32, 96, 64))
    # What a camera stores so that the tag's operation restores the scene.
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    for kind in ("JPEG", "PNG", "WEBP"):
        image, _ = work(encoded(stored, kind, exif=exif))
        assert image.size == (96, 64)
        assert colour(image, (0.2, 0.2)) == near(RED)
        assert colour(image, (0.8, 0.8)) == near(BLUE)
        assert colour(image, (0.8, 0.2)) == near(WHITE)


def test_no_metadata_is_left() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[0x010F] = "Camera Maker"
    exif.get_ifd(GPS)[2] = (52.0, 31.0, 12.0)
    data = encoded(frames()[0], "JPEG", exif=exif, comment=b"my home", xmp=b"<x:xmpmeta/>", dpi=(300, 300))
    assert b"Camera Maker" in data
    image, prepared = work(data)
    for left in (prepared.image.data, prepared.thumbnail):
        assert not any(word in left for word in (b"Camera Maker", b"my home", b"xmpmeta", b"Exif", b"ICC"))
    assert not image.getexif()
    assert "comment" not in image.info


def test_broken_metadata_does_not_stop_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Image.Image) -> None:
        raise struct.error

    monkeypatch.setattr(_decode_picture.ImageOps, "exif_transpose", broken)
    assert work(encoded(frames()[0], "JPEG"))
    monkeypatch.undo()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert work(encoded(frames()[0], "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"))


def test_further_frames_of_a_phone_s_jpeg_are_no_animation() -> None:
    data = encoded(Image.new("RGB", (64, 48), GREEN), "MPO", save_all=True, append_images=frames())
    for max_side in (2048, 16):
        image, _ = work(data, max_side=max_side)
        assert colour(image) == near(GREEN)


def palette(*, transparent: bool) -> bytes:
    image = Image.new("P", (40, 40), 0)
    image.putpalette([*RED, *BLUE])
    image.paste(1, (0, 0, 20, 40))
    return encoded(image, "PNG", transparency=0) if transparent else encoded(image, "PNG")


def deep_grey(value: int) -> bytes:
    return encoded(Image.frombytes("I;16", (40, 40), struct.pack("<H", value) * 1600), "PNG")


def deep_grey_with_hole() -> bytes:
    return encoded(Image.frombytes("I;16", (40, 40), b"\xff\xff" * 1600), "PNG", transparency=65535)


def deep_colour() -> bytes:
    return png((b"\0" + struct.pack(">3H", 65535, 0, 0) * 40) * 40, bits=16)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: encoded(Image.new("CMYK", (40, 40), (0, 255, 255, 0)), "JPEG"), RED),
        (lambda: encoded(Image.new("L", (40, 40), 200), "JPEG"), (200, 200, 200)),
        (lambda: encoded(Image.new("1", (40, 40), 1), "PNG"), WHITE),
        (lambda: encoded(Image.new("LA", (40, 40), (0, 0)), "PNG"), WHITE),
        (lambda: encoded(Image.new("RGBA", (40, 40), (*RED, 255)), "PNG"), RED),
        (
            lambda: encoded(Image.new("RGBA", (40, 40), (0, 0, 0, 128)), "WEBP", lossless=True),
            (127, 127, 127),
        ),
        (lambda: encoded(Image.new("RGB", (40, 40), RED), "PNG", transparency=RED), WHITE),
        (lambda: palette(transparent=False), RED),
        (lambda: palette(transparent=True), WHITE),
        (lambda: deep_grey(65535), WHITE),
        (lambda: deep_grey(32768), (128, 128, 128)),
        (deep_grey_with_hole, WHITE),
        (deep_colour, RED),
    ],
    ids=["CMYK", "L", "1", "LA", "RGBA", "half", "tRNS", "P", "P+tRNS", "white", "grey", "hole", "RGB48"],
)
def test_every_kind_of_pixel(make: Callable[[], bytes], expected: tuple[int, ...]) -> None:
    image, _ = work(make())
    assert colour(image, (0.9, 0.5)) == near(expected)


def test_colours_are_converted_from_the_embedded_profile() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    same, _ = work(encoded(Image.new("RGB", (40, 40), RED), "PNG", icc_profile=profile.tobytes()))
    assert colour(same) == near(RED)
    assert "icc_profile" not in same.info
    # Swapping two primaries' names makes a space in which red is green.
    swapped = bytearray(profile.tobytes())
    red, green = swapped.index(b"rXYZ"), swapped.index(b"gXYZ")
    swapped[red : red + 4], swapped[green : green + 4] = b"gXYZ", b"rXYZ"
    other, _ = work(encoded(Image.new("RGB", (40, 40), RED), "PNG", icc_profile=bytes(swapped)))
    assert colour(other) == near(GREEN)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_useless_profile_leaves_the_colours(mode: str) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (b"not a profile", lab):
        image, _ = work(encoded(Image.new(mode, (40, 40), 255), "PNG", icc_profile=profile))
        assert colour(image) == near((255, 0, 0) if mode == "RGB" else WHITE)


def test_a_large_picture_is_scaled_to_the_limit() -> None:
    image, prepared = work(encoded(Image.new("RGB", (1600, 900), BLUE), "JPEG"), max_side=320)
    assert image.size == (320, 180)
    assert Image.open(io.BytesIO(prepared.thumbnail)).size == (256, 144)


def test_a_small_picture_is_never_enlarged() -> None:
    image, prepared = work(encoded(Image.new("RGB", (40, 30)), "JPEG"))
    assert image.size == Image.open(io.BytesIO(prepared.thumbnail)).size == (40, 30)


def test_noise_loses_quality_before_it_loses_pixels() -> None:
    data = encoded(noise(256, 192), "PNG")
    best, free = work(data)
    lower, tight = work(data, max_bytes=len(free.image.data) // 2)
    least, tightest = work(data, max_bytes=len(free.image.data) // 8)
    assert best.size == lower.size == (256, 192)
    assert len(tight.image.data) <= len(free.image.data) // 2
    assert least.width < 256
    assert len(tightest.image.data) <= len(free.image.data) // 8


# By the size alone


@pytest.mark.parametrize("size", [0, 1, 10_000_000])
def test_a_stated_size_within_the_limit(size: int) -> None:
    check_size(size, 10_000_000)


@pytest.mark.parametrize(("size", "said"), [(10_000_001, "10.1 MB"), (25_000_000, "25 MB")])
def test_a_stated_size_beyond_the_limit(size: int, said: str) -> None:
    with pytest.raises(BadImage, match=rf"has {said}; I take up to 10 MB.*nothing was charged"):
        check_size(size, 10_000_000)
