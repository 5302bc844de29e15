import asyncio
import os
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bot.store import Store, db
from bot.store.db import Database, StoreError, Transaction, migrate, pending, to_text
from tests.bot.store.conftest import StillClock
from tests.conftest import DURABLE
from tests.helpers import eventually

pytestmark = pytest.mark.usefixtures("in_threads")

ALL = sorted(file.name for file in Path("bot/store/migrations").glob("*.sql"))
NEWER = r"^the database was written by a newer version: 0999_later\.sql$"
Connect = Callable[[str], Database]


@pytest.fixture
def postgres_url(postgres_url: str, own_database: psycopg.Connection[Any]) -> Iterator[str]:
    """Without a table, before the test and after."""
    again = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
    own_database.execute(again)
    yield postgres_url
    own_database.execute(again)


def insert(name: str) -> Callable[[Transaction], Awaitable[object]]:
    return lambda transaction: transaction.rows("INSERT INTO note VALUES (:name, 'x')", name=name)


async def notes(database: Database) -> list[object]:
    return [row["name"] for row in await database.read("SELECT name FROM note ORDER BY name")]


class Held:
    """A transaction that has written a note and waits for leave to end."""

    def __init__(self, *, fails: bool = False) -> None:
        self.written = asyncio.Event()
        self.leave = asyncio.Event()
        self._fails = fails

    async def __call__(self, transaction: Transaction) -> str:
        await insert("held")(transaction)
        self.written.set()
        await self.leave.wait()
        if self._fails:
            raise RuntimeError("changed its mind")
        return "done"


async def test_migrating_twice_changes_nothing(database: Database) -> None:
    assert await migrate(database) == ALL
    assert await migrate(database) == []
    assert await notes(database) == []


async def test_several_programs_may_migrate_at_once(database_url: str, connect_to: Connect) -> None:
    databases = [connect_to(database_url) for _ in range(8)]
    await asyncio.gather(*(database.open() for database in databases))
    applied = await asyncio.gather(*(migrate(database) for database in databases))
    assert sorted(applied) == [[]] * 7 + [ALL]


def workers() -> set[threading.Thread]:
    """The threads in which connections work; what was opened has to be closed."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}


async def test_a_database_of_a_newer_version_is_refused(
    database: Database, database_url: str, connect_to: Connect
) -> None:
    await migrate(database)
    await database.write(lambda on: on.rows("INSERT INTO migration VALUES ('0999_later.sql', 'now')"))
    store = Store(connect_to(database_url), StillClock())
    before = workers()
    with pytest.raises(StoreError, match=NEWER):
        await store.open()
    await eventually(lambda: workers() == before)
    with pytest.raises(StoreError, match=NEWER):
        await pending(database)


async def test_a_migration_that_fails_leaves_nothing_behind(database: Database) -> None:
    await database.write(lambda on: on.rows("CREATE TABLE note (name TEXT)"))
    with pytest.raises(StoreError, match="note"):
        await migrate(database)
    with pytest.raises(StoreError, match="job"):
        await database.read("SELECT * FROM job")


async def test_a_transaction_returns_its_result_committed(database: Database) -> None:
    await migrate(database)
    assert await database.write(lambda on: on.rows("INSERT INTO note VALUES ('a', '1') RETURNING *")) == [
        {"name": "a", "value": "1"}
    ]
    assert await notes(database) == ["a"]


async def test_an_error_takes_back_the_whole_transaction(database: Database) -> None:
    await migrate(database)
    held = Held(fails=True)
    held.leave.set()
    with pytest.raises(RuntimeError, match="changed its mind"):
        await database.write(held)
    assert await notes(database) == []
    await database.write(insert("next"))
    assert await notes(database) == ["next"]


async def test_a_statement_that_fails_takes_back_what_went_before(database: Database) -> None:
    await migrate(database)

    async def twice(transaction: Transaction) -> None:
        await insert("same")(transaction)
        await insert("same")(transaction)

    with pytest.raises(StoreError):
        await database.write(twice)
    assert await notes(database) == []


async def test_nobody_reads_what_is_not_committed(database: Database) -> None:
    await migrate(database)
    held = Held()
    writing = asyncio.create_task(database.write(held))
    await held.written.wait()
    assert await notes(database) == []
    held.leave.set()
    assert await writing == "done"
    assert await notes(database) == ["held"]


async def test_a_transaction_runs_to_its_end_when_its_caller_is_cancelled(database: Database) -> None:
    await migrate(database)
    held = Held()
    writing = asyncio.create_task(database.write(held))
    await held.written.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    held.leave.set()
    await database.write(insert("next"))
    await asyncio.gather(*database._tasks._running)
    assert await notes(database) == ["held", "next"]


async def test_closing_lets_a_transaction_end(
    database: Database, database_url: str, connect_to: Connect
) -> None:
    await migrate(database)
    held = Held()
    writing = asyncio.create_task(database.write(held))
    await held.written.wait()
    closing = asyncio.create_task(database.close())
    held.leave.set()
    assert await writing == "done"
    await closing
    again = connect_to(database_url)
    await again.open()
    assert await notes(again) == ["held"]


async def test_a_transaction_that_never_ends_is_taken_back_when_patience_does(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch, connect_to: Connect
) -> None:
    monkeypatch.setattr("bot.store.db.CLOSING_PATIENCE", 0.01)
    await migrate(database)
    held = Held()
    writing = asyncio.create_task(database.write(held))
    await held.written.wait()
    await database.close()
    with pytest.raises(asyncio.CancelledError):
        await writing
    again = connect_to(database_url)
    await again.open()
    assert await notes(again) == []


async def test_only_one_at_a_time_holds_a_lock(database: Database) -> None:
    inside: list[int] = []
    most: list[int] = []

    async def work(transaction: Transaction) -> None:
        await transaction.lock("door")
        inside.append(1)
        most.append(len(inside))
        await transaction.rows("SELECT 1 AS one")
        inside.pop()

    await asyncio.gather(*(database.write(work) for _ in range(20)))
    assert most == [1] * 20


@pytest.mark.parametrize("sql", ["SELECT nonsense FROM nowhere", "SELEC"])
async def test_every_fault_of_the_database_is_a_store_error(database: Database, sql: str) -> None:
    with pytest.raises(StoreError):
        await database.read(sql)
    with pytest.raises(StoreError):
        await database.write(lambda on: on.rows(sql))


async def test_a_closed_database_says_so(database: Database) -> None:
    await database.close()
    with pytest.raises(StoreError):
        await database.read("SELECT 1 AS one")
    with pytest.raises(StoreError):
        await database.write(lambda on: on.rows("SELECT 1 AS one"))


async def test_a_percent_sign_in_sql_is_itself(database: Database) -> None:
    assert await database.read("SELECT 1 AS one WHERE 'abc' LIKE 'a%' AND :x = 'é'", x="é") == [{"one": 1}]


async def test_notes_are_kept_under_their_names(store: Store) -> None:
    assert await store.notes.get("commands") is None
    await store.notes.set("commands", "one")
    await store.notes.set("commands", "two")
    assert await store.notes.get("commands") == "two"


def test_times_are_text_in_utc_whose_order_is_theirs() -> None:
    berlin = timezone(timedelta(hours=2))
    assert to_text(datetime(2024, 7, 1, 1, tzinfo=berlin)) == "2024-06-30T23:00:00.000000+00:00"
    assert to_text(datetime(2024, 1, 1, tzinfo=UTC)) < to_text(datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC))


async def test_sqlite_keeps_a_commit_through_a_power_cut(
    sqlite_url: str, connect_to: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.sqlite._PRAGMAS", DURABLE)
    database = connect_to(sqlite_url)
    await database.open()

    async def pragmas(transaction: Transaction) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [next(iter((await transaction.rows(f"PRAGMA {name}"))[0].values())) for name in names]

    full = 2
    assert await database.write(pragmas) == ["wal", full, 1, 250]


async def test_sqlite_makes_the_folder_it_lives_in(tmp_path: Path, connect_to: Connect) -> None:
    database = connect_to(f"sqlite:///{tmp_path}/new/folder/stillmotion.db")
    await database.open()
    assert (tmp_path / "new/folder/stillmotion.db").exists()


async def test_sqlite_says_when_another_program_holds_the_database(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, connect_to: Connect
) -> None:
    monkeypatch.setattr("bot.store.sqlite.BUSY_LIMIT", 0.0)
    database = connect_to(sqlite_url)
    await database.open()
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="database is locked"):
        await migrate(database)
    other.close()
    assert await migrate(database) == ALL


async def test_sqlite_is_not_opened_while_another_program_has_it_to_itself(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, connect_to: Connect
) -> None:
    monkeypatch.setattr("bot.store.sqlite._WAITS", (0.0,))
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    database = connect_to(sqlite_url)
    with pytest.raises(StoreError, match=r"^cannot open .*: database is locked$"):
        await database.open()
    other.close()
    await database.open()


async def test_sqlite_may_have_taken_a_transaction_back_by_itself(
    sqlite_url: str, connect_to: Connect
) -> None:
    database = connect_to(sqlite_url)
    await database.open()
    await migrate(database)
    await database.write(insert("same"))
    with pytest.raises(StoreError, match="UNIQUE"):
        await database.write(lambda on: on.rows("INSERT OR ROLLBACK INTO note VALUES ('same', 'x')"))
    await database.write(insert("next"))
    assert await notes(database) == ["next", "same"]


async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, connect_to: Connect) -> None:
    file = tmp_path / "holiday.jpg"
    file.write_bytes(b"a picture, not a database" * 100)
    with pytest.raises(StoreError, match=r"cannot open .*holiday\.jpg: file is not a database"):
        await connect_to(f"sqlite:///{file}").open()
    assert file.read_bytes() == b"a picture, not a database" * 100


@pytest.mark.parametrize("place", ["/dev/null/stillmotion.db", f"{os.sep}"])
async def test_a_place_where_nothing_can_be_written_is_named(place: str, connect_to: Connect) -> None:
    with pytest.raises(StoreError, match=f"^cannot open {place}"):
        await connect_to(f"sqlite:///{place}").open()


async def test_postgresql_that_cannot_be_reached_is_said_at_once(connect_to: Connect) -> None:
    with pytest.raises(StoreError, match=r"^cannot reach the database: .*refused") as caught:
        await connect_to("postgresql://bot:hunter2@127.0.0.1:1/bot").open()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgresql://bot:hunter%2@localhost/bot", "postgresql://bot:hunter2@h/b?x=1"]
)
async def test_no_part_of_an_address_that_cannot_be_read_is_shown(url: str, connect_to: Connect) -> None:
    with pytest.raises(StoreError, match="DATABASE_URL is no address") as caught:
        await connect_to(url).open()
    assert "hunter" not in str(caught.value)
    assert caught.value.__suppress_context__


async def test_a_store_that_could_not_open_can_still_be_closed(tmp_path: Path, connect_to: Connect) -> None:
    for url in (f"sqlite:///{tmp_path}", "postgresql://bot@127.0.0.1:1/bot"):
        store = Store(connect_to(url), StillClock())
        with pytest.raises(StoreError):
            await store.open()
        await store.close()


async def test_postgresql_survives_the_loss_of_its_connections(
    postgres_url: str, connect_to: Connect
) -> None:
    database = connect_to(postgres_url)
    await database.open()
    with pytest.raises(StoreError):
        await database.write(lambda on: on.rows("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert await database.read("SELECT 1 AS one") == [{"one": 1}]


async def test_what_was_being_submitted_when_the_bot_was_updated_may_have_been(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations = db._migrations()
    monkeypatch.setattr(db, "_migrations", lambda: migrations[:3])
    await migrate(database)
    for number, state in enumerate(("queued", "submitting", "running"), start=1):
        await database.write(
            lambda on, number=number, state=state: on.rows(
                """
                INSERT INTO job (id, guild_id, channel_id, user_id, provider, model, request, state, price,
                    charged, created_at, state_at, not_before)
                VALUES (:id, 1, 1, 1, 'p', 'm', '{}', :state, 1, 1, 'then', 'then', 'then')
                """,
                id=number,
                state=state,
            )
        )
    monkeypatch.undo()
    await migrate(database)
    rows = await database.read("SELECT state, asked_at FROM job ORDER BY id")
    assert [row["asked_at"] for row in rows] == [None, "then", "then"]


async def test_what_was_decided_and_diverted_before_the_words_changed_still_holds(
    database: Database, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations = db._migrations()
    monkeypatch.setattr(db, "_migrations", lambda: [file for file in migrations if file.name < "0013"])
    await migrate(database)
    at = to_text(clock.now())
    change = '{"member_id":null,"kind":"fall-over","allowed":false}'

    async def write(on: Transaction) -> None:
        await on.rows(
            """
            INSERT INTO act (id, guild_id, by_id, at, kind, change)
            VALUES (1, 10, 2, :at, 'fall-over', :change)
            """,
            at=at,
            change=change,
        )
        await on.rows(
            """
            INSERT INTO job (id, guild_id, channel_id, user_id, provider, model, request, state, price,
                charged, may_fall_over, fell_from, created_at, state_at, not_before)
            VALUES (1, 10, 1, 1, 'p', 'm', '{"model":"m","prompt":"p"}', 'queued', 1,
                1, 1, 'first', :at, :at, :at)
            """,
            at=at,
        )

    await database.write(write)
    monkeypatch.undo()
    await migrate(database)
    store = Store(database, clock)
    assert (await store.decisions.rules(10)).fallback is False
    job = await store.jobs.get(1)
    assert job is not None
    assert (job.may_fall_back, job.fallback_from) == (True, "first")
