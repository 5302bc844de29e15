"""PostgreSQL, where one machine is not enough. Needs the extra `postgres`."""

import re
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any, LiteralString, cast

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from bot.store.db import Database, Row, StoreError, T, Transaction, Value

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
        try:
            async with self._pool.connection() as connection:
                return await _rows(connection, sql, values)
        except _TROUBLE as error:
            raise StoreError(str(error)) from error

    async def _transaction(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        try:
            async with self._pool.connection() as connection, connection.transaction():
                return await work(_PostgreSQLTransaction(connection))
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


async def _rows(
    connection: psycopg.AsyncConnection[DictRow], sql: str, values: dict[str, Value]
) -> list[dict[str, Any]]:
    cursor = await connection.execute(_translated(sql), values)
    return await cursor.fetchall() if cursor.description else []


@cache
def _translated(sql: str) -> LiteralString:
    """SQLite's `:name` is psycopg's `%(name)s`. None of our SQL holds a colon otherwise."""
    return cast("LiteralString", re.sub(r":(\w+)", r"%(\1)s", sql.replace("%", "%%")))
