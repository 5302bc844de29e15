"""What members attach: every picture that cannot be used gets one clear sentence, and nothing is charged."""

import io
import zlib

import pytest
from PIL import Image

from tests.e2e.conftest import World, picture
from tests.vendors.eigenai import EigenAIServer

pytestmark = pytest.mark.usefixtures("real_children")


def animated() -> bytes:
    frames = [Image.new("P", (64, 64), colour) for colour in (1, 2, 3)]
    data = io.BytesIO()
    frames[0].save(data, "GIF", save_all=True, append_images=frames[1:])
    return data.getvalue()


def bomb() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body).to_bytes(4, "big")
        return len(body).to_bytes(4, "big") + kind + body + crc

    header = (50_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10_000)))


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("holiday.png", b"just some text", "not a picture"),
        ("bomb.png", bomb(), "million pixels"),
        ("dance.gif", animated(), "GIF"),
        ("cut.jpg", picture("JPEG", (640, 480))[:2000], "damaged or cut off"),
        ("huge.png", bytes(60_000_000), "60"),
    ],
    ids=["text", "bomb", "gif", "truncated", "60 MB"],
)
async def test_a_file_that_is_no_usable_picture_gets_a_sentence(
    world: World, vendor: EigenAIServer, name: str, data: bytes, words: str
) -> None:
    reply = await world.animate(image=data, name=name)
    assert reply.ephemeral
    assert words in reply.response.content
    assert "nothing was charged" in reply.response.content.lower()
    assert not world.channel.history()
    assert not vendor.requests
    balance = await world.alice.slash(world.channel, "quota")
    assert balance.response.embeds[0].title.startswith("5 of 5")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_the_provider_gets_an_upright_jpeg_without_metadata(
    world: World, vendor: EigenAIServer, kind: str
) -> None:
    image = Image.new("RGB", (200, 100), "red")
    exif = Image.Exif()
    exif[274], exif[315] = 6, "the photographer"
    data = io.BytesIO()
    image.save(data, kind, exif=exif)
    await world.animate(image=data.getvalue(), name="any.png")
    await world.video()

    (asked,) = vendor.seen("submit")
    sent = Image.open(io.BytesIO(asked.files["image"].data))
    assert sent.format == "JPEG"
    assert sent.size == (100, 200)
    assert not sent.getexif()
