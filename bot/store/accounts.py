"""What members have left, and the one transaction that books a job."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.jobs import Failure, Job, JobState
from bot.quota.allowances import Allowance, Budget, Grant, Refusal, Standing, Window, WindowKind, window_at
from bot.quota.limits import NO_LIMITS, Limits, OperatorBudget, Period
from bot.quota.rules import ServerRules
from bot.store.db import Database, Rows, Transaction, Value, to_text
from bot.store.decisions import Decisions
from bot.store.draws import drawn_in
from bot.store.jobs import Objection, insert
from bot.store.limits import budgets_in, ceiling_in, lock_limits
from bot.store.rows import job_of
from bot.store.snapshots import rules_in


@dataclass(frozen=True)
class NotBooked:
    """No job was booked; why, and where the member stands."""

    why: Refusal
    standing: Standing


class Accounts:
    def __init__(self, database: Database, decisions: Decisions, limits: Limits = NO_LIMITS) -> None:
        self._database = database
        self._decisions = decisions
        self._limits = limits
        """The operator's."""

    async def reserve(self, job: Job, role_ids: Collection[int], default: Allowance) -> Job | NotBooked:
        """Book a job if its member may and if it fits into allowance and budget; else say why not.

        The row is the reservation. A job whose id is booked already is returned as it stands.
        """

        async def book(transaction: Transaction) -> Job | NotBooked:
            # Of the server, not of the member: they share its budget.
            await transaction.lock(f"server {job.guild_id}")
            await lock_limits(transaction, self._limits, job.user_id)
            if (booked := await _find(transaction.rows, job.id)) is not None:
                return booked
            rules = await rules_in(transaction, job.guild_id, job.user_id)
            member = _Member(job.guild_id, job.user_id, role_ids)
            standing = await _standing(transaction.rows, rules, member, default, job.created_at, self._limits)
            if (why := standing.refusal(job.price, job.cost_micros)) is not None:
                return NotBooked(why, standing)
            booked = await insert(transaction, job)
            await _draw(transaction, job, standing)
            return booked

        return await self._database.write(book)

    async def book_again(
        self, job: Job, role_ids: Collection[int], default: Allowance, now: datetime
    ) -> Job | NotBooked | None:
        """Charge a video that could not be posted and is asked for now; None if it is charged already."""

        async def book(transaction: Transaction) -> Job | NotBooked | None:
            await transaction.lock(f"server {job.guild_id}")
            await lock_limits(transaction, self._limits, job.user_id)
            fresh = await _find(transaction.rows, job.id)
            if fresh is None or fresh.charged or fresh.state is not JobState.FAILED:
                return None
            rules = await rules_in(transaction, job.guild_id, job.user_id)
            member = _Member(job.guild_id, job.user_id, role_ids)
            standing = await _standing(transaction.rows, rules, member, default, now, self._limits)
            # Its cost is in the budget since the provider has accepted it.
            if (why := standing.refusal(job.price, 0)) is not None:
                return NotBooked(why, standing)
            [booked] = await transaction.rows(
                "UPDATE job SET charged = price, booked_at = :now WHERE id = :id RETURNING *",
                id=job.id,
                now=to_text(now),
            )
            await transaction.rows("DELETE FROM draw WHERE job_id = :id", id=job.id)
            await _draw(transaction, job, standing)
            return job_of(booked)

        return await self._database.write(book)

    async def release(self, job: Job) -> None:
        """Give the price of a video back that could not be sent after all."""
        sql = "UPDATE job SET charged = 0 WHERE id = :id AND state = 'failed' RETURNING id"
        await self._database.write(lambda transaction: transaction.rows(sql, id=job.id))

    def objection(self, default: Allowance) -> Objection:
        """Why a queued job may not be made any more: blocks, allowances and budgets as they are now."""

        async def why(transaction: Transaction, job: Job, now: datetime) -> Failure | None:
            rules = await rules_in(transaction, job.guild_id, job.user_id)
            member = _Member(job.guild_id, job.user_id, job.role_ids)
            standing = await _standing(transaction.rows, rules, member, default, now, self._limits)
            if standing.block is not None:
                return Failure.BLOCKED
            if standing.is_exceeded:
                return Failure.OVER_ALLOWANCE
            # What costs nothing is made however much was spent.
            budgets = [*standing.operator_budgets, *([standing.budget] if standing.budget else [])]
            is_over = any(_is_over(budget, job.cost_micros) for budget in budgets if job.cost_micros)
            return Failure.OVER_BUDGET if is_over else None

        return why

    async def standing(
        self, guild_id: int, user_id: int, role_ids: Collection[int], default: Allowance, now: datetime
    ) -> Standing:
        """Where a member stands now."""
        rules = await self._decisions.rules(guild_id, user_id)
        member = _Member(guild_id, user_id, role_ids)
        return await _standing(self._database.read, rules, member, default, now, self._limits)

    async def spent(self, guild_id: int, window: Window) -> int:
        """What a server has spent or reserved, in millionths of a US dollar."""
        return await _spent(self._database.read, guild_id, window)


@dataclass(frozen=True)
class _Member:
    guild_id: int
    user_id: int
    role_ids: Collection[int]


async def _find(rows: Rows, job_id: int) -> Job | None:
    found = await rows("SELECT * FROM job WHERE id = :id", id=job_id)
    return job_of(found[0]) if found else None


def _is_over(budget: Budget, cost: int) -> bool:
    """Whether a budget was lowered below what is reserved in it, or below this one video.

    Nobody is sent away who can wait for the next hour.
    """
    waits = isinstance(budget, OperatorBudget) and budget.period is Period.HOUR
    return cost > budget.limit or (budget.spent > budget.limit and not waits)


async def _draw(transaction: Transaction, job: Job, standing: Standing) -> None:
    """Write down what grants pay of a job."""
    for grant_id, share in standing.draws(job.price).items():
        sql = "INSERT INTO draw (job_id, grant_id, credits) VALUES (:job_id, :grant_id, :credits)"
        await transaction.rows(sql, job_id=job.id, grant_id=grant_id, credits=share)


async def _standing(
    rows: Rows,
    rules: ServerRules,
    member: _Member,
    default: Allowance,
    now: datetime,
    limits: Limits,
) -> Standing:
    ruling = rules.ruling(member.user_id, member.role_ids, default, limits.ceiling)
    window = window_at(ruling.allowance.kind, now, rules.zone)
    reset_at = rules.resets.get(member.user_id)
    # A reset that is yet to come, by this machine's clock, would hide all that is booked until then.
    since = max(window.start, reset_at) if reset_at and reset_at <= now else window.start
    return Standing(
        ruling=ruling,
        window=window,
        used=await _used(rows, member, since, window.end),
        grants=await _grants(rows, rules, member, now),
        block=rules.block(member.user_id, now),
        pause=rules.paused(now),
        budget=await _budget(rows, rules, member.guild_id, now),
        ceiling=await ceiling_in(rows, limits, member.user_id, now),
        most_micros=limits.video_micros,
        operator_budgets=await budgets_in(rows, limits, member.guild_id, now),
    )


async def _used(rows: Rows, member: _Member, start: datetime, end: datetime) -> int:
    """What was charged, without what grants have paid of it."""
    return await _sum(
        rows,
        """
        SELECT COALESCE(SUM(charged - COALESCE(
            (SELECT SUM(draw.credits) FROM draw WHERE draw.job_id = job.id), 0)), 0) AS total
        FROM job WHERE guild_id = :guild_id AND user_id = :user_id AND charged > 0
            AND booked_at >= :start AND booked_at < :end
        """,
        guild_id=member.guild_id,
        user_id=member.user_id,
        start=to_text(start),
        end=to_text(end),
    )


async def _grants(rows: Rows, rules: ServerRules, member: _Member, now: datetime) -> Sequence[Grant]:
    given = rules.grants.get(member.user_id, ())
    if not (alive := [grant for grant in given if not grant.is_over(now)]):
        return ()
    drawn = await drawn_in(rows, [grant.id for grant in alive])
    grants = (replace(grant, drawn=drawn[grant.id]) for grant in alive)
    return sorted(
        (grant for grant in grants if grant.left > 0),
        key=lambda grant: (grant.expires_at is None, grant.expires_at or now, grant.id),
    )


async def _budget(rows: Rows, rules: ServerRules, guild_id: int, now: datetime) -> Budget | None:
    if rules.budget is None:
        return None
    month = window_at(WindowKind.MONTH, now, rules.zone)
    return Budget(rules.budget, await _spent(rows, guild_id, month), month)


async def _spent(rows: Rows, guild_id: int, window: Window) -> int:
    return await _sum(
        rows,
        """
        SELECT COALESCE(SUM(cost_micros), 0) AS total FROM job
        WHERE guild_id = :guild_id AND created_at >= :start AND created_at < :end
        """,
        guild_id=guild_id,
        start=to_text(window.start),
        end=to_text(window.end),
    )


async def _sum(rows: Rows, sql: str, **values: Value) -> int:
    [row] = await rows(sql, **values)
    return int(row["total"] or 0)
