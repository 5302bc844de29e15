"""One process for one data folder and one database."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psycopg
import pytest

from bot import ownership as module
from bot.client import Stillmotion
from bot.clock import Clock
from bot.delivery.brake import Brake
from bot.jobs import JobState
from bot.ownership import AlreadyRunning, Ownership
from bot.quota.allowances import Allowance, WindowKind
from bot.store import Store, connect, db
from bot.store.db import StoreError
from bot.store.postgres_lock import PostgreSQLDatabaseLock
from tests.bot.store.conftest import new_job
from tests.helpers import eventually, on_both
from tests.postgres_proxy import PostgresProxy

SAME_DATABASE = "^Another Stillmotion works on this database$"


class Owner:
    """What a bot has open while it runs."""

    def __init__(self, url: str, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        database = connect(url)
        self.ended: list[AlreadyRunning] = []
        self.ownership = Ownership(folder, database, Clock(), self.ended.append)
        self.store = Store(database, Clock())

    async def start(self, patience: float = 0) -> None:
        await self.ownership.acquire(patience)
        await self.store.open()
        await self.ownership.claim(self.store.notes)

    async def stop(self) -> None:
        await self.ownership.disclaim()
        await self.crash()

    async def crash(self) -> None:
        """As at a power cut, nothing is said to the database."""
        await self.ownership._tasks.close()
        await self.store.close()
        await self.ownership.release()


@pytest.fixture
async def owner(tmp_path: Path) -> AsyncIterator[Callable[[str, str], Owner]]:
    made: list[Owner] = []

    def make(url: str, folder: str) -> Owner:
        made.append(Owner(url, tmp_path / folder))
        return made[-1]

    yield make
    for each in made:
        await each.crash()


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT", 0.05)
    monkeypatch.setattr(module, "POLL", 0.05)
    monkeypatch.setattr(module, "LAST_CALLS", 0.5)
    monkeypatch.setattr(db, "CALL_LIMIT", 2.0)


Make = Callable[[str, str], Owner]


async def test_one_process_for_one_data_folder(
    owner: Make, postgres_url: str, tmp_path: Path, sqlite_url: str
) -> None:
    await owner(postgres_url, "a").start()
    with pytest.raises(AlreadyRunning, match=f"^Another Stillmotion works in {tmp_path / 'a'}$"):
        await owner(sqlite_url, "a").start()


@on_both
async def test_one_process_for_one_database(owner: Make, database_url: str) -> None:
    first = owner(database_url, "a")
    await first.start()
    second = owner(database_url, "b")
    with pytest.raises(AlreadyRunning, match=SAME_DATABASE):
        await second.start()
    await first.stop()
    await second.start(patience=60)


async def test_a_link_leads_to_the_same_database(owner: Make, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "other.db").symlink_to(tmp_path / "bot.db")
    await owner(f"sqlite:///{tmp_path}/bot.db", "a").start()
    for path in ("link/bot.db", "other.db", "link/other.db"):
        with pytest.raises(AlreadyRunning, match=SAME_DATABASE):
            await owner(f"sqlite:///{tmp_path}/{path}", "b").start()


@on_both
async def test_an_update_waits_for_the_old_one_to_end(
    owner: Make, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = owner(database_url, "a"), owner(database_url, "b")
    await old.start()
    starting = asyncio.create_task(new.start(patience=60))
    await eventually(lambda: "on this database: waiting up to 60 s for it to end" in caplog.text)
    await old.stop()
    await starting
    assert new.ownership.is_held
    assert "cleanly" not in caplog.text


async def test_who_finds_no_clean_end_waits_for_the_last_calls(
    owner: Make, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    old = owner(postgres_url, "a")
    await old.start()
    await old.crash()
    await owner(postgres_url, "b").start(patience=60)
    assert "the last owner has not ended cleanly" in caplog.text


@on_both
async def test_after_a_crash_the_same_data_folder_goes_on_at_once(
    owner: Make, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    old = owner(database_url, "a")
    await old.start()
    await old.crash()
    await owner(database_url, "a").start(patience=60)
    assert "cleanly" not in caplog.text


def end_the_lock(connection: psycopg.Connection[object]) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE 'stillmotion%'"
    )


async def test_a_lost_lock_is_held_again(
    owner: Make, postgres_url: str, own_database: psycopg.Connection[object], caplog: pytest.LogCaptureFixture
) -> None:
    living = owner(postgres_url, "a")
    await living.start()
    end_the_lock(own_database)
    await eventually(lambda: "is held again" in caplog.text)
    await living.store.notes.set("x", "y")
    with pytest.raises(AlreadyRunning):
        await owner(postgres_url, "b").start()
    assert living.ended == []


async def test_a_lock_that_only_the_server_still_sees_is_held_again(
    owner: Make, postgres_proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.postgres_lock.ANSWER_WITHIN", 0.3)
    living = owner(postgres_proxy.url, "a")
    await living.start()
    postgres_proxy.hang_after("pg_stat_activity")
    await eventually(lambda: not living.ownership.is_held)
    await eventually(lambda: living.ownership.is_held)
    assert living.ended == []


async def test_nothing_is_written_while_the_lock_is_lost(
    owner: Make, postgres_url: str, own_database: psycopg.Connection[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "CALL_LIMIT", 0.3)
    living = owner(postgres_url, "a")
    await living.start(patience=60)
    someone = PostgreSQLDatabaseLock(postgres_url)
    end_the_lock(own_database)
    assert await someone.acquire()
    await eventually(lambda: not living.ownership.is_held)
    with pytest.raises(StoreError, match="the lock on the database is lost"):
        await living.store.notes.set("x", "y")
    await someone.release()
    await eventually(lambda: living.ownership.is_held)
    await living.store.notes.set("x", "y")


async def test_who_has_lost_it_to_another_ends(
    owner: Make, postgres_url: str, own_database: psycopg.Connection[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = owner(postgres_url, "a"), owner(postgres_url, "b")
    await old.start(patience=60)
    monkeypatch.setattr(module, "BEAT", 0.5)  # the old one comes late
    end_the_lock(own_database)
    await new.start(patience=60)
    await eventually(lambda: old.ended)
    assert str(old.ended[0]) == "Another Stillmotion has taken over this database: this one stops"
    assert not old.ownership.is_held


async def test_a_former_owner_writes_nothing_but_what_it_has_bought(
    owner: Make, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has not noticed yet: its lock's connection broke, and the next look is far."""
    old, new = owner(postgres_url, "a"), owner(postgres_url, "b")
    await old.start()
    job = new_job()
    await old.store.accounts.reserve(job, (), Allowance(amount=5, kind=WindowKind.DAY))
    sent = await old.store.jobs.move(job, JobState.SUBMITTING)
    await old.ownership._tasks.close()
    await old.ownership._lock.release()
    await new.start(patience=60)  # the server needs a moment to see that
    with pytest.raises(StoreError, match="the database has another owner now"):
        await old.store.jobs.move(sent, JobState.QUEUED)
    bought = await old.store.jobs.move(sent, JobState.RUNNING, operation={"id": "paid"})
    assert bought.state is JobState.RUNNING


async def test_who_has_lost_the_database_for_the_moment_is_not_healthy() -> None:
    async def nothing(_: object = None) -> None: ...

    client = Stillmotion(nothing, nothing, Brake(Clock()))
    await client.on_ready()
    assert client.report()["healthy"]
    client.owns = lambda: False
    assert not client.report()["healthy"]
