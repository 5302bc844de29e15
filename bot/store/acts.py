"""The acts of moderators: written down once, never changed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from bot.rules import Act, ServerRules
from bot.store import snapshots
from bot.store.db import Database, Rows, Transaction, clean, to_text
from bot.store.draws import drawn_in
from bot.store.snapshots import act_of, rules_in


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
                return act_of(known[0])
            rules = await _rules_to_change(transaction, guild_id, member_id)
            act = make(rules)
            if (act.guild_id, act.change.member_id) != (guild_id, member_id):
                raise ValueError("these are the rules of somebody else")
            act = await _insert(transaction, replace(act, at=await _turn(transaction.rows, act)))
            await snapshots.keep(transaction, act.change.onto(rules, act), act)
            return act

        return await self._database.write(write)

    async def rules(self, guild_id: int, member_id: int | None = None) -> ServerRules:
        """What holds in a server now, for everybody and for this member."""
        rules = await snapshots.read(self._database.read, guild_id, member_id)
        if rules is not None:
            return rules
        await snapshots.refresh(self._database, guild_id)
        return await self._database.write(lambda on: rules_in(on, guild_id, member_id))

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
        where = ["guild_id = :guild_id"]  # only what is asked, so that an index answers it
        if member_id is not None:
            where.append("member_id = :member_id")
        if before is not None:
            where.append("(at, id) < (SELECT at, id FROM act WHERE id = :before AND guild_id = :guild_id)")
        if after is not None:
            where.append("(at, id) > (SELECT at, id FROM act WHERE id = :after AND guild_id = :guild_id)")
        rows = await self._database.read(
            f"SELECT * FROM act WHERE {' AND '.join(where)} ORDER BY at {order}, id {order} LIMIT :limit",  # noqa: S608 - our own words
            guild_id=guild_id,
            member_id=member_id,
            before=before,
            after=after,
            limit=limit,
        )
        return sorted(map(act_of, rows), key=_place, reverse=True)

    async def overrides(self, guild_id: int, now: datetime, limit: int) -> ServerRules:
        """At most so many members with an allowance or a block of their own; nothing else is filled in."""
        await self.rules(guild_id)  # what they have is folded now, if it was not
        return await snapshots.listed(self._database.read, guild_id, now, limit)


async def _rules_to_change(transaction: Transaction, guild_id: int, member_id: int | None) -> ServerRules:
    """The rules as they stand, without grants that are used up for good: they would add up over the years."""
    rules = await rules_in(transaction, guild_id, member_id)
    for whose, grants in list(rules.grants.items()):
        drawn = await drawn_in(transaction.rows, [grant.id for grant in grants], for_good=True)
        rules.grants[whose] = tuple(grant for grant in grants if drawn[grant.id] < grant.amount)
        if not rules.grants[whose]:
            del rules.grants[whose]
    return rules


async def _turn(rows: Rows, act: Act) -> datetime:
    """When the act is made: its own time if that is after the server's latest act, else right after that."""
    sql = "SELECT * FROM act WHERE guild_id = :guild_id ORDER BY at DESC, id DESC LIMIT 1"
    found = [act_of(row) for row in await rows(sql, guild_id=act.guild_id)]
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
    return act_of(rows[0])
