"""Posts for the moderators' log: each is written down before it is made, and made in that order."""

from dataclasses import dataclass
from datetime import datetime

from bot.store.db import Database, Row, Transaction, Value, clean, to_text

_THIS = "kind = :kind AND about_id = :about_id AND channel_id = :channel_id"


@dataclass(frozen=True)
class LogPost:
    kind: str
    about_id: int
    """The id of the decision or job that it tells of. It is told once in each channel."""
    channel_id: int
    guild_id: int
    text: str
    created_at: datetime
    attempt: int = 0
    """How often Discord has taken it for another message, or for one that is deleted."""
    message_id: int | None = None
    is_closed: bool = False
    """It is there, or it never will be."""


class LogPosts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, post: LogPost) -> bool:
        """Write down what is to be posted, and say whether it is new; a repeated one changes nothing."""

        async def insert(transaction: Transaction) -> bool:
            await transaction.lock("log posts")
            rows = await transaction.rows(
                """
                INSERT INTO log_post (kind, about_id, channel_id, guild_id, place, text, created_at)
                SELECT :kind, :about_id, :channel_id, :guild_id, COALESCE(MAX(place), 0) + 1, :text,
                    :created_at
                FROM log_post WHERE 1 = 1
                ON CONFLICT (kind, about_id, channel_id) DO NOTHING RETURNING place
                """,
                kind=post.kind,
                about_id=post.about_id,
                channel_id=post.channel_id,
                guild_id=post.guild_id,
                text=clean(post.text),
                created_at=to_text(post.created_at),
            )
            return bool(rows)

        return await self._database.write(insert)

    async def get(self, kind: str, about_id: int, channel_id: int) -> LogPost | None:
        sql = f"SELECT * FROM log_post WHERE {_THIS}"  # noqa: S608 - our own words
        rows = await self._database.read(sql, kind=kind, about_id=about_id, channel_id=channel_id)
        return _post(rows[0]) if rows else None

    async def first(self, channel_id: int) -> LogPost | None:
        """What is to be posted next in a channel."""
        rows = await self._database.read(
            """
            SELECT * FROM log_post WHERE channel_id = :channel_id AND closed_at IS NULL
            ORDER BY place LIMIT 1
            """,
            channel_id=channel_id,
        )
        return _post(rows[0]) if rows else None

    async def channels(self) -> list[int]:
        """The channels in which something is still to be posted."""
        rows = await self._database.read("SELECT DISTINCT channel_id FROM log_post WHERE closed_at IS NULL")
        return [int(row["channel_id"] or 0) for row in rows]

    async def messages(self, channel_id: int) -> set[int]:
        """The messages in a channel that posts have become."""
        rows = await self._database.read(
            "SELECT message_id FROM log_post WHERE channel_id = :channel_id AND message_id IS NOT NULL",
            channel_id=channel_id,
        )
        return {int(row["message_id"] or 0) for row in rows}

    async def repeat(self, post: LogPost) -> None:
        """Its nonce is used up: the next try has another one."""
        await self._set("attempt = attempt + 1", post)

    async def close(self, post: LogPost, now: datetime, message_id: int | None) -> None:
        """It is there, as this message, or it never will be."""
        await self._set(
            "closed_at = :now, message_id = :message_id", post, now=to_text(now), message_id=message_id
        )

    async def forget(self, before: datetime) -> None:
        """Remove what was closed before then."""
        sql = "DELETE FROM log_post WHERE closed_at < :before RETURNING kind"
        await self._database.write(lambda on: on.rows(sql, before=to_text(before)))

    async def _set(self, what: str, post: LogPost, **values: Value) -> None:
        sql = f"""
            UPDATE log_post SET {what} WHERE {_THIS} AND closed_at IS NULL
            RETURNING kind
        """  # noqa: S608 - our own words
        key = {"kind": post.kind, "about_id": post.about_id, "channel_id": post.channel_id}
        await self._database.write(lambda on: on.rows(sql, **key, **values))


def _post(row: Row) -> LogPost:
    return LogPost(
        kind=str(row["kind"]),
        about_id=int(row["about_id"] or 0),
        channel_id=int(row["channel_id"] or 0),
        guild_id=int(row["guild_id"] or 0),
        text=str(row["text"]),
        created_at=datetime.fromisoformat(str(row["created_at"])),
        attempt=int(row["attempt"] or 0),
        message_id=None if row["message_id"] is None else int(row["message_id"]),
        is_closed=row["closed_at"] is not None,
    )
