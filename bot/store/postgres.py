"""PostgreSQL, where one machine is not enough. Needs the extra `postgres`."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, LiteralString, TypeAlias, cast

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from bot.store import db
from bot.store.db import Database, Row, StoreError, T, Transaction, Unanswered, Value
from bot.store.postgres_connect import CONNECT_TIMEOUT, OPTIONS, cut
from bot.store.postgres_lock import PostgreSQLDatabaseLock

log = logging.getLogger(__name__)

CONNECTIONS = 10
POOL_TIMEOUT = 5.0
"""Seconds until whoever finds no free connection hears so."""
CLOSE_TIMEOUT = 1.0
"""Seconds that attempts to connect get to end; the rest ends with the loop."""
ABANDONED = 60
"""Seconds after which the server takes back a transaction whose client says nothing any more."""
_BEGIN = sql.SQL(
    "BEGIN; SET LOCAL statement_timeout = {}; SET LOCAL idle_in_transaction_session_timeout = {}"
)
_WHOSE = sql.SQL("; SELECT value FROM note WHERE name = 'owner'")
"""Settings of the session would meet others behind a pooler."""
_TROUBLE = (psycopg.Error, OSError)
_Connection: TypeAlias = psycopg.AsyncConnection[DictRow]


class PostgreSQL(Database):
    def __init__(self, url: str) -> None:
        super().__init__(PostgreSQLDatabaseLock(url))
        self._url = url
        self._pool: AsyncConnectionPool[_Connection] = AsyncConnectionPool(
            url,
            connection_class=psycopg.AsyncConnection[DictRow],
            min_size=1,
            max_size=CONNECTIONS,
            timeout=POOL_TIMEOUT,
            # Later attempts would come ever more seldom; who needs a connection starts new ones.
            reconnect_timeout=CONNECT_TIMEOUT,
            check=_notice_the_end,
            open=False,
            kwargs={"row_factory": dict_row, **OPTIONS},
        )
        self._in_use: set[_Connection] = set()

    async def open(self) -> None:
        await self._greet()
        await self._pool.open()

    async def read(self, sql: str, /, **values: Value) -> list[Row]:
        # Cancelled, psycopg itself would wait for a server that hangs.
        return await self._tasks.detached(self._read(sql, values), "read")

    async def _read(self, sql: str, values: dict[str, Value]) -> list[Row]:
        async with self._connection(db.CALL_LIMIT) as connection:
            return await _rows(connection, sql, values)

    async def _transaction(
        self, work: Callable[[Transaction], Awaitable[T]], limit: float, owner: str | None
    ) -> T:
        async with self._connection(limit) as connection:
            await _begin(connection, limit, owner)
            result = await work(_PostgreSQLTransaction(connection))
            await _commit(connection)
            return result

    @asynccontextmanager
    async def _connection(self, limit: float) -> AsyncGenerator[_Connection]:
        """A connection of the pool, for so many seconds; on an error it takes back what is open."""
        loop = asyncio.get_running_loop()
        try:
            async with self._pool.connection() as connection:
                self._in_use.add(connection)
                end = loop.call_later(limit, _give_up, connection, limit)
                try:
                    yield connection
                finally:
                    end.cancel()
                    self._in_use.discard(connection)
        except _TROUBLE as error:
            raise StoreError(str(error)) from error

    async def _greet(self) -> None:
        """Connect once: the pool would try for long and then not say what is wrong."""
        try:
            connection = await psycopg.AsyncConnection.connect(self._url, connect_timeout=CONNECT_TIMEOUT)
            await connection.close()
        except psycopg.ProgrammingError:
            # Its message quotes the address, and there is a password in it.
            raise StoreError(
                "DATABASE_URL is no address of a database; a password has to be percent-encoded"
            ) from None
        except _TROUBLE as error:
            raise StoreError(f"cannot reach the database: {error}") from error

    def _abort(self) -> None:
        for connection in self._in_use:
            cut(connection)

    async def _close(self) -> None:
        await self._pool.close(CLOSE_TIMEOUT)


class _PostgreSQLTransaction:
    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    async def rows(self, sql: str, /, **values: Value) -> list[Row]:
        return await _rows(self._connection, sql, values)

    async def lock(self, name: str) -> None:
        await self.rows("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))", name=name)


async def _notice_the_end(connection: _Connection) -> None:
    """Raise if the server has closed this connection while nobody used it; costs no round trip."""
    for _ in range(2):  # its reason to close comes first, then the end
        connection.pgconn.consume_input()


def _give_up(connection: _Connection, limit: float) -> None:
    log.warning("the database has not answered for %.0f s: that connection is given up", limit)
    cut(connection)


async def _begin(connection: _Connection, limit: float, owner: str | None) -> None:
    """Begin a transaction, in one round trip. Raises StoreError if the database has another owner."""
    begin = _BEGIN.format(sql.Literal(int(limit * 1000)), sql.Literal(ABANDONED * 1000))
    cursor = await connection.execute(begin + _WHOSE if owner else begin)
    if owner is not None:
        while cursor.nextset():
            pass
        row = await cursor.fetchone()
        if row is not None and row["value"] != owner:
            raise StoreError("the database has another owner now")


async def _commit(connection: _Connection) -> None:
    """Raises Unanswered, unless the server says that nothing was kept."""
    try:
        cursor = await connection.execute("COMMIT")
    except _TROUBLE as error:
        if connection.info.transaction_status is TransactionStatus.IDLE:
            raise  # the server lives, and has taken the transaction back
        raise Unanswered(str(error)) from error
    if cursor.statusmessage != "COMMIT":
        raise StoreError("a statement of the transaction had failed")


async def _rows(connection: _Connection, sql: str, values: dict[str, Value]) -> list[dict[str, Any]]:
    cursor = await connection.execute(_translated(sql), values)
    return await cursor.fetchall() if cursor.description else []


@cache
def _translated(sql: str) -> LiteralString:
    """SQLite's `:name` is psycopg's `%(name)s`. None of our SQL holds a colon otherwise."""
    return cast("LiteralString", re.sub(r":(\w+)", r"%(\1)s", sql.replace("%", "%%")))
