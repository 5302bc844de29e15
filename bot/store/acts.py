"""The acts of moderators: written down once, never changed."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeAlias

from pydantic import TypeAdapter

from bot.rules import Act, Change, ServerRules, SetCaps, rules_of
from bot.store.db import Database, Row, Transaction, clean, to_text

Rows: TypeAlias = Callable[..., Awaitable[list[Row]]]
"""How to read: a database's `read` or a transaction's `rows`."""

_CHANGE: TypeAdapter[Change] = TypeAdapter(Change)


class Acts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, guild_id: int, member_id: int | None, make: Callable[[ServerRules], Act]) -> Act:
        """Write down the act that `make` makes of the rules as they stand; what it raises changes nothing.

        An act whose id is written down already stays as it was.
        """

        async def write(transaction: Transaction) -> Act:
            await transaction.lock(f"server {guild_id}")
            act = make(await rules_in(transaction.rows, guild_id, member_id))
            await _insert(transaction, act)
            return act

        return await self._database.write(write)

    async def rules(self, guild_id: int, member_id: int | None = None) -> ServerRules:
        """What holds in a server now, for everybody and for this member."""
        return await rules_in(self._database.read, guild_id, member_id)

    async def history(
        self,
        guild_id: int,
        member_id: int | None,
        limit: int,
        *,
        before: int | None = None,
        after: int | None = None,
    ) -> list[Act]:
        """Acts of the server or about one member, newest first: the latest, or those next to another act."""
        order = "ASC" if after is not None else "DESC"
        rows = await self._database.read(
            f"""
            SELECT * FROM act WHERE guild_id = :guild_id
                AND (CAST(:member_id AS BIGINT) IS NULL OR member_id = :member_id)
                AND (CAST(:before AS BIGINT) IS NULL OR id < :before)
                AND (CAST(:after AS BIGINT) IS NULL OR id > :after)
            ORDER BY id {order} LIMIT :limit
            """,  # noqa: S608 - our own word
            guild_id=guild_id,
            member_id=member_id,
            before=before,
            after=after,
            limit=limit,
        )
        return sorted(map(_act, rows), key=lambda act: act.id, reverse=True)

    async def overrides(self, guild_id: int) -> ServerRules:
        """The members with an allowance or a block of their own; nothing else of the rules is filled in."""
        rows = await self._database.read(
            """
            SELECT * FROM act WHERE id IN (
                SELECT MAX(id) FROM act
                WHERE guild_id = :guild_id AND member_id IS NOT NULL
                    AND kind IN ('allowance', 'block', 'unblock')
                GROUP BY member_id, CASE kind WHEN 'allowance' THEN 1 ELSE 2 END)
            ORDER BY id
            """,
            guild_id=guild_id,
        )
        return rules_of(map(_act, rows))


async def rules_in(rows: Rows, guild_id: int, member_id: int | None) -> ServerRules:
    found = await rows(
        """
        SELECT * FROM act WHERE guild_id = :guild_id AND (member_id IS NULL OR member_id = :member_id)
        ORDER BY id
        """,
        guild_id=guild_id,
        member_id=member_id,
    )
    return rules_of(map(_act, found))


async def caps_in(rows: Rows) -> dict[int, SetCaps]:
    """The caps of every server that has decided on some."""
    found = await rows(
        """
        SELECT * FROM act WHERE kind = 'caps' AND id IN (
            SELECT MAX(id) FROM act WHERE kind = 'caps' GROUP BY guild_id)
        """
    )
    acts = map(_act, found)
    return {act.guild_id: act.change for act in acts if isinstance(act.change, SetCaps)}


async def _insert(transaction: Transaction, act: Act) -> None:
    await transaction.rows(
        """
        INSERT INTO act (id, guild_id, by_id, at, kind, member_id, change, reason)
        VALUES (:id, :guild_id, :by_id, :at, :kind, :member_id, :change, :reason)
        ON CONFLICT (id) DO NOTHING
        """,
        id=act.id,
        guild_id=act.guild_id,
        by_id=act.by_id,
        at=to_text(act.at),
        kind=act.change.kind,
        member_id=act.change.member_id,
        change=act.change.model_dump_json(),
        reason=None if act.reason is None else clean(act.reason),
    )


def _act(row: Row) -> Act:
    return Act(
        id=int(row["id"] or 0),
        guild_id=int(row["guild_id"] or 0),
        by_id=int(row["by_id"] or 0),
        at=datetime.fromisoformat(str(row["at"])),
        change=_CHANGE.validate_json(str(row["change"])),
        reason=None if row["reason"] is None else str(row["reason"]),
    )
