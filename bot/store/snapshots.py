"""A server's present rules, kept so that reading them does not take longer with every decision.

A snapshot names the latest decision it contains. A reader compares: a snapshot that is older than the
decisions, or has another format, is not used, and the decisions are folded again, once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar

from pydantic import TypeAdapter

from bot.quota.decisions import Change, Decision, rules_of
from bot.quota.rules import ServerRules
from bot.store.db import MIGRATION_LIMIT, Database, Row, Rows, Transaction, Value, to_text

V = TypeVar("V")

FORMAT = 2
"""Raise it with every change of what a snapshot holds or of how decisions are folded."""
_PAGE, _MEMBERS = 500, 100
"""Decisions, and members, that are handled at once: more would keep the event loop."""
_Folded: TypeAlias = tuple[ServerRules, Row | None]
"""Rules, and the row of the latest decision that is folded in."""
_FOR_GOOD = datetime.max.replace(tzinfo=UTC)
_RULES = TypeAdapter(ServerRules)
_ABOUT_MEMBERS = {"members", "grants", "resets", "blocks"}
_CHANGE: TypeAdapter[Change] = TypeAdapter(Change)

_READ = """
    SELECT server.snapshot AS server, member.snapshot AS member
    FROM (SELECT id FROM decision WHERE guild_id = :guild_id ORDER BY at DESC, id DESC LIMIT 1) AS latest
    LEFT JOIN server_rules AS server
        ON server.guild_id = :guild_id AND server.decision_id = latest.id AND server.format = :format
    LEFT JOIN member_rules AS member ON member.guild_id = :guild_id AND member.member_id = :member_id
"""

_WAITING = """
    SELECT waiting.guild_id, server.snapshot AS server, server.decision_id,
        (SELECT id FROM decision WHERE decision.guild_id = waiting.guild_id
            ORDER BY at DESC, id DESC LIMIT 1) AS latest_id
    FROM (SELECT DISTINCT guild_id FROM job WHERE state = 'queued') AS waiting
    LEFT JOIN server_rules AS server ON server.guild_id = waiting.guild_id AND server.format = :format
"""

_LISTED = """
    SELECT snapshot FROM member_rules WHERE guild_id = :guild_id AND listed_until > :now
    ORDER BY listed_until DESC LIMIT :limit
"""


async def read(rows: Rows, guild_id: int, member_id: int | None) -> ServerRules | None:
    """What holds for everybody and for this member; None if the decisions have to be folded first."""
    found = await rows(_READ, guild_id=guild_id, member_id=member_id or 0, format=FORMAT)
    if not found:
        return ServerRules()
    server, member = found[0]["server"], found[0]["member"]
    if server is None:
        return None
    rules = _RULES.validate_json(str(server))
    return rules if member is None else _with(rules, _RULES.validate_json(str(member)))


async def rules_in(transaction: Transaction, guild_id: int, member_id: int | None = None) -> ServerRules:
    """The same within a transaction, where the decisions are folded if they have to be."""
    rules = await read(transaction.rows, guild_id, member_id)
    if rules is None:
        await _fold(transaction, guild_id)
        rules = await read(transaction.rows, guild_id, member_id)
    if rules is None:
        raise AssertionError(f"the decisions of server {guild_id} were folded and are not")
    return rules


async def rules_of_waiting(transaction: Transaction) -> dict[int, ServerRules]:
    """What holds for everybody in each server that has queued jobs."""
    known: dict[int, ServerRules] = {}
    for row in await transaction.rows(_WAITING, format=FORMAT):
        guild_id = int(row["guild_id"] or 0)
        is_current = row["decision_id"] is not None and row["decision_id"] == row["latest_id"]
        rules = _RULES.validate_json(str(row["server"])) if is_current else None
        known[guild_id] = rules or await rules_in(transaction, guild_id)
    return known


async def listed(rows: Rows, guild_id: int, now: datetime, limit: int) -> ServerRules:
    """The members with an allowance or a block of their own now, those for good first, and nothing else."""
    found = await rows(_LISTED, guild_id=guild_id, now=to_text(now), limit=limit)
    rules = ServerRules()
    for part in (_RULES.validate_json(str(row["snapshot"])) for row in found):
        rules.members.update(part.members)
        rules.blocks.update(part.blocks)
    return rules


async def keep(transaction: Transaction, rules: ServerRules, decision: Decision) -> None:
    """Store what holds for everybody, and for the member that the decision is about."""
    await _keep_server(transaction, decision.guild_id, decision.id, rules)
    if decision.change.member_id is not None:
        await _keep_members(transaction, decision.guild_id, rules, [decision.change.member_id])


async def _keep_server(transaction: Transaction, guild_id: int, decision_id: int, rules: ServerRules) -> None:
    await transaction.rows(
        """
        INSERT INTO server_rules (guild_id, format, decision_id, snapshot)
        VALUES (:guild_id, :format, :decision_id, :snapshot)
        ON CONFLICT (guild_id) DO UPDATE
            SET format = excluded.format, decision_id = excluded.decision_id, snapshot = excluded.snapshot
        """,
        guild_id=guild_id,
        format=FORMAT,
        decision_id=decision_id,
        snapshot=_RULES.dump_json(rules, exclude=_ABOUT_MEMBERS).decode(),
    )


async def _keep_members(
    transaction: Transaction, guild_id: int, rules: ServerRules, member_ids: Sequence[int]
) -> None:
    values: dict[str, Value] = {}
    for place, member_id in enumerate(member_ids):
        values[f"member{place}"] = member_id
        part = _about(rules, member_id)
        values[f"snapshot{place}"] = _RULES.dump_json(part, include=_ABOUT_MEMBERS).decode()
        values[f"until{place}"] = _listed_until(part, member_id)
    places = range(len(member_ids))
    rows = ", ".join(f"(:guild_id, :member{place}, :snapshot{place}, :until{place})" for place in places)
    await transaction.rows(
        f"""
        INSERT INTO member_rules (guild_id, member_id, snapshot, listed_until) VALUES {rows}
        ON CONFLICT (guild_id, member_id) DO UPDATE
            SET snapshot = excluded.snapshot, listed_until = excluded.listed_until
        """,  # noqa: S608 - numbers of ours
        guild_id=guild_id,
        **values,
    )


async def refresh(database: Database, guild_id: int) -> None:
    """Compute a server's snapshots from all of its decisions. Writers do not wait while these are read."""
    folded = await _folded(database.read, guild_id)
    await database.write(lambda transaction: _fold(transaction, guild_id, folded), limit=MIGRATION_LIMIT)


async def _fold(transaction: Transaction, guild_id: int, before: _Folded | None = None) -> None:
    """The same, from the decisions after those that were folded `before`."""
    await transaction.lock(f"server {guild_id}")
    rules, last = await _folded(transaction.rows, guild_id, before)
    if last is None:
        return
    await _keep_server(transaction, guild_id, decision_of(last).id, rules)
    await transaction.rows("DELETE FROM member_rules WHERE guild_id = :guild_id", guild_id=guild_id)
    member_ids = sorted({*rules.members, *rules.grants, *rules.resets, *rules.blocks})
    for first in range(0, len(member_ids), _MEMBERS):
        await _keep_members(transaction, guild_id, rules, member_ids[first : first + _MEMBERS])


async def _folded(rows: Rows, guild_id: int, before: _Folded | None = None) -> _Folded:
    rules, last = before or (ServerRules(), None)
    while page := await _decisions_after(rows, guild_id, last):
        rules, last = rules_of(map(decision_of, page), rules), page[-1]
    return rules, last


async def _decisions_after(rows: Rows, guild_id: int, last: Row | None) -> list[Row]:
    return await rows(
        """
        SELECT * FROM decision WHERE guild_id = :guild_id AND (at, id) > (:at, :id)
        ORDER BY at, id LIMIT :limit
        """,
        guild_id=guild_id,
        at="" if last is None else last["at"],
        id=0 if last is None else last["id"],
        limit=_PAGE,
    )


def decision_of(row: Row) -> Decision:
    return Decision(
        id=int(row["id"] or 0),
        guild_id=int(row["guild_id"] or 0),
        by_id=int(row["by_id"] or 0),
        at=datetime.fromisoformat(str(row["at"])),
        change=_CHANGE.validate_json(str(row["change"])),
        reason=None if row["reason"] is None else str(row["reason"]),
    )


def _with(rules: ServerRules, member: ServerRules) -> ServerRules:
    return replace(
        rules, members=member.members, grants=member.grants, resets=member.resets, blocks=member.blocks
    )


def _about(rules: ServerRules, member_id: int) -> ServerRules:
    """The part about one member."""

    def own(entries: Mapping[int, V]) -> dict[int, V]:
        return {member_id: entries[member_id]} if member_id in entries else {}

    return ServerRules(
        members=own(rules.members),
        grants=own(rules.grants),
        resets=own(rules.resets),
        blocks=own(rules.blocks),
    )


def _listed_until(rules: ServerRules, member_id: int) -> str | None:
    """Until when the member has an allowance or a block of their own."""
    block = rules.blocks.get(member_id)
    if block is None and member_id not in rules.members:
        return None
    until = block.until if block is not None and member_id not in rules.members else None
    return to_text(until or _FOR_GOOD)
