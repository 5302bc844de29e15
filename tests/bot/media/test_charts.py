import io
import struct
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from importlib import import_module
from types import ModuleType

import pytest
from PIL import Image

from bot.errors import NotNow
from bot.media import charts
from bot.media.charts import UsageChart
from providers.child import Children

WEEK = tuple(date(2026, 12, 28) + timedelta(days=number) for number in range(7))
USAGE = UsageChart(
    title="Usage of Pixel Garden",
    days=WEEK,
    credits={"Venice": (1, 2, 3, 4, 5, 6, 7), "EcoHash": (0, 0, 1, 0, 0, 0, 9)},
    members=(("Anna", 30), ("Ben", 8)),
    spent_micros=12_340_000,
    budget_micros=50_000_000,
)
EMPTY = replace(USAGE, credits={}, members=(), spent_micros=0)
HEADER = slice(16, 24)
"""Where a PNG states its width and height."""
STATED = struct.pack(">II", 1000, 700)


def child() -> ModuleType:
    """What the child runs, with matplotlib; only now, for every worker collects this file."""
    return import_module("bot.media._draw_chart")


def drawn(usage: UsageChart) -> bytes:
    """What the child would draw, without a child."""
    return _drawn(charts.USAGE.dump_json(usage))


@cache
def _drawn(usage: bytes) -> bytes:
    return child().draw(usage).blobs[0]


async def test_a_chart_is_a_picture_of_the_stated_size(children: Children) -> None:
    with Image.open(io.BytesIO(await charts.draw(children, USAGE))) as picture:
        picture.load()
        assert (picture.format, picture.size) == ("PNG", (1000, 700))


async def test_a_chart_that_cannot_be_drawn_is_for_another_time(
    children: Children, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(charts, "SECONDS", 0.01)
    with pytest.raises(NotNow, match="could not be drawn"):
        await charts.draw(children, USAGE)
    assert "took longer than 0.01 s" in caplog.text


async def test_a_bot_that_stops_says_so(children: Children) -> None:
    await children.close()
    with pytest.raises(NotNow, match="I am restarting"):
        await charts.draw(children, USAGE)


def test_each_part_of_the_data_is_seen() -> None:
    others = [
        replace(USAGE, credits={**USAGE.credits, "Venice": (7, 6, 5, 4, 3, 2, 1)}),
        replace(USAGE, members=(("Anna", 30), ("Ben", 9))),
        replace(USAGE, spent_micros=60_000_000),
        EMPTY,
        replace(EMPTY, budget_micros=None),
    ]
    assert len({drawn(usage) for usage in (USAGE, *others)}) == 6


def test_whatever_members_call_themselves_is_drawn_without_a_warning() -> None:
    names = ("$x$", "$", "\\frac{1}{2}", "_x", "田中さくら", "🎉🦊", "नमस्ते", "مرحبا", "a\nb\0", "\u200b")
    providers = {f"_$v$ {number}": (1,) * 7 for number in range(9)}
    odd = replace(USAGE, title="W" * 500, credits=providers, members=tuple((name, 1) for name in names))
    assert drawn(odd)[HEADER] == STATED


def test_a_quarter_of_a_year_with_a_budget_of_nothing_is_drawn() -> None:
    days = tuple(WEEK[0] + timedelta(days=number) for number in range(92))
    usage = replace(USAGE, days=days, credits={"Venice": (10**6,) * 92}, budget_micros=0)
    assert drawn(usage)[HEADER] == STATED


def test_a_provider_without_credits_is_nothing_yet() -> None:
    assert drawn(replace(EMPTY, credits={"Venice": (0,) * 7})) == drawn(EMPTY)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Anna", "Anna"),
        ("  two\r\n lines\t", "two lines"),
        ("\x1b[31mred\x00", "[31mred"),
        ("\u202eright to left\u200b", "right to left"),
        ("e\u0301", "é"),
        ("z\u0335\u0321a\u0358", "za"),
        ("\u200b", "?"),
        ("", "?"),
        ("thirteen long", "thirteen long"),
        ("twelve chars and more", "twelve chars…"),
    ],
)
def test_a_name_becomes_one_short_line(text: str, line: str) -> None:
    assert child()._line(text, 13) == line
