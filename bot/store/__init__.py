"""What the bot knows, in SQL. Nothing else in the program speaks it."""

from bot.clock import Clock
from bot.quota.limits import NO_LIMITS, Limits
from bot.store.accounts import Accounts
from bot.store.db import Database, StoreError, migrate
from bot.store.decisions import Decisions
from bot.store.jobs import Jobs
from bot.store.limits import Spending
from bot.store.log_posts import LogPosts
from bot.store.notes import Notes
from bot.store.pauses import OperatorPauses
from bot.store.sqlite import SQLite
from bot.store.usage import Usage
from bot.store.wasted import WastedJobs


class Store:
    """The open database, one attribute for each noun."""

    def __init__(self, database: Database, clock: Clock, limits: Limits = NO_LIMITS) -> None:
        """The limits are the operator's."""
        self._database = database
        self.decisions = Decisions(database)
        self.accounts = Accounts(database, self.decisions, limits)
        self.jobs = Jobs(database, clock, limits)
        self.usage = Usage(database)
        self.wasted = WastedJobs(database)
        self.log_posts = LogPosts(database)
        self.notes = Notes(database)
        self.pauses = OperatorPauses(database)
        self.spending = Spending(database, limits)

    async def open(self) -> None:
        """Connect and bring the schema up to date. Raises StoreError."""
        await self._database.open()
        try:
            await migrate(self._database)
        except BaseException:
            await self._database.close()
            raise

    async def close(self, patience: float | None = None) -> None:
        await self._database.close(patience)


def connect(url: str) -> Database:
    """The unopened database behind `sqlite:///path` or `postgresql://...`."""
    if url.startswith("sqlite:///"):
        return SQLite(url.removeprefix("sqlite:///"))
    try:
        from bot.store.postgres import PostgreSQL  # noqa: PLC0415 - psycopg is an extra
    except ImportError as error:
        raise StoreError("PostgreSQL needs an extra: pip install 'stillmotion[postgres]'") from error
    return PostgreSQL(url)
