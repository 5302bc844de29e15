"""The lock on a SQLite database: a file beside it."""

from pathlib import Path

from filelock import FileLock, Timeout

from bot.store.db import DatabaseLock, StoreError


class FileDatabaseLock(DatabaseLock):
    """Beside a SQLite file, whatever links lead there. The system releases it when the process ends."""

    is_certain = True

    def __init__(self, file: Path) -> None:
        real = file.resolve()
        self._lock = FileLock(f"{real}.lock", thread_local=False)

    async def acquire(self) -> bool:
        try:
            Path(self._lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)
        except Timeout:
            return False
        except OSError as error:
            raise StoreError(f"cannot open {self._lock.lock_file}: {error.strerror}") from error
        return True

    async def is_held(self) -> bool:
        return self._lock.is_locked

    async def release(self) -> None:
        self._lock.release(force=True)
