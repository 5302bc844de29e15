"""PostgreSQL, where one machine is not enough. Needs the extra `postgres`."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, LiteralString, cast

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from bot.store.db import Database, Row, StoreError, T, Transaction, Unanswered, Value

CONNECT_TIMEOUT = 10
"""Seconds."""
_TROUBLE = (psycopg.Error, OSError)


class PostgreSQL(Database):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[DictRow]] = AsyncConnectionPool(
            url,
            connection_class=psycopg.AsyncConnection[DictRow],
            min_size=1,
            max_size=10,
            timeout=15,
            open=False,
            kwargs={"row_factory": dict_row, "autocommit": True, "connect_timeout": CONNECT_TIMEOUT},
        )

    async def open(self) -> None:
        await self._greet()
        await self._pool.open()

    async def read(self, sql: str, /, **values: Value) -> list[Row]:
        async with self._connection() as connection:
            return await _rows(connection, sql, values)

    async def _transaction(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async with self._connection() as connection:
            await connection.execute("BEGIN")
            result = await work(_PostgreSQLTransaction(connection))
            await _commit(connection)
            return result

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[psycopg.AsyncConnection[DictRow]]:
        """A connection of the pool; on an error it takes back the transaction that is open."""
        try:
            async with self._pool.connection() as connection:
                yield connection
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

    async def _close(self) -> None:
        await self._pool.close()


class _PostgreSQLTransaction:
    def __init__(self, connection: psycopg.AsyncConnection[DictRow]) -> None:
        self._connection = connection

    async def rows(self, sql: str, /, **values: Value) -> list[Row]:
        return await _rows(self._connection, sql, values)

    async def lock(self, name: str) -> None:
        await self.rows("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))", name=name)


async def _commit(connection: psycopg.AsyncConnection[DictRow]) -> None:
    """Raises Unanswered, unless the server says that nothing was kept."""
    try:
        cursor = await connection.execute("COMMIT")
    except _TROUBLE as error:
        if connection.info.transaction_status is TransactionStatus.IDLE:
            raise  # the server lives, and has taken the transaction back
        raise Unanswered(str(error)) from error
    if cursor.statusmessage != "COMMIT":
        raise StoreError("a statement of the transaction had failed")


async def _rows(
    connection: psycopg.AsyncConnection[DictRow], sql: str, values: dict[str, Value]
) -> list[dict[str, Any]]:
    cursor = await connection.execute(_translated(sql), values)
    return await cursor.fetchall() if cursor.description else []


@cache
def _translated(sql: str) -> LiteralString:
    """SQLite's `:name` is psycopg's `%(name)s`. None of our SQL holds a colon otherwise."""
    return cast("LiteralString", re.sub(r":(\w+)", r"%(\1)s", sql.replace("%", "%%")))
