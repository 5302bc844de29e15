"""What members attach: every picture that cannot be used gets one clear sentence, and nothing is charged."""

import io

import pytest
from PIL import Image

from tests.e2e.conftest import World
from tests.vendors.eigenai import EigenAIServer


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("holiday.png", b"just some text", "not a picture"),
        ("huge.png", bytes(60_000_000), "60"),
    ],
    ids=["text", "60 MB"],
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


async def test_the_provider_gets_an_upright_jpeg_without_metadata(
    world: World, vendor: EigenAIServer
) -> None:
    image = Image.new("RGB", (200, 100), "red")
    exif = Image.Exif()
    exif[274], exif[315] = 6, "the photographer"
    data = io.BytesIO()
    image.save(data, "WEBP", exif=exif)
    await world.animate(image=data.getvalue(), name="any.png")
    await world.video()

    (asked,) = vendor.seen("submit")
    sent = Image.open(io.BytesIO(asked.files["image"].data))
    assert sent.format == "JPEG"
    assert sent.size == (100, 200)
    assert not sent.getexif()
