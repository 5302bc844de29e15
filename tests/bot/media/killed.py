"""Downloads whose process is killed at each line of bot.media.files in turn.

`python -m tests.bot.media.killed FOLDER`: a process of its own, because it forks and traces its threads.
"""

import asyncio
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from bot.media import files
from bot.media.files import FileSink

NAMES = {b"1": '"one"', b"2": '"two"'}
SIZE = 20_000
"""More than a file's buffer holds, so that some of it is on disk."""


async def downloads(path: Path) -> None:
    """A file breaks off twice, then one without a name, then the first again; another one comes whole."""
    with suppress(ConnectionError):
        async with FileSink(path) as sink:
            await sink.begin(NAMES[b"1"])
            await sink.write(b"1" * SIZE)
            raise ConnectionError
    with suppress(ConnectionError):
        async with FileSink(path) as sink:
            await sink.write(b"1" * SIZE)
            raise ConnectionError
    with suppress(ConnectionError):
        async with FileSink(path) as sink:
            await sink.begin(None)
            await sink.write(b"3" * SIZE)
            raise ConnectionError
    with suppress(ConnectionError):
        async with FileSink(path) as sink:
            await sink.begin(NAMES[b"1"])
            await sink.write(b"1" * SIZE)
            raise ConnectionError
    async with FileSink(path) as sink:
        await sink.begin(NAMES[b"2"])
        await sink.write(b"2" * SIZE)


def killed_at(line: int, path: Path) -> bool:
    """Do this in a process that is killed at its so-many-th line; False if it has no more lines."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    left = line

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != files.__file__:
            return None
        left -= event == "line"
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    threading.settrace(trace)  # type: ignore[arg-type]
    asyncio.run(downloads(path))
    os._exit(0)


async def begin_anew(path: Path) -> bytes:
    """What a later sink finds: bytes of one file, and its name. They are dropped again."""
    with suppress(ConnectionError):
        async with FileSink(path) as sink:
            found = path.with_name(f"{path.name}.part").read_bytes()
            assert len(found) == sink.size
            kinds = {found[at : at + 1] for at in range(len(found))}
            assert [NAMES[kind] for kind in kinds] == ([sink.validator] if found else []), (
                kinds,
                sink.validator,
            )
            await sink.begin(None)
            raise ConnectionError
    return found[:1]


def main(path: Path) -> None:
    found: set[bytes] = set()
    line = 1
    while killed_at(line, path):
        found.add(asyncio.run(begin_anew(path)))
        assert set(path.parent.iterdir()) <= {path}
        assert not path.exists() or path.read_bytes() == b"2" * SIZE
        path.unlink(missing_ok=True)
        line += 1
    assert found == {b"", b"1", b"2"}, found


if __name__ == "__main__":
    main(Path(sys.argv[1], "a.mp4"))
