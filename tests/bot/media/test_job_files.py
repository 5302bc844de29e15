import os
from pathlib import Path

import pytest

from bot.media.job_files import JobFiles, free_bytes
from providers.options import SourceImage
from providers.specs import VideoRequest

REQUEST = VideoRequest(
    model="m", prompt="p", image=SourceImage(data=b"picture", media_type="image/jpeg", width=8, height=8)
)


@pytest.fixture
def files(tmp_path: Path) -> JobFiles:
    return JobFiles(tmp_path / "jobs")


async def filled(files: JobFiles, job_id: int, *, touched: int = 0) -> Path:
    """A job's folder with all that may lie in it."""
    await files.keep(job_id, REQUEST, b"small")
    video = files.video(job_id)
    for path in (video, files.fitted(job_id), files.facts(job_id)):
        path.write_bytes(b"x")
        for more in (".part", ".fit.progress"):
            path.with_name(path.name + more).write_bytes(b"x")
    os.utime(video.parent, (touched, touched))
    return video.parent


def here(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_job_that_is_over_keeps_its_thumbnail(files: JobFiles) -> None:
    folder = await filled(files, 1)
    await files.clear(1)
    assert here(folder) == {"thumbnail.jpg"}


async def test_a_video_that_is_kept_is_all_that_is_kept(files: JobFiles) -> None:
    folder = await filled(files, 1)
    await files.clear(1, keep_video=True)
    assert here(folder) == {"thumbnail.jpg", "video.mp4", "fitted.mp4", "facts.json"}


async def test_a_job_without_a_folder_is_no_trouble(files: JobFiles) -> None:
    await files.clear(1)
    await files.discard(1)
    assert await files.touched() == {}
    assert await files.make_room([], 1) == []


async def test_only_folders_of_jobs_are_looked_at(files: JobFiles, tmp_path: Path) -> None:
    await filled(files, 1, touched=7)
    (tmp_path / "jobs" / "lost+found").mkdir()
    assert [(job_id, time.timestamp()) for job_id, time in (await files.touched()).items()] == [(1, 7)]


@pytest.mark.parametrize(
    ("needed", "left"),
    [(0, {1, 2, 4, 5}), (1, {1, 2, 4, 5}), (2, {1, 2, 5}), (3, {1, 2}), (99, {1, 2})],
)
async def test_the_oldest_videos_make_room_until_enough_is_free(
    tmp_path: Path, needed: int, left: set[int]
) -> None:
    def free(folder: Path) -> int:
        assert folder == tmp_path / "jobs"
        return 5 - len(here(folder))

    files = JobFiles(tmp_path / "jobs", free=free)
    for job_id, age in {1: 50, 2: 40, 3: 30, 4: 20, 5: 10}.items():
        await filled(files, job_id, touched=100 - age)
    files.video(2).unlink()
    os.utime(tmp_path / "jobs" / "2", (60, 60))
    removed = await files.make_room([1], needed)
    assert {int(name) for name in here(tmp_path / "jobs")} == left
    assert removed == [job_id for job_id in (3, 4, 5) if job_id not in left]


def test_the_disk_tells_what_is_free(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0
