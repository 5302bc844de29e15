"""The picture of `/quota-admin usage`, drawn in a child: matplotlib would stay in the bot's memory."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from pydantic import TypeAdapter

from bot.errors import NotNow
from providers.child import ChildFailed, Children, ChildrenClosed

log = logging.getLogger(__name__)

SECONDS = 30
MEMORY = 1_000_000_000
"""Bytes; a third of it is used."""


@dataclass(frozen=True)
class UsageChart:
    title: str
    days: tuple[date, ...]
    """1 to 92, one after the other."""
    credits: Mapping[str, tuple[int, ...]]
    """By the provider's name as people read it, one number for each day."""
    members: tuple[tuple[str, int], ...]
    """Names and credits, most first, at most 10."""
    spent_micros: int
    """Millionths of a US dollar, like the budget."""
    budget_micros: int | None


USAGE = TypeAdapter(UsageChart)
"""How it crosses the pipe: as JSON."""


async def draw(children: Children, usage: UsageChart) -> bytes:
    """A PNG of 1000 x 700 pixels. Raises NotNow."""
    try:
        answer = await children.run(
            "bot.media._draw_chart:draw", USAGE.dump_json(usage), seconds=SECONDS, memory=MEMORY
        )
    except ChildrenClosed as closed:
        raise NotNow("I am restarting. Try again in a minute; nothing was changed.") from closed
    except ChildFailed as failure:
        log.warning("a chart could not be drawn: %s", failure)
        raise NotNow("The chart could not be drawn. Try again in a minute; nothing was changed.") from failure
    return answer.blobs[0]
