"""The decisions of moderators: written down once, never changed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from bot.quota.decisions import Decision
from bot.quota.rules import ServerRules
from bot.store import snapshots
from bot.store.db import Database, Rows, Transaction, clean, to_text
from bot.store.draws import drawn_in
from bot.store.snapshots import decision_of, rules_in


class Decisions:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, decision_id: int, guild_id: int, member_id: int | None, make: Callable[[ServerRules], Decision]
    ) -> Decision:
        """Store the decision that `make` returns for the present rules; if it raises, nothing changes.

        A decision whose id is stored already is returned unchanged. A new one is stamped later than all
        before it, so that decisions apply in the order in which they were made: neither Discord's ids nor the
        clocks of several machines give that order.
        """

        async def write(transaction: Transaction) -> Decision:
            await transaction.lock(f"server {guild_id}")
            if known := await transaction.rows("SELECT * FROM decision WHERE id = :id", id=decision_id):
                return decision_of(known[0])
            rules = await _rules_to_change(transaction, guild_id, member_id)
            decision = make(rules)
            if (decision.guild_id, decision.change.member_id) != (guild_id, member_id):
                raise ValueError("these are the rules of somebody else")
            decision = await _insert(
                transaction, replace(decision, at=await _later(transaction.rows, decision))
            )
            await snapshots.keep(transaction, decision.change.onto(rules, decision), decision)
            return decision

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
    ) -> list[Decision]:
        """Decisions of the server or about one member, newest first; or those before or after a given one."""
        order = "ASC" if after is not None else "DESC"
        where = ["guild_id = :guild_id"]  # only what is asked, so that an index answers it
        if member_id is not None:
            where.append("member_id = :member_id")
        if before is not None:
            where.append(
                "(at, id) < (SELECT at, id FROM decision WHERE id = :before AND guild_id = :guild_id)"
            )
        if after is not None:
            where.append(
                "(at, id) > (SELECT at, id FROM decision WHERE id = :after AND guild_id = :guild_id)"
            )
        rows = await self._database.read(
            f"SELECT * FROM decision WHERE {' AND '.join(where)}"  # noqa: S608 - our own words
            f" ORDER BY at {order}, id {order} LIMIT :limit",
            guild_id=guild_id,
            member_id=member_id,
            before=before,
            after=after,
            limit=limit,
        )
        return sorted(map(decision_of, rows), key=_place, reverse=True)

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


async def _later(rows: Rows, decision: Decision) -> datetime:
    """The decision's own time, or right after the server's latest decision if that is later."""
    sql = "SELECT * FROM decision WHERE guild_id = :guild_id ORDER BY at DESC, id DESC LIMIT 1"
    found = [decision_of(row) for row in await rows(sql, guild_id=decision.guild_id)]
    return next(
        (last.at + timedelta(microseconds=1) for last in found if _place(last) >= _place(decision)),
        decision.at,
    )


def _place(decision: Decision) -> tuple[datetime, int]:
    """What decisions are ordered by."""
    return decision.at, decision.id


async def _insert(transaction: Transaction, decision: Decision) -> Decision:
    rows = await transaction.rows(
        """
        INSERT INTO decision (id, guild_id, by_id, at, kind, member_id, change, reason)
        VALUES (:id, :guild_id, :by_id, :at, :kind, :member_id, :change, :reason)
        RETURNING *
        """,
        id=decision.id,
        guild_id=decision.guild_id,
        by_id=decision.by_id,
        at=to_text(decision.at),
        kind=decision.change.kind,
        member_id=decision.change.member_id,
        change=decision.change.model_dump_json(),
        reason=None if decision.reason is None else clean(decision.reason),
    )
    return decision_of(rows[0])
