import io
import random

import pytest
from PIL import Image

from bot.media import _decode_picture, _picture_parts
from bot.media._picture_parts import MAX_CHUNKS, MAX_SCANS, MAX_SEGMENTS, check_parts
from providers.child_wire import FileRejected
from tests.bot.media.bombs import encoded, many_chunks, many_frames, many_scans, many_segments, split_pixels


def prepare(data: bytes) -> tuple[object, object]:
    facts = _decode_picture.prepare(data, max_side=64, max_bytes=100_000).facts
    return facts["width"], facts["height"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (many_scans(MAX_SCANS + 1), "JPEG image is made of more than 100 passes"),
        (many_scans(MAX_SCANS + 1, pad=1000), "more than 100 passes"),
        (many_segments(MAX_SEGMENTS), "more than 5,000 pieces"),
        (many_chunks(MAX_CHUNKS), "PNG image is made of more than 20,000 pieces"),
        (split_pixels(MAX_CHUNKS), "more than 20,000 pieces"),
        (many_frames(1000), "animated"),
    ],
    ids=["passes", "passes apart", "segments", "chunks", "pixels in pieces", "frames"],
)
def test_what_is_more_work_than_any_picture_is_refused_before_it_is_decoded(
    data: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("it was decoded"))
    with pytest.raises(FileRejected, match=words):
        prepare(data)


@pytest.mark.parametrize(
    "data",
    [
        many_scans(MAX_SCANS),
        many_segments(MAX_SEGMENTS - 100),
        many_chunks(MAX_CHUNKS - 100),
        split_pixels(MAX_CHUNKS - 100),
    ],
    ids=["passes", "segments", "chunks", "pixels in pieces"],
)
def test_up_to_the_limits_it_is_decoded(data: bytes) -> None:
    assert prepare(data) == (64, 64)


def test_only_what_is_decoded_counts() -> None:
    whole = encoded(Image.new("L", (64, 64)), "JPEG")
    check_parts("JPEG", whole + b"\xff\xda" * 1000)
    inside = whole[:2] + b"\xff\xe1\x10\x00" + b"\xff\xda" * 2047 + whole[2:]
    check_parts("JPEG", inside)
    assert prepare(inside) == (64, 64)


def test_a_noisy_progressive_picture_has_as_many_passes_as_its_encoder_made() -> None:
    noise = Image.frombytes("RGB", (300, 300), random.Random(3).randbytes(270_000))  # noqa: S311
    data = encoded(noise, "JPEG", progressive=True, quality=95)
    assert sum(marker == 0xDA for marker in _picture_parts._markers(data)) == 10


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_files_that_are_cut_off_or_garbled_come_to_an_end(kind: str) -> None:
    whole = encoded(Image.effect_noise((64, 64), 50), kind)
    chance = random.Random(5)  # noqa: S311
    for _ in range(300):
        file = io.BytesIO(whole[: chance.randrange(len(whole))])
        file.seek(chance.randrange(8, 60))
        file.write(chance.randbytes(8))
        check_parts(kind, file.getvalue())
