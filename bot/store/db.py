"""One small door to SQLite and PostgreSQL: the same SQL, with `:name` parameters, means the same to both."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Protocol, TypeAlias, TypeVar

from bot.tasks import Tasks

Value: TypeAlias = str | int | None
Row: TypeAlias = dict[str, Value]
Rows: TypeAlias = Callable[..., Awaitable[list[Row]]]
"""How to read: a database's `read` or a transaction's `rows`."""
T = TypeVar("T")

CALL_LIMIT = 10.0
"""Seconds that a read or a whole transaction gets; then the database is taken for one that hangs."""
MIGRATION_LIMIT = 600.0
"""The same for migrations."""
CLOSING_PATIENCE = 10.0
"""Seconds that transactions under way get when the database is closed."""


class StoreError(Exception):
    """The database could not do what was asked. Nothing of the transaction was kept, unless `Unanswered`."""


class Unanswered(StoreError):
    """The answer to a COMMIT did not arrive: the transaction may have been kept. Read before you conclude."""


class Transaction(Protocol):
    """All or nothing. Never await anything but the database inside one."""

    async def rows(self, sql: str, /, **values: Value) -> list[Row]:
        """Run one statement and return what it selects or RETURNs."""
        ...

    async def lock(self, name: str) -> None:
        """Until the end of this transaction nobody else passes a lock of that name."""
        ...


class DatabaseLock(ABC):
    """The right to work on a database, which one process has at a time."""

    is_certain: bool
    """Whether nobody else has it before its last owner has ended; else that one may not know yet."""

    @abstractmethod
    async def acquire(self) -> bool:
        """Try to get it, also where it was lost; False while somebody else has it. Raises StoreError."""

    @abstractmethod
    async def is_held(self) -> bool:
        """Whether we have it, as far as can be found out now."""

    @abstractmethod
    async def release(self) -> None: ...


class Database(ABC):
    """A database; transactions run to their end even when whoever waits for them is cancelled."""

    def __init__(self, lock: DatabaseLock) -> None:
        self._tasks = Tasks()
        self.lock = lock
        self.is_ours = asyncio.Event()
        """Cleared while our lock is lost: nothing is written then."""
        self.is_ours.set()
        self.owner: str | None = None
        """What the note `owner` says while we are it; writes of a former owner fail."""

    async def write(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        *,
        limit: float | None = None,
        by_owner: bool = True,
    ) -> T:
        """Run `work` in one transaction and return its result, committed. Raises StoreError.

        Only the owner of the database writes, unless somebody else may: what was bought is written by who
        has bought it.
        """
        if by_owner:
            await self._wait_until_ours()
        within = CALL_LIMIT if limit is None else limit
        transaction = self._transaction(work, within, self.owner if by_owner else None)
        return await self._tasks.detached(transaction, "transaction")

    async def _wait_until_ours(self) -> None:
        try:
            async with asyncio.timeout(CALL_LIMIT):
                await self.is_ours.wait()
        except TimeoutError:
            raise StoreError("the lock on the database is lost") from None

    async def close(self, patience: float | None = None) -> None:
        """Let transactions under way end for so many seconds; then they are taken back."""
        await self._tasks.wait(CLOSING_PATIENCE if patience is None else patience)
        self._abort()
        await self._tasks.close()
        await self._close()

    def _abort(self) -> None:  # noqa: B027 - most databases need nothing
        """End what is under way at once, where that takes more than cancelling it."""

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def read(self, sql: str, /, **values: Value) -> list[Row]:
        """One SELECT that sees only what is committed. Raises StoreError."""

    @abstractmethod
    async def _transaction(
        self, work: Callable[[Transaction], Awaitable[T]], limit: float, owner: str | None
    ) -> T: ...

    @abstractmethod
    async def _close(self) -> None: ...


def to_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def clean(text: str) -> str:
    """What PostgreSQL takes as text, too: people and vendors write NULs and halves of surrogate pairs."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


async def pending(database: Database) -> list[str]:
    """The names of the migrations that a start would apply. Raises StoreError."""
    try:
        applied = {row["name"] for row in await database.read("SELECT name FROM migration")}
    except StoreError:
        applied = set[Value]()  # an empty database has not even that table
    return [file.name for file in _missing(applied)]


async def migrate(database: Database) -> list[str]:
    """Bring the schema up to date, all or nothing, and return the names of the migrations applied."""
    return await database.write(_apply_missing, limit=MIGRATION_LIMIT)


async def _apply_missing(transaction: Transaction) -> list[str]:
    await transaction.lock("migrations")
    await transaction.rows(
        "CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL)"
    )
    applied = {row["name"] for row in await transaction.rows("SELECT name FROM migration")}
    missing = _missing(applied)
    for file in missing:
        for statement in _statements(file.read_text(encoding="utf-8")):
            await transaction.rows(statement)
        await transaction.rows(
            "INSERT INTO migration (name, applied_at) VALUES (:name, :now)",
            name=file.name,
            now=to_text(datetime.now(UTC)),
        )
    return [file.name for file in missing]


def _missing(applied: set[Value]) -> list[Traversable]:
    known = _migrations()
    if unknown := sorted(str(name) for name in applied - {file.name for file in known}):
        raise StoreError(f"the database was written by a newer version: {', '.join(unknown)}")
    return [file for file in known if file.name not in applied]


def _migrations() -> Sequence[Traversable]:
    folder = resources.files("bot.store") / "migrations"
    return sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
    )


def _statements(script: str) -> list[str]:
    """Our migrations hold no semicolon but those that end a statement."""
    code = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
    return [statement for part in code.split(";") if (statement := part.strip())]
