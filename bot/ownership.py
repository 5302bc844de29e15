"""Who owns the jobs: the one process that has the data folder and the database to itself."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from bot.clock import Clock
from bot.store.db import Database, StoreError
from bot.store.notes import Notes
from bot.tasks import Tasks

log = logging.getLogger(__name__)

BEAT = 5.0
"""Seconds between two looks at the lock."""
POLL = 1.0
"""Seconds between two attempts to get it."""
REFUSED_FOR = 60.0
"""Seconds; who holds a lost lock for longer is taken for another owner."""
LAST_CALLS = 25.0
"""Seconds until a former owner has noticed that it is one, and its calls in flight have ended."""
OWNER = "owner"
"""The note that names the owner, in each transaction's sight; no note after a clean end."""


class AlreadyRunning(Exception):
    """Another process works in the same data folder or on the same database."""


class Ownership:
    """Of a data folder and a database. `lost` is told why, if somebody else has taken over."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        clock: Clock,
        lost: Callable[[AlreadyRunning], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._folder_lock = FileLock(folder / "stillmotion.lock", thread_local=False)
        self._database = database
        self._lock = database.lock
        self._clock = clock
        self._lost = lost
        self._tasks = Tasks()
        self._token: str | None = None

    @property
    def is_held(self) -> bool:
        return self._token is not None and self._database.is_ours.is_set()

    async def acquire(self, patience: float) -> None:
        """Get both, or wait for so many seconds for their owner to end. Raises AlreadyRunning, StoreError."""
        folder = f"Another Stillmotion works in {self._folder.absolute()}"
        await self._wait_for(self._try_folder, folder, patience)
        try:
            await self._wait_for(self._lock.acquire, "Another Stillmotion works on this database", patience)
        except BaseException:
            await self.release()
            raise

    async def claim(self, notes: Notes) -> None:
        """Once the tables are there: from now on nobody writes who owned them before."""
        home = await asyncio.to_thread(_identity, self._folder)
        before = await notes.get(OWNER)
        self._token = f"{home} {uuid4().hex}"
        await notes.set(OWNER, self._token)
        self._notes = notes
        if self._lock.is_certain:
            return
        self._database.owner = self._token
        self._tasks.spawn(self._keep(), "lock")
        if before is not None and not before.startswith(home):
            log.warning("the last owner has not ended cleanly: its calls in flight get %.0f s", LAST_CALLS)
            await self._clock.wait(asyncio.Event(), LAST_CALLS)

    async def disclaim(self) -> None:
        """All is done: the next owner need not wait."""
        await self._tasks.close()
        with suppress(StoreError):
            if self.is_held and self._token is not None:
                await self._notes.remove(OWNER, self._token)

    async def release(self) -> None:
        await self._tasks.close()
        await self._lock.release()
        self._folder_lock.release(force=True)

    async def _try_folder(self) -> bool:
        try:
            self._folder_lock.acquire(blocking=False)
        except Timeout:
            return False
        return True

    async def _wait_for(self, acquire: Callable[[], Awaitable[bool]], why: str, patience: float) -> None:
        waited = 0.0
        while not await acquire():
            if waited >= patience:
                raise AlreadyRunning(why)
            if not waited:
                log.warning("%s: waiting up to %.0f s for it to end", why, patience)
            await self._clock.wait(asyncio.Event(), POLL)
            waited += POLL

    async def _keep(self) -> None:
        """Look after the lock, for as long as it is ours."""
        while True:
            await self._clock.wait(asyncio.Event(), BEAT)
            if await self._lock.is_held():
                continue
            self._database.is_ours.clear()
            log.warning("the lock on the database is lost: nothing is begun until it is held again")
            if not await self._regain():
                self._lost(AlreadyRunning("Another Stillmotion has taken over this database: this one stops"))
                return
            self._database.is_ours.set()
            log.warning("the lock on the database is held again")

    async def _regain(self) -> bool:
        """Get the lock again, however long the database is away; False if somebody else owns it now."""
        refused = 0.0
        while refused <= REFUSED_FOR:
            with suppress(StoreError):
                held = await self._lock.acquire()
                if await self._notes.get(OWNER) != self._token:
                    return False
                if held:
                    return True
                refused += POLL
            await self._clock.wait(asyncio.Event(), POLL)
        return False


def _identity(folder: Path) -> str:
    """What tells this data folder from all others. Its last owner has ended if we hold it."""
    file = folder / "identity"
    if not file.exists():
        file.write_text(uuid4().hex, encoding="utf-8")
    return file.read_text(encoding="utf-8")
