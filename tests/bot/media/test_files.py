import asyncio
import subprocess
import sys
import threading
from contextlib import suppress
from errno import ENOSPC
from io import BytesIO
from pathlib import Path

import pytest

from bot.media import files
from bot.media.files import FileSink
from providers.base import RemoteConfig, Resources
from providers.errors import Uncertain
from providers.http import Api, open_session
from tests.vendors.shelf import Shelf, cut_after


def here(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_the_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    async with FileSink(tmp_path / "a.mp4") as sink:
        await sink.write(b"one ")
        await sink.write(b"two")
        assert here(tmp_path) == ["a.mp4.part"]
        assert sink.size == 7
    assert here(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"one two"


async def test_it_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"old")
    (tmp_path / "a.mp4.part").write_bytes(b"left over from a crash")
    async with FileSink(tmp_path / "a.mp4") as sink:
        await sink.write(b"new")
    assert here(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"new"


async def test_a_failed_download_of_no_name_leaves_nothing(tmp_path: Path) -> None:
    async def download() -> None:
        async with FileSink(tmp_path / "a.mp4") as sink:
            await sink.write(b"half")
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await download()
    assert here(tmp_path) == []


async def test_a_cancelled_download_of_no_name_leaves_nothing(tmp_path: Path) -> None:
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
            await sink.begin('"one"')
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


async def break_off(path: Path, *chunks: bytes, validator: str = '"one"') -> None:
    with suppress(ConnectionError):
        async with FileSink(path) as sink:
            await sink.begin(validator)
            for chunk in chunks:
                await sink.write(chunk)
            raise ConnectionError


async def test_another_sink_goes_on_where_a_download_broke_off(tmp_path: Path) -> None:
    await break_off(tmp_path / "a.mp4", b"one ", b"two ")
    async with FileSink(tmp_path / "a.mp4") as sink:
        assert (sink.size, sink.validator) == (8, '"one"')
        await sink.write(b"three")
        assert sink.size == 13
    assert here(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"one two three"


async def test_a_cancelled_download_can_be_gone_on_with(tmp_path: Path) -> None:
    written = asyncio.Event()

    async def download() -> None:
        async with FileSink(tmp_path / "a.mp4") as sink:
            await sink.begin('"one"')
            await sink.write(b"half")
            written.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(download())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with FileSink(tmp_path / "a.mp4") as sink:
        assert (sink.size, sink.validator) == (4, '"one"')


async def test_what_is_begun_anew_replaces_what_was_there(tmp_path: Path) -> None:
    await break_off(tmp_path / "a.mp4", b"one")
    async with FileSink(tmp_path / "a.mp4") as sink:
        await sink.begin('"two"')
        assert (sink.size, sink.validator) == (0, '"two"')
        await sink.write(b"2")
        assert sink.size == 1
    assert (tmp_path / "a.mp4").read_bytes() == b"2"


async def test_what_is_begun_anew_without_a_name_is_not_kept(tmp_path: Path) -> None:
    await break_off(tmp_path / "a.mp4", b"one")
    with suppress(ConnectionError):
        async with FileSink(tmp_path / "a.mp4") as sink:
            await sink.begin(None)
            await sink.write(b"2")
            raise ConnectionError
    assert here(tmp_path) == []


async def test_a_name_without_bytes_is_not_kept(tmp_path: Path) -> None:
    await break_off(tmp_path / "a.mp4")
    assert here(tmp_path) == []


async def test_a_name_that_was_left_alone_names_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.mp4.validator").write_text('"one"')
    with suppress(ConnectionError):
        async with FileSink(tmp_path / "a.mp4") as sink:
            assert (sink.size, sink.validator, here(tmp_path)) == (0, None, ["a.mp4.part"])
            await sink.write(b"another")
            raise ConnectionError
    assert here(tmp_path) == []


@pytest.mark.parametrize("note", ["", "\0\0\0"])
async def test_a_name_that_a_power_cut_has_spoilt_names_nothing(tmp_path: Path, note: str) -> None:
    (tmp_path / "a.mp4.validator").write_text(note)
    (tmp_path / "a.mp4.part").write_bytes(b"half")
    async with FileSink(tmp_path / "a.mp4") as sink:
        assert (sink.size, sink.validator) == (0, None)


async def test_what_a_full_disk_did_not_take_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(BytesIO):
        def write(self, chunk: object, /) -> int:
            raise OSError(ENOSPC, "No space left on device")

    with suppress(OSError):
        async with FileSink(tmp_path / "a.mp4") as sink:
            await sink.begin('"one"')
            await sink.write(b"half")
            sink._opened().close()
            monkeypatch.setattr(sink, "_file", Full())
            await sink.write(b"more")
    assert here(tmp_path) == []


async def test_a_download_is_gone_on_with_after_a_restart(tmp_path: Path) -> None:
    async def download(url: str, sink: FileSink) -> None:
        async with open_session([]) as session:
            resources = Resources(session=session, folder=tmp_path)
            await Api(resources, RemoteConfig(), url, {}).download("/file", sink)

    path, half, arrived = tmp_path / "a.mp4", 50_000, asyncio.Event()

    class Noticed(FileSink):
        async def write(self, chunk: bytes, /) -> None:
            await super().write(chunk)
            if self.size >= half:
                arrived.set()

    async with Shelf() as shelf:
        shelf.next("file", cut_after(shelf.data[:half], arrived, ETag='"one"'))
        with pytest.raises(Uncertain):
            async with Noticed(path) as sink:
                await download(shelf.url, sink)
        async with FileSink(path) as sink:
            await download(shelf.url, sink)
        assert path.read_bytes() == shelf.data
        assert [asked.headers.get("Range") for asked in shelf.requests] == [None, f"bytes={half}-"]
    assert here(tmp_path) == ["a.mp4"]


def test_a_kill_at_any_line_never_pairs_bytes_with_the_name_of_others(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "tests.bot.media.killed", str(tmp_path)], check=True, timeout=60)
