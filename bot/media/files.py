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

    What a broken download has brought stays beside it, if the server has named what the bytes belong to.
    The next FileSink for this path, even after a restart, begins with them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        """Bytes that are there, from before too."""
        self.validator: str | None = None
        """The server's name for the file that they belong to."""
        self._part = path.with_name(f"{path.name}.part")
        self._note = path.with_name(f"{path.name}.validator")
        self._file: BufferedWriter | None = None

    async def __aenter__(self) -> Self:
        try:
            await _to_its_end(self._open)
        except BaseException:
            await _to_its_end(self._let_go)
            raise
        return self

    async def begin(self, validator: str | None, /) -> None:
        """Drop what is there: what follows is the file from its first byte."""
        await _to_its_end(lambda: self._begin(validator))

    async def write(self, chunk: bytes, /) -> None:
        await _to_its_end(lambda: self._write(chunk))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await _to_its_end(self._keep)
        finally:
            await _to_its_end(self._let_go)

    # Should the process be killed between any two steps, the note on disk never names other bytes than the
    # part's: it goes before they change, and comes while there are none.

    def _open(self) -> None:
        validator = _noted(self._note)
        self._file = self._part.open("ab" if validator else "wb")
        self.size = self._file.tell()
        if self.size:
            self.validator = validator
        else:
            self._note.unlink(missing_ok=True)

    def _begin(self, validator: str | None) -> None:
        file = self._opened()
        self.validator = None
        self._note.unlink(missing_ok=True)
        file.seek(0)
        file.truncate()
        self.size = 0
        if validator is not None:
            self._note.write_text(validator, "utf-8")
        self.validator = validator

    def _write(self, chunk: bytes) -> None:
        try:
            self._opened().write(chunk)
        except OSError:
            # On a full disk, what is here may be the room that another's video needs.
            self.validator = None
            raise
        self.size += len(chunk)

    def _keep(self) -> None:
        file = self._opened()
        # Bytes that the disk did not take for certain are not gone on with.
        self.validator = None
        file.flush()
        fsync(file.fileno())
        file.close()
        self._part.replace(self.path)
        self._note.unlink(missing_ok=True)
        self._file = None

    def _opened(self) -> "BufferedWriter":
        if self._file is None:
            raise ValueError(f"{self.path.name} is not open")
        return self._file

    def _let_go(self) -> None:
        """Close the part and remove it, unless a later call can go on; after `_keep` there is none."""
        file, self._file = self._file, None
        if file is None:
            return
        # On a full disk closing fails too; that must not hide why the download ended.
        with suppress(OSError):
            file.close()
        if self.validator is None or not self.size:
            self._part.unlink(missing_ok=True)
            self._note.unlink(missing_ok=True)


def _noted(note: Path) -> str | None:
    """The validator in a note. A power cut may leave an empty one, or one of zeros."""
    try:
        text = note.read_text("utf-8", "replace")
    except FileNotFoundError:
        return None
    return text if text.isprintable() else None


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
