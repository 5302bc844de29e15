"""Who made how much: for the moderators of a server."""

import asyncio
import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from bot.catalogue import Catalogue
from bot.clock import Clock
from bot.fair import FairShare
from bot.media.charts import UsageChart, draw
from bot.quota.allowances import Budget, WindowKind, window_at
from bot.store import Store
from bot.store.db import Row
from bot.store.usage import MemberUsage
from providers.child import Children

CHARTS_AT_ONCE = 2
MOST_ROWS = 20_000
LONGEST_PROMPT = 150
"""Characters of each. So much fits into a file that every server takes."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Also in their wide forms: what makes a spreadsheet calculate with a cell instead of showing it."""
_COLUMNS = (
    "time",
    "job",
    "member",
    "channel",
    "provider",
    "model",
    "prompt",
    "state",
    "failure",
    "price_credits",
    "charged_credits",
    "quoted_usd",
    "cost_usd",
)


class Period(StrEnum):
    WEEK = "this week"
    MONTH = "this month"
    LAST_MONTH = "last month"
    DAYS_30 = "last 30 days"
    DAYS_90 = "last 90 days"


@dataclass(frozen=True)
class UsageReport:
    """What a server has used in some days of its own time zone."""

    days: tuple[date, ...]
    credits: Mapping[str, tuple[int, ...]]
    """By the provider's name as people read it, one number for each day."""
    members: Sequence[MemberUsage]
    """Who used most comes first."""
    spent: int
    """Millionths of a US dollar in the present month, reserved or spent."""
    budget: Budget | None

    @property
    def total(self) -> int:
        return sum(member.credits for member in self.members)

    @property
    def videos(self) -> int:
        return sum(member.videos for member in self.members)


@dataclass(frozen=True)
class Export:
    data: bytes
    rows: int
    total: int
    """How many jobs there are; more than `rows` if the file would be too large."""


class Reports:
    def __init__(self, store: Store, catalogue: Catalogue, children: Children, clock: Clock) -> None:
        self._store = store
        self._catalogue = catalogue
        self._children = children
        self._drawing = FairShare(CHARTS_AT_ONCE)
        self._clock = clock

    async def usage(self, guild_id: int, period: Period) -> UsageReport:
        rules = await self._store.decisions.rules(guild_id)
        now = self._clock.now()
        days = days_of(period, now, rules.zone)
        midnights = _midnights(days, rules.zone)
        found = await self._store.usage.by_day(guild_id, midnights)
        names = sorted({name for day in found for name in day})
        month = window_at(WindowKind.MONTH, now, rules.zone)
        spent = await self._store.accounts.spent(guild_id, month)
        return UsageReport(
            days=days,
            credits={self._catalogue.label(name): tuple(day.get(name, 0) for day in found) for name in names},
            members=await self._store.usage.by_member(guild_id, midnights[0], midnights[-1]),
            spent=spent,
            budget=None if rules.budget is None else Budget(rules.budget, spent, month),
        )

    async def spent(self, guild_id: int) -> int:
        """What a server has spent or reserved this month, in millionths of a US dollar."""
        rules = await self._store.decisions.rules(guild_id)
        month = window_at(WindowKind.MONTH, self._clock.now(), rules.zone)
        return await self._store.accounts.spent(guild_id, month)

    async def chart(
        self, guild_id: int, user_id: int, report: UsageReport, title: str, names: Sequence[str]
    ) -> bytes:
        """The report as a PNG; `names` are those of its first members. Raises NotNow."""
        members = tuple((name, member.credits) for name, member in zip(names, report.members, strict=False))
        limit = report.budget.limit if report.budget else None
        chart = UsageChart(title, report.days, report.credits, members, report.spent, limit)
        async with self._drawing.take(user_id, guild_id):
            return await draw(self._children, chart)

    async def export(self, guild_id: int, period: Period) -> Export:
        """The jobs of the period as CSV, the latest MOST_ROWS of them, in UTF-8."""
        rules = await self._store.decisions.rules(guild_id)
        days = days_of(period, self._clock.now(), rules.zone)
        start, *_, end = _midnights(days, rules.zone)
        rows = await self._store.usage.rows(guild_id, start, end, MOST_ROWS)
        total = await self._store.usage.count(guild_id, start, end)
        return Export(await asyncio.to_thread(_csv, rows, rules.zone), len(rows), total)


def days_of(period: Period, now: datetime, zone: ZoneInfo) -> tuple[date, ...]:
    """The days of a period that have begun, in a server's own time zone."""
    today = now.astimezone(zone).date()
    match period:
        case Period.WEEK:
            first = today - timedelta(days=today.weekday())
        case Period.MONTH:
            first = today.replace(day=1)
        case Period.LAST_MONTH:
            today = today.replace(day=1) - timedelta(days=1)
            first = today.replace(day=1)
        case Period.DAYS_30:
            first = today - timedelta(days=29)
        case Period.DAYS_90:
            first = today - timedelta(days=89)
    return tuple(first + timedelta(days=number) for number in range((today - first).days + 1))


def _midnights(days: Sequence[date], zone: ZoneInfo) -> list[datetime]:
    """The beginning of each of these days in a row, and the end of the last, in UTC."""
    return [
        datetime.combine(day, time(), zone).astimezone(UTC) for day in (*days, days[-1] + timedelta(days=1))
    ]


def _csv(rows: Sequence[Row], zone: ZoneInfo) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)  # whatever separates cells where it is opened
    writer.writerow(_COLUMNS)
    for row in rows:
        writer.writerow(
            [
                datetime.fromisoformat(str(row["created_at"])).astimezone(zone).isoformat(timespec="seconds"),
                # Spreadsheets round numbers as long as Discord's ids.
                *(f"'{row[name]}" for name in ("id", "user_id", "channel_id")),
                _cell(str(row["provider"])),
                _cell(str(row["model"])),
                _cell(str(json.loads(str(row["request"]))["prompt"])[:LONGEST_PROMPT]),
                row["state"],
                row["failure"] or "",
                row["price"],
                row["charged"],
                _usd(row["quoted_micros"]),
                _usd(row["cost_micros"]),
            ]
        )
    # With the mark that tells Excel which encoding it is.
    return text.getvalue().encode("utf-8-sig", errors="replace")


def _cell(text: str) -> str:
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def _usd(micros: object) -> str:
    return "" if micros is None else f"{int(str(micros)) / 1_000_000:.6f}"
