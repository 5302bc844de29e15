"""SQLite: one writer at a time in WAL mode, every commit on disk before it counts."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiosqlite

from bot.store.db import Database, Row, StoreError, T, Transaction, Unanswered, Value
from bot.store.file_lock import FileDatabaseLock

_PRAGMAS = (
    # A commit that a power cut could take back would allow a second paid submission.
    "PRAGMA synchronous = FULL",
    # Short, because a thread that waits in SQLite cannot be told to stop; `_begin` tries again.
    "PRAGMA busy_timeout = 250",
    "PRAGMA foreign_keys = ON",
)
_WAITS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds. SQLite itself does not wait for another program that opens a new file at the same moment."""
BUSY_LIMIT = 5.0
"""Seconds that another program may keep the database locked."""


class _Busy(StoreError):
    """Another program has locked the database."""


class SQLite(Database):
    def __init__(self, path: str) -> None:
        super().__init__(FileDatabaseLock(Path(path)))
        self._path = Path(path)
        self._one_writer = asyncio.Lock()
        self._connections: list[aiosqlite.Connection] = []

    async def open(self) -> None:
        try:
            await asyncio.to_thread(self._make)
            self._writer = await self._connect()
            # Of its own, so that it never sees what the writer has not committed.
            self._reader = await self._connect()
        except (sqlite3.Error, OSError) as error:
            await self._close()
            raise StoreError(f"cannot open {self._path}: {error}") from error

    async def read(self, sql: str, /, **values: Value) -> list[Row]:
        return await _rows(self._reader, sql, values)

    async def _transaction(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        limit: float,
        owner: str | None,  # noqa: ARG002 - the system sees to it that there is no other
    ) -> T:
        async with self._alone(limit):
            await self._begin()
            try:
                result = await work(_SQLiteTransaction(self._writer))
                await self._commit()
            except BaseException:
                if self._writer.in_transaction:
                    await _rows(self._writer, "ROLLBACK", {})
                raise
            return result

    async def _begin(self) -> None:
        """Wait for other programs that write, for a while. Raises StoreError."""
        if self._connections and self._writer.in_transaction:  # a ROLLBACK failed
            await _rows(self._writer, "ROLLBACK", {})
        end = time.monotonic() + BUSY_LIMIT
        while True:
            try:
                await _rows(self._writer, "BEGIN IMMEDIATE", {})
            except _Busy:
                if time.monotonic() >= end:
                    raise
            else:
                return

    @asynccontextmanager
    async def _alone(self, limit: float) -> AsyncGenerator[None]:
        """Be the one who writes. Raises StoreError if others take too long."""
        try:
            async with asyncio.timeout(limit):
                await self._one_writer.acquire()
        except TimeoutError:
            raise StoreError("the database is busy") from None
        try:
            yield
        finally:
            self._one_writer.release()

    async def _commit(self) -> None:
        try:
            await _rows(self._writer, "COMMIT", {})
        except StoreError as error:
            if self._writer.in_transaction:
                raise
            # What broke on the disk may be found there all the same, when the file is opened again.
            raise Unanswered(str(error)) from error

    async def _close(self) -> None:
        while self._connections:
            await self._connections.pop().close()

    def _make(self) -> None:
        """Create the file if there is none: a thread of aiosqlite would outlive its failure to do so."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=0)) as connection:
            for wait in (*_WAITS, None):
                try:
                    connection.execute("PRAGMA journal_mode = WAL")
                    break
                except sqlite3.OperationalError as error:
                    # The upper bits say why it is busy.
                    if wait is None or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                        raise
                    time.sleep(wait)

    async def _connect(self) -> aiosqlite.Connection:
        connection = await aiosqlite.connect(self._path, isolation_level=None)
        self._connections.append(connection)
        connection.row_factory = sqlite3.Row
        for pragma in _PRAGMAS:
            await connection.execute_fetchall(pragma)
        return connection


class _SQLiteTransaction:
    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def rows(self, sql: str, /, **values: Value) -> list[Row]:
        return await _rows(self._connection, sql, values)

    async def lock(self, name: str) -> None:
        """BEGIN IMMEDIATE has locked everybody else out already."""


async def _rows(connection: aiosqlite.Connection, sql: str, values: dict[str, Value]) -> list[Row]:
    try:
        return [dict(row) for row in await connection.execute_fetchall(sql, values)]
    except (sqlite3.Error, ValueError) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        raise (_Busy if code == sqlite3.SQLITE_BUSY else StoreError)(str(error)) from error
