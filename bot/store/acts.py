"""The acts of moderators: written down once, never changed."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
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

    async def add(
        self, act_id: int, guild_id: int, member_id: int | None, make: Callable[[ServerRules], Act]
    ) -> Act:
        """Write down the act that `make` makes of the rules as they stand; what it raises changes nothing.

        An act whose id is written down already is returned as it stands. A new one is later than all before
        it, so that acts count in the order in which they were made of each other: neither ids, which Discord
        gives out, nor the clocks of several machines tell it.
        """

        async def write(transaction: Transaction) -> Act:
            await transaction.lock(f"server {guild_id}")
            if known := await transaction.rows("SELECT * FROM act WHERE id = :id", id=act_id):
                return _act(known[0])
            act = make(await rules_in(transaction.rows, guild_id, member_id))
            return await _insert(transaction, replace(act, at=await _turn(transaction.rows, act)))

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
                AND (CAST(:before AS BIGINT) IS NULL
                    OR (at, id) < (SELECT at, id FROM act WHERE id = :before))
                AND (CAST(:after AS BIGINT) IS NULL
                    OR (at, id) > (SELECT at, id FROM act WHERE id = :after))
            ORDER BY at {order}, id {order} LIMIT :limit
            """,  # noqa: S608 - our own word
            guild_id=guild_id,
            member_id=member_id,
            before=before,
            after=after,
            limit=limit,
        )
        return sorted(map(_act, rows), key=_place, reverse=True)

    async def overrides(self, guild_id: int) -> ServerRules:
        """The members with an allowance or a block of their own; nothing else of the rules is filled in."""
        rows = await self._database.read(
            """
            SELECT * FROM (
                SELECT act.*, ROW_NUMBER() OVER (
                    PARTITION BY member_id, CASE kind WHEN 'allowance' THEN 1 ELSE 2 END
                    ORDER BY at DESC, id DESC) AS place
                FROM act WHERE guild_id = :guild_id AND member_id IS NOT NULL
                    AND kind IN ('allowance', 'block', 'unblock')) AS latest
            WHERE place = 1
            """,
            guild_id=guild_id,
        )
        return rules_of(map(_act, rows))


async def rules_in(rows: Rows, guild_id: int, member_id: int | None) -> ServerRules:
    found = await rows(
        """
        SELECT * FROM act WHERE guild_id = :guild_id AND (member_id IS NULL OR member_id = :member_id)
        ORDER BY at, id
        """,
        guild_id=guild_id,
        member_id=member_id,
    )
    return rules_of(map(_act, found))


async def caps_in(rows: Rows) -> dict[int, SetCaps]:
    """The caps of every server that has decided on some."""
    found = await rows(
        """
        SELECT * FROM (
            SELECT act.*, ROW_NUMBER() OVER (PARTITION BY guild_id ORDER BY at DESC, id DESC) AS place
            FROM act WHERE kind = 'caps') AS latest
        WHERE place = 1
        """
    )
    acts = map(_act, found)
    return {act.guild_id: act.change for act in acts if isinstance(act.change, SetCaps)}


async def _turn(rows: Rows, act: Act) -> datetime:
    """When the act is made: its own time if that is after the server's latest act, else right after that."""
    sql = "SELECT * FROM act WHERE guild_id = :guild_id ORDER BY at DESC, id DESC LIMIT 1"
    found = [_act(row) for row in await rows(sql, guild_id=act.guild_id)]
    return next(
        (last.at + timedelta(microseconds=1) for last in found if _place(last) >= _place(act)), act.at
    )


def _place(act: Act) -> tuple[datetime, int]:
    """What acts are ordered by."""
    return act.at, act.id


async def _insert(transaction: Transaction, act: Act) -> Act:
    rows = await transaction.rows(
        """
        INSERT INTO act (id, guild_id, by_id, at, kind, member_id, change, reason)
        VALUES (:id, :guild_id, :by_id, :at, :kind, :member_id, :change, :reason)
        RETURNING *
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
    return _act(rows[0])


def _act(row: Row) -> Act:
    return Act(
        id=int(row["id"] or 0),
        guild_id=int(row["guild_id"] or 0),
        by_id=int(row["by_id"] or 0),
        at=datetime.fromisoformat(str(row["at"])),
        change=_CHANGE.validate_json(str(row["change"])),
        reason=None if row["reason"] is None else str(row["reason"]),
    )
