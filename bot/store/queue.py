"""The queue: in which order jobs are promoted, and which of them may be now."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from bot.jobs import AT_THE_PROVIDER, UNDER_WAY
from bot.quota.limits import Limits, Pauses
from bot.quota.rules import ServerRules
from bot.store.db import Row, Rows, Transaction, to_text
from bot.store.limits import room_in
from bot.store.pauses import pauses_in
from bot.store.rows import among
from bot.store.snapshots import rules_of_waiting

LONGEST_HOLD = timedelta(days=1)
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
    servers: frozenset[int] = frozenset()
    """The servers that the bot works in; nothing is promoted in others. Empty is all."""


_HELD = "held_until > :now AND held_until < :tomorrow"
"""Jobs that are over for us and perhaps not for their provider; a clock that was put back holds none."""

_COUNTED = f"state IN {among(UNDER_WAY)} AND overdue_at IS NULL"

_TAKEN = f"""
    SELECT guild_id, user_id FROM job WHERE {_COUNTED}
    UNION ALL SELECT guild_id, user_id FROM job WHERE state = 'cancelled' AND {_HELD}
"""  # noqa: S608 - made of our own words
"""Whose places are taken: what a member has cancelled takes one until its provider is done with it."""

QUEUE = f"""
    SELECT job.*,
        COALESCE(member.jobs, 0) AS member_jobs,
        COALESCE(here.jobs, 0) AS here_jobs,
        COALESCE(server.jobs, 0) AS server_jobs,
        COALESCE(vendor.jobs, 0) AS vendor_jobs,
        COALESCE(given_up.jobs, 0) AS given_up_jobs
    FROM job
    LEFT JOIN (SELECT user_id, COUNT(*) AS jobs FROM ({_TAKEN}) AS taken
        GROUP BY user_id) AS member ON member.user_id = job.user_id
    LEFT JOIN (SELECT guild_id, user_id, COUNT(*) AS jobs FROM ({_TAKEN}) AS taken
        GROUP BY guild_id, user_id) AS here ON here.guild_id = job.guild_id AND here.user_id = job.user_id
    LEFT JOIN (SELECT guild_id, COUNT(*) AS jobs FROM job WHERE {_COUNTED}
        GROUP BY guild_id) AS server ON server.guild_id = job.guild_id
    LEFT JOIN (SELECT provider, COUNT(*) AS jobs FROM job
        WHERE state IN {among(AT_THE_PROVIDER)} AND overdue_at IS NULL
        GROUP BY provider) AS vendor ON vendor.provider = job.provider
    LEFT JOIN (SELECT provider, COUNT(*) AS jobs FROM job WHERE {_HELD}
        GROUP BY provider) AS given_up ON given_up.provider = job.provider
    WHERE job.state = 'queued'
    ORDER BY member_jobs, server_jobs, job.created_at, job.id
"""  # noqa: S608 - made of our own words


async def queue_in(rows: Rows, now: datetime) -> list[Row]:
    """The queued jobs in the order in which they would be promoted now."""
    return await rows(QUEUE, now=to_text(now), tomorrow=to_text(now + LONGEST_HOLD))


async def next_in(transaction: Transaction, caps: Caps, limits: Limits, now: datetime) -> Iterator[Row]:
    """The queued jobs that may go now: first that whose turn it is. The limits are the operator's."""
    decided = await rules_of_waiting(transaction)
    pauses = await pauses_in(transaction.rows)
    found = await queue_in(transaction.rows, now)
    free = (row for row in found if _is_due(row, now) and not _is_held(row, decided, pauses, now))
    fitting = [row for row in free if _fits(row, caps, decided)]
    room = await room_in(transaction.rows, limits, now)
    waits = room.waits((cast("int", row["guild_id"]), cast("int", row["cost_micros"])) for row in fitting)
    return (row for row, is_waiting in zip(fitting, waits, strict=True) if not is_waiting)


def _is_held(row: Row, decided: Mapping[int, ServerRules], pauses: Pauses, now: datetime) -> bool:
    """Whether a pause, of its server or of the operator's, keeps a job in the queue."""
    here = decided.get(cast("int", row["guild_id"]), ServerRules())
    return here.paused(now) is not None or pauses.why(str(row["provider"])) is not None


def _is_due(row: Row, now: datetime) -> bool:
    """Whether a queued job has waited as long as it was to; not by a clock that was put back since."""
    return str(row["not_before"]) <= to_text(now) or str(row["state_at"]) > to_text(now + CLOCK_STEP)


def _fits(row: Row, caps: Caps, decided: Mapping[int, ServerRules]) -> bool:
    provider = str(row["provider"])
    if provider not in caps.providers or (caps.servers and row["guild_id"] not in caps.servers):
        return False
    here = decided.get(cast("int", row["guild_id"]), ServerRules())
    cap = caps.providers[provider]
    return (
        cast("int", row["here_jobs"]) < min(here.member_jobs or caps.member, caps.member)
        and cast("int", row["server_jobs"]) < min(here.server_jobs or caps.server, caps.server)
        and (cap is None or cast("int", row["vendor_jobs"]) + cast("int", row["given_up_jobs"]) < cap)
    )
