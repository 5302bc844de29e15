"""What the operator has paid for and nobody has paid with credits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.jobs import KEPT, Failure
from bot.store.db import Database, to_text
from bot.store.rows import time_of

_WASTED = """
    SELECT guild_id, asked_at, ended_by, failure, charged, state_at FROM job
    WHERE user_id = :user_id AND booked_at >= :since AND created_at >= :since
        AND state IN ('cancelled', 'failed') ORDER BY created_at
"""


@dataclass(frozen=True)
class Wasted:
    """When jobs of a member ended that a provider had started on and that were not charged."""

    cancelled: Sequence[datetime]
    """By the member, in any server: who has many servers has no more of them."""
    refused: Sequence[datetime]
    """By the provider's content rules, in any server."""
    undelivered: Sequence[datetime]
    """In this server. They are kept, and nobody has them yet."""


class WastedJobs:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, guild_id: int, user_id: int, since: datetime) -> Wasted:
        """What of a member's jobs since then the operator has paid for and nobody has paid with credits."""
        rows = await self._database.read(_WASTED, user_id=user_id, since=to_text(since))
        sent = [row for row in rows if row["asked_at"] is not None]
        return Wasted(
            cancelled=[time_of(row["state_at"]) for row in sent if row["ended_by"] == user_id],
            refused=[time_of(row["state_at"]) for row in sent if row["failure"] == Failure.REFUSED],
            undelivered=[
                time_of(row["state_at"])
                for row in sent
                if row["failure"] in KEPT and not row["charged"] and row["guild_id"] == guild_id
            ],
        )
