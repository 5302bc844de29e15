"""What counts against the operator's own limits."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.jobs import RELEASED, Job, JobState
from bot.quota.allowances import Budget, Ceiling, Window
from bot.quota.limits import HourlyRoom, Limits, OperatorBudget, Period, Scope, day_of, window_of
from bot.store.db import Database, Rows, Transaction, to_text
from bot.store.rows import among

_SPENT = """
    SELECT COALESCE(SUM(cost_micros), 0) AS total FROM job
    WHERE cost_micros > 0 AND created_at >= :start AND created_at < :end
"""
"""An index holds what has a cost, so the sum takes as long as the budget is large in videos."""


_SENT = f"""
    SELECT guild_id, SUM(cost_micros) AS total FROM (
        SELECT guild_id, cost_micros FROM job
        WHERE cost_micros > 0 AND asked_at >= :start AND asked_at < :end
        UNION ALL SELECT guild_id, cost_micros FROM job
        WHERE state = '{JobState.SUBMITTING}' AND asked_at IS NULL
    ) AS sent GROUP BY guild_id
"""  # noqa: S608 - our own word
"""What providers were asked for, and what they are about to be."""


async def lock_limits(transaction: Transaction, limits: Limits, user_id: int) -> None:
    """Until the end of a booking nobody else counts what it counts. After the lock of the server."""
    if limits.allowance is not None:
        await transaction.lock(f"member {user_id}")
    if limits.counts_all_servers:
        await transaction.lock("budgets of the bot")


async def ceiling_in(rows: Rows, limits: Limits, user_id: int, now: datetime) -> Ceiling | None:
    """What a member has used today in all servers, with what was granted and what was reset.

    What the operator pays for counts, even if nobody was charged, such as a video that was cancelled late.
    """
    if limits.allowance is None:
        return None
    day = day_of(now)
    [row] = await rows(
        f"""
        SELECT COALESCE(SUM(CASE WHEN price > 0 THEN price ELSE 1 END), 0) AS total FROM job
        WHERE user_id = :user_id AND booked_at >= :start AND booked_at < :end
            AND (charged > 0 OR cost_micros > 0 OR (price = 0 AND state NOT IN {among(RELEASED)}))
        """,  # noqa: S608 - our own words
        user_id=user_id,
        start=to_text(day.start),
        end=to_text(day.end),
    )
    return Ceiling(limits.allowance, int(row["total"] or 0), day)


async def budgets_in(rows: Rows, limits: Limits, guild_id: int, now: datetime) -> list[OperatorBudget]:
    """What is spent or reserved of the operator's budgets: the bot's, and this server's."""
    budgets: list[OperatorBudget] = []
    for scope, period, limit, window in limits.windows(now):
        spent = await _spent(rows, guild_id if scope is Scope.SERVER else None, window)
        budgets.append(OperatorBudget(limit, spent, window, scope, period))
    return budgets


async def room_in(rows: Rows, limits: Limits, now: datetime) -> HourlyRoom:
    """What may still be sent to providers in this hour."""
    hourly = {scope: most for (scope, period), most in limits.budgets.items() if period is Period.HOUR}
    if not hourly:
        return HourlyRoom({}, {})
    hour = window_of(Period.HOUR, now)
    found = await rows(_SENT, start=to_text(hour.start), end=to_text(hour.end))
    return HourlyRoom(hourly, {int(row["guild_id"] or 0): int(row["total"] or 0) for row in found})


class Spending:
    """For whoever looks at all servers at once."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits
        self._refused: dict[tuple[Scope, Period, int], datetime] = {}
        """When a video last did not fit into a budget, by server. After a restart the next one tells."""

    def was_refused(self, budget: Budget | None, guild_id: int, now: datetime) -> None:
        """A video did not fit into one of the operator's budgets."""
        if isinstance(budget, OperatorBudget):
            self._refused[budget.scope, budget.period, guild_id] = now

    def refused(self, scope: Scope, period: Period, window: Window) -> set[int]:
        """The servers in which a video did not fit into a budget in that time."""
        return {
            guild_id
            for (whose, which, guild_id), at in self._refused.items()
            if (whose, which) == (scope, period) and window.start <= at < window.end
        }

    async def budgets(self, guild_id: int, now: datetime) -> list[OperatorBudget]:
        """The operator's budgets, as they stand for one server."""
        return await budgets_in(self._database.read, self._limits, guild_id, now)

    async def waiting(self, queue: Sequence[Job], now: datetime) -> set[int]:
        """The ids of the queued jobs, given in their order, that wait until an hour has room for them."""
        room = await room_in(self._database.read, self._limits, now)
        waits = room.waits((job.guild_id, job.cost_micros) for job in queue)
        return {job.id for job, is_waiting in zip(queue, waits, strict=True) if is_waiting}

    async def by_server(self, period: Period, now: datetime) -> Mapping[int, int]:
        """What each server has spent or reserved, in millionths of a US dollar."""
        window = window_of(period, now)
        found = await self._database.read(
            """
            SELECT guild_id, SUM(cost_micros) AS total FROM job
            WHERE cost_micros > 0 AND created_at >= :start AND created_at < :end GROUP BY guild_id
            """,
            start=to_text(window.start),
            end=to_text(window.end),
        )
        return {int(row["guild_id"] or 0): int(row["total"] or 0) for row in found}


async def _spent(rows: Rows, guild_id: int | None, window: Window) -> int:
    start, end = to_text(window.start), to_text(window.end)
    if guild_id is None:
        [row] = await rows(_SPENT, start=start, end=end)
    else:
        [row] = await rows(f"{_SPENT} AND guild_id = :guild_id", guild_id=guild_id, start=start, end=end)
    return int(row["total"] or 0)
