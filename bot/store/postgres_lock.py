"""The lock on a PostgreSQL database: it belongs to a connection that does nothing else."""

import asyncio
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
from psycopg.rows import DictRow, dict_row

from bot.store.db import DatabaseLock, StoreError
from bot.store.postgres_connect import OPTIONS, cut
from bot.tasks import Tasks

ANSWER_WITHIN = 5.0
"""Seconds."""
_KEYS = {"space": 0x5354494C, "key": 1}
_TRY = "SELECT pg_try_advisory_lock(%(space)s, %(key)s)"
_HOLDER = """
    SELECT pid, application_name, pid = pg_backend_pid() AS is_us
    FROM pg_locks JOIN pg_stat_activity USING (pid) JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE pg_database.datname = current_database() AND locktype = 'advisory' AND granted
        AND classid = %(space)s AND objid = %(key)s AND objsubid = 2
"""
# So that the server, too, soon finds out about a client that has gone without a word.
_SERVER_SIDE = """
    SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;
    SET tcp_user_timeout = 25000
"""


class PostgreSQLDatabaseLock(DatabaseLock):
    """Lost with its connection. The server may notice that before we do."""

    is_certain = False

    def __init__(self, url: str) -> None:
        self._url = url
        self._name = f"stillmotion {uuid4().hex}"
        self._tasks = Tasks()
        self._connection: psycopg.AsyncConnection[DictRow] | None = None

    async def acquire(self) -> bool:
        await self.release()
        try:
            self._connection = await psycopg.AsyncConnection[DictRow].connect(
                self._url,
                **OPTIONS,
                application_name=self._name,
                row_factory=dict_row,
            )
            await self._ask(_SERVER_SIDE)
            if await self._try():
                return True
        except (psycopg.Error, OSError) as error:
            await self.release()
            raise StoreError(str(error)) from error
        except BaseException:
            await self.release()
            raise
        await self.release()
        return False

    async def _try(self) -> bool:
        await self._ask(_TRY, **_KEYS)
        holder = await self._holder()
        if holder["is_us"]:
            return True
        if holder["application_name"] == self._name:
            # The server has not noticed yet that our last connection is broken.
            await self._ask("SELECT pg_terminate_backend(%(pid)s)", pid=holder["pid"])
        return False

    async def is_held(self) -> bool:
        try:
            return bool((await self._holder())["is_us"])
        except (psycopg.Error, OSError):
            return False

    async def _holder(self) -> dict[str, Any]:
        rows = await self._ask(_HOLDER, **_KEYS)
        return rows[0] if rows else {"is_us": False, "application_name": None}

    async def release(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            if not self._tasks.is_empty:
                cut(connection)
            await self._tasks.close()
            await connection.close()

    async def _ask(self, sql: LiteralString, **values: str | int) -> list[dict[str, Any]]:
        if self._connection is None:
            raise psycopg.OperationalError("there is no connection")
        return await self._tasks.detached(_answer(self._connection, sql, values), "lock")


async def _answer(
    connection: psycopg.AsyncConnection[DictRow], sql: LiteralString, values: dict[str, str | int]
) -> list[dict[str, Any]]:
    end = asyncio.get_running_loop().call_later(ANSWER_WITHIN, cut, connection)
    try:
        cursor = await connection.execute(sql, values or None)
        return await cursor.fetchall() if cursor.description else []
    finally:
        end.cancel()
