"""A large video passes through the bot without ever being in its memory."""

import hashlib
import os
import struct
import sys
from pathlib import Path

import av
import pytest
from aiohttp import web

from tests.e2e.process.conftest import Stage
from tests.vendors.faults import Exchange, Fault

MEGABYTE = 1024 * 1024
LARGE = 100 * MEGABYTE


class Memory:
    """What a process has in memory, and the most that it has had since `reset`."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")

    def reset(self) -> None:
        (self._folder / "clear_refs").write_text("5")

    @property
    def peak(self) -> int:
        status = (self._folder / "status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024


def video(path: Path, padding: int = 0) -> Path:
    """Half a second that plays anywhere, and behind it a box of nothing that every player skips."""
    with av.open(path, "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for shade in range(12):
            frame = av.VideoFrame.from_bytes(bytes([shade * 16]) * (64 * 64 * 4), 64, 64, format="rgba")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    if padding:
        with path.open("ab") as file:
            file.write(struct.pack(">I4s", padding, b"free"))
        os.truncate(path, path.stat().st_size - 8 + padding)
    return path


def serves(path: Path) -> Fault:
    """No fault: the result is this file, from the disk."""

    async def answer(_: Exchange) -> web.StreamResponse:
        return web.FileResponse(path, headers={"Content-Type": "video/mp4"})

    return answer


def digest(data: bytes) -> str:
    """Stands for data that nobody wants to see in a failed test's report."""
    return hashlib.sha256(data).hexdigest()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
async def test_the_bot_takes_less_than_ten_megabytes_to_deliver_a_hundred(
    stage: Stage, tmp_path: Path
) -> None:
    small, large = video(tmp_path / "small.mp4"), video(tmp_path / "large.mp4", LARGE)
    stage.bot.settings |= {"UPLOAD_LIMIT_MB": "150", "MAX_VIDEO_MB": "200"}
    stage.vendor.next("result", serves(small), serves(large))
    await stage.bot.start()
    await stage.reaches(await stage.animate(), "delivered")

    memory = Memory(stage.bot.pid)
    memory.reset()
    before = memory.peak
    await stage.reaches(await stage.animate(), "delivered")
    growth = memory.peak - before

    assert growth < 10 * MEGABYTE
    sent = [digest(arrived.data) for arrived in stage.discord.world.videos()]
    assert sent == [digest(path.read_bytes()) for path in (small, large)]
