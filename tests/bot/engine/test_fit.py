"""From what the vendor made to what is posted: it fits and plays in place, or nothing was charged."""

import os
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import pytest
from PIL import Image

from bot.errors import TooLarge, Undelivered
from bot.jobs import Failure, Job, JobState
from bot.media import _probe
from bot.media.videos import VideoFacts
from bot.notices import NOT_CHARGED, ending
from bot.posting import Posted
from providers.child import ChildFailed, ChildrenClosed
from tests.bot.conftest import Hall, Make
from tests.bot.engine.test_engine import in_state
from tests.bot.media.clips import HDR, NOISE, bomb, holed, silence, turned, write

LIMIT = 10 * 2**20


@cache
def noise() -> bytes:
    """A second of video that is hard to make small, and ready to be posted."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "made.mp4")
        with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", 12, {"crf": "1"})
            stream.width, stream.height, stream.pix_fmt = 256, 144, "yuv420p"
            for _ in range(12):
                picture = Image.effect_noise((256, 144), 120).convert("RGB")
                container.mux(stream.encode(av.VideoFrame.from_image(picture)))
            container.mux(stream.encode(None))
        return path.read_bytes()


@pytest.fixture
def hall(hall: Hall) -> Hall:
    hall.box.limits[0] = LIMIT
    return hall


@pytest.fixture
def posted(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The files that were posted, or tried."""
    files: list[bytes] = []
    attach = hall.box.attach

    async def keep(job: Job) -> None:
        files.append(hall.files.outgoing(job.id).read_bytes())
        await attach(job)

    monkeypatch.setattr(hall.box, "attach", keep)
    return files


async def finished(hall: Hall, data: bytes, times: int = 1) -> Job:
    """A job whose video is about to be fetched."""
    hall.provider.downloads.extend([data] * times)
    return await in_state(hall, JobState.DOWNLOADING)


def look(path: Path) -> VideoFacts:
    return VideoFacts(**_probe.verify(path=str(path)).facts)


ODD: dict[str, Callable[[Path], Path]] = {
    "as it should be": lambda path: write(path, sound="aac", movflags="faststart"),
    "its index at the end": lambda path: write(path, sound="aac"),
    "in fragments": lambda path: write(path, movflags="frag_keyframe+empty_moov"),
    "HEVC": lambda path: write(path, "libx265", sound="aac"),
    "HEVC of 10 bits in HDR": lambda path: write(path, "libx265", pixels="yuv420p10le", colours=HDR),
    "VP9": lambda path: write(path, "libvpx-vp9"),
    "AV1": lambda path: write(path, "libsvtav1"),
    "WebM with VP8": lambda path: write(path.with_suffix(".webm"), "libvpx", sound="libopus"),
    "WebM with VP9": lambda path: write(path.with_suffix(".webm"), "libvpx-vp9", sound="libopus"),
    "Matroska": lambda path: write(path.with_suffix(".mkv"), sound="aac"),
    "other sound": lambda path: write(path, sound="libopus"),
    "odd sides": lambda path: write(path, "libvpx-vp9", size=(97, 65)),
    "H.264 with odd sides": lambda path: write(path, size=(97, 65), pixels="yuv444p"),
    "uneven timing": lambda path: write(path, times=[0, 1, 2, 5, 6, 20, 21, 24]),
    "filmed upright": lambda path: turned(write(path, movflags="faststart")),
    "MPEG-4 filmed upright": lambda path: turned(write(path, "mpeg4")),
}


@pytest.mark.parametrize("kind", ODD)
async def test_whatever_video_comes_what_is_posted_plays_and_fits(
    hall: Hall, posted: list[bytes], tmp_path: Path, kind: str
) -> None:
    given = ODD[kind](tmp_path / "given.mp4")
    job = await hall.engine.drive(await finished(hall, given.read_bytes()))
    assert (job.state, job.charged) == (JobState.DELIVERED, 1)
    [data] = posted
    (tmp_path / "posted.mp4").write_bytes(data)
    before, after = look(given), look(tmp_path / "posted.mp4")
    assert after.ready
    assert len(data) <= LIMIT
    assert after.seconds == pytest.approx(before.seconds, abs=2.5 / 24)
    assert (after.width, after.height) == (before.width // 2 * 2, before.height // 2 * 2)
    assert bool(after.audio_codec) == bool(before.audio_codec)


async def test_of_200_mb_what_is_posted_fits(hall: Hall, posted: list[bytes]) -> None:
    job = await in_state(hall, JobState.DELIVERING)
    path = write(hall.files.video(job.id), sound="aac")
    with path.open("r+b") as file:
        size, room = path.stat().st_size, 200 * 2**20
        file.seek(0, os.SEEK_END)
        file.write(struct.pack(">I4s", room, b"free"))
        file.truncate(size + room)
    assert (await hall.engine.drive(job)).state is JobState.DELIVERED
    assert len(posted[0]) <= LIMIT


def picture(path: Path) -> Path:
    NOISE.save(path, "PNG")
    return path


def cut(path: Path) -> Path:
    data = write(path).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


def sound_alone(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        speaker = container.add_stream("aac", 48000)
        container.mux([*speaker.encode(silence(1024, 0)), *speaker.encode(None)])
    return path


NO_VIDEO: dict[str, Callable[[Path], Path]] = {
    "empty": empty,
    "cut off": cut,
    "a picture": picture,
    "a bomb": bomb,
    "sound alone": sound_alone,
    "too wide": lambda path: write(path, size=(8208, 16), times=[0]),
    "days long": lambda path: write(path, "mpeg4", times=[0, 24 * 86400]),
    "does not decode": holed,
}


@pytest.mark.parametrize("kind", NO_VIDEO)
async def test_what_is_no_video_is_neither_posted_nor_charged(
    make_hall: Make, tmp_path: Path, kind: str
) -> None:
    hall = await make_hall()
    data = NO_VIDEO[kind](tmp_path / "given.mp4").read_bytes()
    job = await hall.engine.drive(await finished(hall, data, times=50))
    assert (job.failure, job.charged) == (Failure.BAD_VIDEO, 0)
    assert ending(job, "X").endswith(NOT_CHARGED)
    assert hall.box.announced == []


async def test_what_plays_and_fits_is_posted_as_it_came(hall: Hall, posted: list[bytes]) -> None:
    assert (await hall.engine.drive(await finished(hall, noise()))).state is JobState.DELIVERED
    assert posted == [noise()]


@pytest.mark.parametrize("left", [None, b'{"width": '])
async def test_what_was_found_out_and_is_lost_is_found_out_again(
    hall: Hall, posted: list[bytes], left: bytes | None
) -> None:
    job = await in_state(hall, JobState.DELIVERING)
    hall.files.video(job.id).write_bytes(noise())
    if left:
        hall.files.facts(job.id).write_bytes(left)
    assert (await hall.engine.drive(job)).state is JobState.DELIVERED
    assert posted == [noise()]


async def test_a_small_file_that_could_not_be_worked_on_is_posted_as_it_came(
    hall: Hall, posted: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = write(tmp_path / "given.mp4", "libvpx-vp9").read_bytes()
    tries = failing(monkeypatch, ChildFailed("out of memory"))
    hall.box.faults.append(Undelivered("502"))
    job = await hall.engine.drive(await finished(hall, given))
    assert (job.state, job.charged) == (JobState.DELIVERED, 1)
    assert posted[-1] == given
    assert len(tries) == 1, "what took all of its time once is not tried again"


async def test_a_large_file_that_could_not_be_worked_on_is_not_charged(
    hall: Hall, posted: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, ChildFailed("out of memory"))
    hall.box.limits[0] = len(noise()) // 2
    job = await hall.engine.drive(await finished(hall, noise()))
    assert (job.failure, job.charged, posted) == (Failure.TOO_LARGE, 0, [])


async def test_a_file_under_work_when_the_bot_stops_is_worked_on_after_its_start(
    hall: Hall, posted: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = write(tmp_path / "given.mp4", "libvpx-vp9").read_bytes()
    with monkeypatch.context() as patch:
        failing(patch, ChildrenClosed("stopped"), then=hall.engine.stopping.set)
        job = await hall.engine.drive(await finished(hall, given))
    assert (job.state, posted) == (JobState.DELIVERING, [])
    hall.engine.stopping.clear()
    assert (await hall.engine.drive(job)).state is JobState.DELIVERED
    assert posted[0] != given


def failing(
    monkeypatch: pytest.MonkeyPatch, error: Exception, then: Callable[[], None] = lambda: None
) -> list[object]:
    tries: list[object] = []

    async def fit(*given: object) -> None:
        tries.append(given)
        then()
        raise error

    monkeypatch.setattr("bot.engine.deliver.transcode", fit)
    return tries


async def test_what_is_too_large_is_made_to_fit_and_its_card_tells(hall: Hall, posted: list[bytes]) -> None:
    limit = hall.box.limits[0] = len(noise()) // 2
    assert (await hall.engine.drive(await finished(hall, noise()))).state is JobState.DELIVERED
    [data] = posted
    assert limit // 3 < len(data) <= limit
    assert [card.progress for card in hall.box.cards if card.job.state is JobState.DELIVERING][-1] == 1.0


async def test_what_discord_refuses_is_made_smaller_once_more(hall: Hall, posted: list[bytes]) -> None:
    hall.box.limits.append(len(noise()) // 2)
    job = await finished(hall, noise())
    refusals: list[Any] = [TooLarge("413")]
    announce = hall.box.announce

    async def announced(job: Job, *, again: bool) -> Posted:
        message = await announce(job, again=again)
        hall.box.faults.extend(refusals)  # for the attach that follows
        return message

    hall.box.announce = announced  # type: ignore[method-assign] # this box's own
    assert (await hall.engine.drive(job)).state is JobState.DELIVERED
    assert posted[0] == noise()
    assert len(posted[1]) <= len(noise()) // 2
    assert hall.box.announced == [1], "one message, whatever its file"


async def test_what_cannot_be_made_so_small_is_kept_and_not_charged(hall: Hall, posted: list[bytes]) -> None:
    hall.box.limits[0] = 200
    job = await hall.engine.drive(await finished(hall, noise()))
    assert (job.failure, job.charged, posted) == (Failure.TOO_LARGE, 0, [])
    assert hall.files.video(1).read_bytes() == noise()
