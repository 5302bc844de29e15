"""A database that is slow, silent or full is an error soon, and works again as soon as it can."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import psycopg
import pytest

from bot.store import db, postgres
from bot.store.db import Database, StoreError, Transaction, Unanswered, migrate
from tests.helpers import eventually
from tests.postgres_proxy import PostgresProxy

Connect = Callable[[str], Database]
SOON = 5.0
"""Seconds; far more than all limits of these tests together, and less than any of the real ones."""


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "POOL_TIMEOUT", 1.0)


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Calls may take no longer meanwhile; those that have to succeed have the real limit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(db, "CALL_LIMIT", seconds)
        yield


@pytest.fixture
async def database(postgres_proxy: PostgresProxy, connect_to: Connect) -> Database:
    made = connect_to(postgres_proxy.url)
    await made.open()
    await migrate(made)
    return made


def insert(name: str) -> Callable[[Transaction], Awaitable[object]]:
    return lambda on: on.rows("INSERT INTO note VALUES (:name, 'x')", name=name)


async def read(database: Database) -> object:
    return await database.read("SELECT 1 AS one")


async def test_a_server_that_says_nothing_is_an_error_soon(
    database: Database, postgres_proxy: PostgresProxy
) -> None:
    postgres_proxy.hang()
    async with asyncio.timeout(SOON):
        with limit(0.1):
            with pytest.raises(StoreError):
                await read(database)
            with pytest.raises(StoreError):
                await database.write(insert("held"))
    postgres_proxy.recover()
    assert await read(database) == [{"one": 1}]


async def test_a_commit_that_is_never_answered_is_unanswered(
    database: Database, postgres_proxy: PostgresProxy
) -> None:
    postgres_proxy.hang_after("COMMIT")
    async with asyncio.timeout(SOON):
        with limit(1.0), pytest.raises(Unanswered):
            await database.write(insert("paid"))
    assert await database.read("SELECT name FROM note") == [{"name": "paid"}]


async def test_whoever_finds_no_free_connection_hears_so_soon(database: Database) -> None:
    leave = asyncio.Event()
    taken: list[int] = []

    async def hold(_: Transaction) -> None:
        taken.append(1)
        await leave.wait()

    holding = [asyncio.create_task(database.write(hold)) for _ in range(postgres.CONNECTIONS)]
    await eventually(lambda: len(taken) == postgres.CONNECTIONS)
    async with asyncio.timeout(SOON):
        with pytest.raises(StoreError):
            await read(database)
    leave.set()
    await asyncio.gather(*holding)
    assert await read(database) == [{"one": 1}]


async def test_connections_that_the_server_has_closed_fail_nobody(
    postgres_url: str, connect_to: Connect, own_database: psycopg.Connection[object]
) -> None:
    database = connect_to(postgres_url)
    await database.open()
    await asyncio.gather(*(read(database) for _ in range(5)))
    own_database.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid != pg_backend_pid()"
    )
    assert await asyncio.gather(*(read(database) for _ in range(5))) == [[{"one": 1}]] * 5


async def test_a_server_that_was_away_is_used_as_soon_as_it_is_back(
    database: Database, postgres_proxy: PostgresProxy
) -> None:
    postgres_proxy.refuse()
    with limit(0.1):
        for _ in range(3):
            with pytest.raises(StoreError):
                await read(database)
    postgres_proxy.recover()
    before = monotonic()
    while True:
        try:
            await read(database)
            break
        except StoreError:
            assert monotonic() - before < SOON
    await database.write(insert("next"))


async def test_a_table_that_gets_a_column_fails_no_statement_of_others(
    database: Database, own_database: psycopg.Connection[object]
) -> None:
    def all_notes() -> Awaitable[object]:
        return database.read("SELECT * FROM note")

    for _ in range(10):  # psycopg prepares what it sees often
        await all_notes()
    own_database.execute("ALTER TABLE note ADD COLUMN later TEXT")
    try:
        await all_notes()
    finally:
        own_database.execute("ALTER TABLE note DROP COLUMN later")


async def test_closing_does_not_wait_for_a_server_that_says_nothing(
    database: Database, postgres_proxy: PostgresProxy
) -> None:
    postgres_proxy.hang()
    writing = asyncio.create_task(database.write(insert("late")))
    await eventually(lambda: database._in_use)  # type: ignore[attr-defined] # a PostgreSQL
    async with asyncio.timeout(SOON):
        await database.close(patience=0.1)
    with pytest.raises((asyncio.CancelledError, StoreError)):
        await writing


async def test_writers_of_a_locked_file_keep_nothing_and_all_hear_so_soon(
    sqlite_url: str, connect_to: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.sqlite.BUSY_LIMIT", 0.0)
    database = connect_to(sqlite_url)
    await database.open()
    await migrate(database)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    async with asyncio.timeout(SOON):
        with limit(0.1):
            ends = await asyncio.gather(
                *(database.write(insert(str(n))) for n in range(50)), return_exceptions=True
            )
    other.close()
    assert all(isinstance(end, StoreError) and not isinstance(end, Unanswered) for end in ends)
    await database.write(insert("next"))
    assert await database.read("SELECT name FROM note") == [{"name": "next"}]
