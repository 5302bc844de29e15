"""What is known of a transaction whose end was not seen."""

import resource
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bot.store.db import Database, StoreError, Transaction, Unanswered, migrate
from tests.postgres_proxy import PostgresProxy

Connect = Callable[[str], Database]


def insert(name: str) -> Callable[[Transaction], Awaitable[object]]:
    return lambda on: on.rows("INSERT INTO note VALUES (:name, 'x')", name=name)


async def notes(database: Database) -> list[object]:
    return [row["name"] for row in await database.read("SELECT name FROM note ORDER BY name")]


@pytest.fixture
async def proxied(postgres_proxy: PostgresProxy, connect_to: Connect) -> Database:
    database = connect_to(postgres_proxy.url)
    await database.open()
    await migrate(database)
    return database


@pytest.fixture
async def in_file(sqlite_url: str, connect_to: Connect) -> Database:
    database = connect_to(sqlite_url)
    await database.open()
    await migrate(database)
    return database


async def test_a_commit_whose_answer_is_lost_is_unanswered_and_may_have_been_kept(
    proxied: Database, postgres_proxy: PostgresProxy
) -> None:
    postgres_proxy.cut_after("COMMIT")
    with pytest.raises(Unanswered):
        await proxied.write(insert("paid"))
    assert await notes(proxied) == ["paid"]


async def test_a_commit_that_never_left_may_look_the_same(
    proxied: Database, postgres_proxy: PostgresProxy
) -> None:
    postgres_proxy.cut_before("COMMIT")
    with pytest.raises(Unanswered):
        await proxied.write(insert("paid"))
    assert await notes(proxied) == []


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT"])
@pytest.mark.parametrize("fault", [PostgresProxy.cut_after, PostgresProxy.cut_before])
async def test_a_connection_lost_before_the_commit_has_kept_nothing(
    proxied: Database,
    postgres_proxy: PostgresProxy,
    statement: str,
    fault: Callable[[PostgresProxy, str], None],
) -> None:
    fault(postgres_proxy, statement)
    with pytest.raises(StoreError) as caught:
        await proxied.write(insert("paid"))
    assert not isinstance(caught.value, Unanswered)
    assert await notes(proxied) == []


async def test_a_commit_that_is_refused_has_kept_nothing(database: Database) -> None:
    async def orphan(on: Transaction) -> None:
        await on.rows("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        await on.rows(
            "CREATE TABLE child (id INTEGER PRIMARY KEY,"
            " parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"
        )
        await on.rows("INSERT INTO child VALUES (1, 1)")

    with pytest.raises(StoreError) as caught:
        await database.write(orphan)
    assert not isinstance(caught.value, Unanswered)
    with pytest.raises(StoreError, match="child"):
        await database.read("SELECT * FROM child")


async def test_a_transaction_that_hides_a_failed_statement_is_not_called_kept(proxied: Database) -> None:
    async def hide(on: Transaction) -> None:
        await insert("paid")(on)
        with suppress(StoreError, Exception):
            await on.rows("SELECT nonsense")

    with pytest.raises(StoreError):
        await proxied.write(hide)
    assert await notes(proxied) == []


@contextmanager
def full_disk(file: str) -> Iterator[None]:
    """No file can grow beyond the size that this one has now."""
    largest = Path(file).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_commit_that_breaks_on_the_disk_is_unanswered(in_file: Database, sqlite_url: str) -> None:
    wal = f"{sqlite_url.removeprefix('sqlite:///')}-wal"
    with full_disk(wal), pytest.raises(Unanswered):
        await in_file.write(insert("paid"))
    assert await notes(in_file) == []
    await in_file.write(insert("next"))
    assert await notes(in_file) == ["next"]
