"""A video larger than its channel takes: made smaller, again where Discord refuses it, and never lost."""

import io
from functools import cache
from typing import Any

import av
import pytest
from PIL import Image

from bot.cards import Posted
from bot.errors import TooLarge
from bot.jobs import Failure, Job, JobState
from tests.bot.conftest import Hall
from tests.bot.test_engine import in_state


@cache
def noise() -> bytes:
    """A second of video that is hard to make small."""
    data = io.BytesIO()
    with av.open(data, "w", format="mp4") as container:
        stream = container.add_stream("libx264", 12, {"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 256, 144, "yuv420p"
        for _ in range(12):
            picture = Image.effect_noise((256, 144), 120).convert("RGB")
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode(None))
    return data.getvalue()


@pytest.fixture
def posted(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the files that were posted, or tried."""
    sizes: list[int] = []
    attach = hall.box.attach

    async def weigh(job: Job) -> None:
        sizes.append(hall.files.outgoing(job.id).stat().st_size)
        await attach(job)

    monkeypatch.setattr(hall.box, "attach", weigh)
    return sizes


async def finished(hall: Hall) -> Job:
    """A job whose large video is about to be fetched."""
    hall.provider.downloads.append(noise())
    return await in_state(hall, JobState.DOWNLOADING)


async def test_what_fits_is_posted_as_it_came(hall: Hall, posted: list[int]) -> None:
    assert (await hall.engine.drive(await finished(hall))).state is JobState.DELIVERED
    assert posted == [len(noise())]


async def test_what_is_too_large_is_made_to_fit_and_its_card_tells(hall: Hall, posted: list[int]) -> None:
    limit = len(noise()) // 2
    hall.box.limits.append(limit)
    hall.box.limits.popleft()
    assert (await hall.engine.drive(await finished(hall))).state is JobState.DELIVERED
    [size] = posted
    assert limit // 3 < size <= limit
    assert [card.progress for card in hall.box.cards if card.job.state is JobState.DELIVERING][-1] == 1.0


async def test_what_discord_refuses_is_made_smaller_once_more(hall: Hall, posted: list[int]) -> None:
    hall.box.limits.append(len(noise()) // 2)
    job = await finished(hall)
    refusals: list[Any] = [TooLarge("413")]
    announce = hall.box.announce

    async def announced(job: Job) -> Posted:
        posted = await announce(job)
        hall.box.faults.extend(refusals)  # for the attach that follows
        return posted

    hall.box.announce = announced  # type: ignore[method-assign] # this box's own
    assert (await hall.engine.drive(job)).state is JobState.DELIVERED
    assert posted[0] == len(noise())
    assert posted[1] <= len(noise()) // 2
    assert hall.box.announced == [1], "one message, whatever its file"


async def test_what_cannot_be_made_so_small_is_kept_and_not_charged(hall: Hall, posted: list[int]) -> None:
    hall.box.limits.append(200)
    hall.box.limits.popleft()
    job = await hall.engine.drive(await finished(hall))
    assert (job.failure, job.charged, posted) == (Failure.TOO_LARGE, 0, [])
    assert hall.files.video(1).read_bytes() == noise()
