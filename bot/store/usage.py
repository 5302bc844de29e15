"""What was used in a server, summed up for its moderators."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.store.db import Database, Row, to_text


@dataclass(frozen=True)
class MemberUsage:
    user_id: int
    videos: int
    """Those that are charged: made, or being made."""
    credits: int
    micros: int
    """Millionths of a US dollar, spent or reserved."""
    wasted: int = 0
    """Those that were paid for and neither charged nor delivered: cancelled late, refused, or lost."""


class Usage:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_day(self, guild_id: int, midnights: Sequence[datetime]) -> list[dict[str, int]]:
        """Credits by provider for each day; a day is from one of the midnights to before the next."""
        days = range(len(midnights) - 1)
        # One question, in which each day is a range of the index.
        ranges = ", ".join(f"({day}, :at{day}, :at{day + 1})" for day in days)
        rows = await self._database.read(
            f"""
            WITH day (number, start, stop) AS (VALUES {ranges})
            SELECT number, provider, SUM(charged) AS credits FROM day JOIN job
                ON guild_id = :guild_id AND created_at >= start AND created_at < stop AND charged > 0
            GROUP BY number, provider
            """,  # noqa: S608 - numbers of ours
            guild_id=guild_id,
            **{f"at{number}": to_text(midnight) for number, midnight in enumerate(midnights)},
        )
        used: list[dict[str, int]] = [{} for _ in days]
        for row in rows:
            used[int(row["number"] or 0)][str(row["provider"])] = int(row["credits"] or 0)
        return used

    async def by_member(self, guild_id: int, start: datetime, end: datetime) -> list[MemberUsage]:
        """Everybody with something charged from `start` to before `end`, who used most first."""
        rows = await self._database.read(
            """
            SELECT user_id, SUM(charged) AS credits, SUM(cost_micros) AS micros,
                SUM(CASE WHEN charged > 0 OR state = 'delivered' THEN 1 ELSE 0 END) AS videos,
                SUM(CASE WHEN charged = 0 AND state IN ('failed', 'cancelled') THEN 1 ELSE 0 END) AS wasted
            FROM job WHERE guild_id = :guild_id AND created_at >= :start AND created_at < :end
                AND (charged > 0 OR state = 'delivered' OR cost_micros > 0)
            GROUP BY user_id ORDER BY credits DESC, videos DESC, user_id
            """,
            guild_id=guild_id,
            start=to_text(start),
            end=to_text(end),
        )
        return [
            MemberUsage(
                *(int(row[name] or 0) for name in ("user_id", "videos", "credits", "micros", "wasted"))
            )
            for row in rows
        ]

    async def count(self, guild_id: int, start: datetime, end: datetime) -> int:
        """How many jobs there are from `start` to before `end`."""
        [row] = await self._database.read(
            """
            SELECT COUNT(*) AS jobs FROM job
            WHERE guild_id = :guild_id AND created_at >= :start AND created_at < :end
            """,
            guild_id=guild_id,
            start=to_text(start),
            end=to_text(end),
        )
        return int(row["jobs"] or 0)

    async def rows(self, guild_id: int, start: datetime, end: datetime, limit: int) -> list[Row]:
        """Every job from `start` to before `end`, newest first, as it is stored."""
        return await self._database.read(
            """
            SELECT id, created_at, user_id, channel_id, provider, model, request, state, failure, price,
                charged, quoted_micros, cost_micros
            FROM job WHERE guild_id = :guild_id AND created_at >= :start AND created_at < :end
            ORDER BY created_at DESC, id DESC LIMIT :limit
            """,
            guild_id=guild_id,
            start=to_text(start),
            end=to_text(end),
            limit=limit,
        )
