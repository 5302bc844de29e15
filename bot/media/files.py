"""Where a download is written: nobody ever finds half a file under its final name."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from os import fsync
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from io import BufferedWriter


class FileSink:
    """Takes chunks inside `async with`; the file appears at `path` once the block has ended well.

    A download that fails leaves nothing: the next one starts from the first byte.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._part = path.with_name(f"{path.name}.part")
        self._file: BufferedWriter | None = None

    async def __aenter__(self) -> Self:
        try:
            await _to_its_end(self._open)
        except BaseException:
            await _to_its_end(self._discard)
            raise
        return self

    async def write(self, chunk: bytes, /) -> None:
        await _to_its_end(lambda: self._write(chunk))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await _to_its_end(self._keep)
        finally:
            await _to_its_end(self._discard)

    def _open(self) -> None:
        self._file = self._part.open("wb")

    def _write(self, chunk: bytes) -> None:
        self._opened().write(chunk)

    def _keep(self) -> None:
        file = self._opened()
        file.flush()
        fsync(file.fileno())
        file.close()
        self._part.replace(self.path)
        self._file = None

    def _opened(self) -> "BufferedWriter":
        if self._file is None:
            raise ValueError(f"{self.path.name} is not open")
        return self._file

    def _discard(self) -> None:
        """Close the part and remove it; after `_keep` there is none."""
        file, self._file = self._file, None
        if file is None:
            return
        # On a full disk closing fails too; that must not hide why the download ended.
        with suppress(OSError):
            file.close()
        self._part.unlink(missing_ok=True)


async def _to_its_end(work: Callable[[], None]) -> None:
    """Run `work` in a thread and wait for it, however often the caller is cancelled meanwhile.

    A thread cannot be stopped, and the next step on the same file must not overlap with it.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work))
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    ended = cancelled or running.exception()
    if ended is not None:
        raise ended
