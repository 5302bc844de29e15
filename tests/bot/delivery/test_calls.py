"""What each way in which Discord can fail means for a delivery. Pure: no call is made."""

from types import SimpleNamespace

import aiohttp
import discord
import pytest

from bot.delivery.calls import call
from bot.delivery.cards import CardState
from bot.delivery.rate_limit import Rank
from bot.errors import (
    Archived,
    DeliveryFault,
    Gone,
    MessageGone,
    NoReplies,
    TooLarge,
    Undeliverable,
    Undelivered,
)
from bot.jobs import Job, JobState
from tests.bot.delivery.conftest import at, card


def refused(status: int, code: int) -> discord.HTTPException:
    response = SimpleNamespace(status=status, reason="reason")
    return discord.HTTPException(response, {"code": code, "message": "no"})  # type: ignore[arg-type] # all it reads


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (refused(500, 1), Undelivered),
        (refused(401, 1), Undelivered),
        (refused(429, 1), Undelivered),
        *((refused(400, code), Undelivered) for code in (20016, 20028, 20029, 30046, 40003)),
        (refused(403, 40333), Undelivered),
        (refused(403, 0), Undelivered),
        (refused(413, 0), TooLarge),
        (refused(413, 40005), TooLarge),
        (refused(400, 50045), TooLarge),
        (refused(404, 10003), Gone),
        (refused(404, 10004), Gone),
        (refused(404, 10008), MessageGone),
        (refused(400, 50083), Archived),
        (refused(403, 50083), Archived),
        (refused(403, 160002), NoReplies),
        (refused(403, 50013), Undeliverable),
        (refused(403, 50001), Undeliverable),
        (refused(403, 50007), Undeliverable),
        (refused(400, 200000), Undeliverable),
        (discord.RateLimited(99.0), Undelivered),
        (aiohttp.ServerDisconnectedError(), Undelivered),
        (TimeoutError(), Undelivered),
        (ConnectionResetError(104, "reset"), Undelivered),
        (ValueError("half an answer"), Undelivered),
        (KeyError("id"), Undelivered),
        (TypeError("'NoneType' object is not iterable"), Undelivered),
        (AttributeError("'NoneType' object has no attribute 'get'"), Undelivered),
    ],
)
async def test_each_failure_is_one_kind_of_fault(error: Exception, fault: type[DeliveryFault]) -> None:
    async def failing() -> None:
        raise error

    with pytest.raises(DeliveryFault) as caught:
        await call(failing())
    assert type(caught.value) is fault


def test_a_card_that_is_not_there_goes_before_an_end_and_that_before_news(job: Job) -> None:
    posted, new = CardState(1, None), CardState(None, None)
    for state in (posted, new):
        state.take(card(at(job, JobState.RUNNING)))
    assert (posted.rank, new.rank) == (Rank.NEWS, Rank.FIRST)
    posted.take(card(at(job, JobState.CANCELLED)))
    assert posted.rank is Rank.END
    assert sorted(Rank) == [Rank.FIRST, Rank.END, Rank.NEWS]
