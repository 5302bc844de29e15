import asyncio
import threading
from contextlib import suppress
from errno import ENOSPC
from io import BytesIO
from pathlib import Path

import pytest

from bot.media import files
from bot.media.files import FileSink


def here(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_the_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    async with FileSink(tmp_path / "a.mp4") as sink:
        await sink.write(b"one ")
        await sink.write(b"two")
        assert here(tmp_path) == ["a.mp4.part"]
    assert here(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"one two"


async def test_it_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"old")
    (tmp_path / "a.mp4.part").write_bytes(b"left over from a crash")
    async with FileSink(tmp_path / "a.mp4") as sink:
        await sink.write(b"new")
    assert here(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"new"


async def test_a_failed_download_leaves_nothing(tmp_path: Path) -> None:
    async def download() -> None:
        async with FileSink(tmp_path / "a.mp4") as sink:
            await sink.write(b"half")
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await download()
    assert here(tmp_path) == []


async def test_a_cancelled_download_leaves_nothing(tmp_path: Path) -> None:
    written = asyncio.Event()

    async def download() -> None:
        async with FileSink(tmp_path / "a.mp4") as sink:
            await sink.write(b"half")
            written.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(download())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert here(tmp_path) == []


@pytest.mark.parametrize("step", ["_open", "_write"])
async def test_cancelled_in_the_middle_of_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The thread cannot be stopped: the step ends first, even if cancelled twice, and nothing is left."""
    loop = asyncio.get_running_loop()
    inside, go_on = asyncio.Event(), threading.Event()
    original = getattr(FileSink, step)

    def slow(self: FileSink, *args: bytes) -> None:
        loop.call_soon_threadsafe(inside.set)
        go_on.wait()
        original(self, *args)

    async def download() -> None:
        async with FileSink(tmp_path / "a.mp4") as sink:
            await sink.write(b"half")

    monkeypatch.setattr(FileSink, step, slow)
    task = asyncio.ensure_future(download())
    await inside.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)  # one step of the loop, no time: the cancellation arrives
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert here(tmp_path) == []


async def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "fsync", full)
    with suppress(OSError):
        async with FileSink(tmp_path / "a.mp4") as sink:
            await sink.write(b"all of it")
    assert here(tmp_path) == []


async def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        async with FileSink(tmp_path / "missing" / "a.mp4"):
            pytest.fail("must not get here")


async def test_writing_outside_the_block_is_a_mistake(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "a.mp4")
    with pytest.raises(ValueError, match="not open"):
        await sink.write(b"too early")
    async with sink:
        await sink.write(b"in time")
    with pytest.raises(ValueError, match="not open"):
        await sink.write(b"too late")


async def test_what_a_full_disk_did_not_take_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(BytesIO):
        def write(self, chunk: object, /) -> int:
            raise OSError(ENOSPC, "No space left on device")

    with suppress(OSError):
        async with FileSink(tmp_path / "a.mp4") as sink:
            await sink.write(b"half")
            sink._opened().close()
            monkeypatch.setattr(sink, "_file", Full())
            await sink.write(b"more")
    assert here(tmp_path) == []
