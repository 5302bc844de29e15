"""The queue: in which order jobs are promoted, and which of them may be now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from bot.jobs import AT_THE_PROVIDER, RELEASED, UNDER_WAY, Failure, JobState
from bot.rules import ServerRules
from bot.store.db import Row, Rows, Transaction, to_text
from bot.store.rows import among
from bot.store.snapshots import rules_of_waiting

STILL_THERE = timedelta(minutes=5)
"""How long a provider that cannot be told to stop may still work on what was given up here."""
CLOCK_STEP = timedelta(minutes=1)
"""A row from further ahead than this was written before the clock was put back."""


@dataclass(frozen=True)
class Caps:
    """How many jobs may be under way at once; servers may decide for fewer."""

    member: int
    """In one server."""
    server: int
    providers: Mapping[str, int | None]
    """By name, for every enabled provider; None is no cap. Jobs of other providers are not promoted."""
    unstoppable: frozenset[str] = frozenset()
    """The providers that cannot be told to stop: what was lately given up there still counts."""


_GIVEN_UP = f"""
    state IN {among(RELEASED)} AND state_at > :given_up_since AND state_at < :ahead AND ready_at IS NULL
        AND asked_at IS NOT NULL AND (
            state = '{JobState.CANCELLED}' OR failure IN ('{Failure.OUTCOME_UNKNOWN}', '{Failure.TIMED_OUT}'))
"""
"""Jobs that are over for us and perhaps not for their provider."""

_COUNTED = f"state IN {among(UNDER_WAY)} AND overdue_at IS NULL"

QUEUE = f"""
    SELECT job.*,
        COALESCE(member.jobs, 0) AS member_jobs,
        COALESCE(here.jobs, 0) AS here_jobs,
        COALESCE(server.jobs, 0) AS server_jobs,
        COALESCE(vendor.jobs, 0) AS vendor_jobs,
        COALESCE(given_up.jobs, 0) AS given_up_jobs
    FROM job
    LEFT JOIN (SELECT user_id, COUNT(*) AS jobs FROM job WHERE {_COUNTED}
        GROUP BY user_id) AS member ON member.user_id = job.user_id
    LEFT JOIN (SELECT guild_id, user_id, COUNT(*) AS jobs FROM job WHERE {_COUNTED}
        GROUP BY guild_id, user_id) AS here ON here.guild_id = job.guild_id AND here.user_id = job.user_id
    LEFT JOIN (SELECT guild_id, COUNT(*) AS jobs FROM job WHERE {_COUNTED}
        GROUP BY guild_id) AS server ON server.guild_id = job.guild_id
    LEFT JOIN (SELECT provider, COUNT(*) AS jobs FROM job
        WHERE state IN {among(AT_THE_PROVIDER)} AND overdue_at IS NULL
        GROUP BY provider) AS vendor ON vendor.provider = job.provider
    LEFT JOIN (SELECT provider, COUNT(*) AS jobs FROM job WHERE {_GIVEN_UP}
        GROUP BY provider) AS given_up ON given_up.provider = job.provider
    WHERE job.state = 'queued'
    ORDER BY member_jobs, server_jobs, job.created_at, job.id
"""  # noqa: S608 - made of our own words


async def queue_in(rows: Rows, now: datetime) -> list[Row]:
    """The queued jobs in the order in which they would be promoted now."""
    return await rows(QUEUE, given_up_since=to_text(now - STILL_THERE), ahead=to_text(now + CLOCK_STEP))


async def next_in(transaction: Transaction, caps: Caps, now: datetime) -> Row | None:
    """The queued job whose turn it is, if any may go now."""
    decided = await rules_of_waiting(transaction)
    found = await queue_in(transaction.rows, now)
    return next((row for row in found if _is_due(row, now) and _fits(row, caps, decided)), None)


def _is_due(row: Row, now: datetime) -> bool:
    """Whether a queued job has waited as long as it was to; not by a clock that was put back since."""
    return str(row["not_before"]) <= to_text(now) or str(row["state_at"]) > to_text(now + CLOCK_STEP)


def _fits(row: Row, caps: Caps, decided: Mapping[int, ServerRules]) -> bool:
    provider = str(row["provider"])
    if provider not in caps.providers:
        return False
    here = decided.get(cast("int", row["guild_id"]), ServerRules())
    cap = caps.providers[provider]
    given_up = cast("int", row["given_up_jobs"]) if provider in caps.unstoppable else 0
    return (
        cast("int", row["here_jobs"]) < min(here.member_jobs or caps.member, caps.member)
        and cast("int", row["server_jobs"]) < min(here.server_jobs or caps.server, caps.server)
        and (cap is None or cast("int", row["vendor_jobs"]) + given_up < cap)
    )
