"""Discord shuts out an address that is refused too often: long before that, everything waits a while."""

import asyncio
from datetime import datetime, timedelta

import discord
import pytest

from bot.delivery import Delivery
from bot.delivery.brake import MOST, WINDOW, Brake, Refusals
from bot.delivery.calls import CALL_TIMEOUT
from bot.jobs import Job, JobState
from tests.bot.delivery.conftest import at, card, shown
from tests.clock import NOON, FastClock
from tests.discord_server.faults import html, refusal, too_many
from tests.discord_server.server import DiscordServer
from tests.discord_server.world import CHANNEL
from tests.helpers import eventually
from tests.vendors.faults import Fault, status

ENOUGH = MOST // 2


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def refused(times: int, at: datetime = NOON) -> Refusals:
    refusals = Refusals()
    for _ in range(times):
        refusals.add(at)
    return refusals


def test_it_comes_on_long_before_discord_shuts_anybody_out() -> None:
    assert MOST <= 10_000 / 5
    assert refused(MOST - 1).pause(NOON) == 0
    assert refused(MOST).pause(later(60)) == (WINDOW - timedelta(minutes=1)).total_seconds()


def test_what_is_under_way_may_be_refused_too() -> None:
    assert refused(MOST - 3).pause(NOON, under_way=2) == 0
    assert refused(MOST - 3).pause(NOON, under_way=3) > 0


def test_it_ends_by_itself_when_enough_of_them_are_long_ago() -> None:
    refusals = refused(MOST - ENOUGH)
    for _ in range(ENOUGH):
        refusals.add(later(100))
    assert refusals.pause(later(100)) == 500
    assert refusals.pause(later(599)) == 1
    assert refusals.pause(later(600)) == 0
    assert not refusals.is_braked


def test_between_on_and_off_it_stays_as_it_was() -> None:
    refusals = refused(ENOUGH + 1)
    assert refusals.pause(NOON) == 0
    assert refusals.pause(NOON, under_way=MOST) > 0
    assert refusals.pause(NOON) > 0


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_ends_it(hours: int) -> None:
    assert refused(MOST).pause(NOON + timedelta(hours=hours)) == 0


class Still(FastClock):
    """Shows what it is set to; who waits looks again soon."""

    def __init__(self) -> None:
        super().__init__()
        self.time = NOON

    def now(self) -> datetime:
        return self.time

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        return await super().wait(event, min(seconds, 5))


@pytest.fixture
def time() -> Still:
    """The brake's own."""
    return Still()


@pytest.fixture
def brake(time: Still) -> Brake:
    return Brake(time, most=3)


@pytest.fixture
def clock() -> FastClock:
    return FastClock()


async def test_behind_a_block_cards_wait_and_are_there_when_it_is_over(
    server: DiscordServer,
    messenger: Delivery,
    job: Job,
    clock: FastClock,
    time: Still,
    brake: Brake,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await messenger.cards.open(card(job))
    server.next("edit", *[html(403)] * 3)
    messenger.cards.show(card(at(job, JobState.RUNNING)))
    await eventually(lambda: len(server.seen("edit")) == 3 and brake.is_on)
    opening = asyncio.create_task(messenger.cards.open(card(at(job, JobState.QUEUED, id=43))))
    posting = asyncio.create_task(messenger.videos.announce(job, again=False))
    await clock.wait(asyncio.Event(), CALL_TIMEOUT + 10)

    assert len(server.seen("edit")) == 3
    assert len(server.seen("create")) == 1
    assert not opening.done()
    assert caplog.text.count("cards and videos wait") == 1
    time.time += WINDOW
    await eventually(lambda: "is making the video" in shown(server))
    assert await opening in server.world.messages
    assert (await posting).message_id in server.world.messages
    assert not brake.is_on


@pytest.mark.parametrize(
    ("fault", "counts"),
    [
        (refusal(401), 1),
        (refusal(403, 50013), 1),
        (html(429), 1),
        (too_many(0.01), 1),
        (status(429, b'{"retry_after": 0.01}', X_RateLimit_Scope="shared"), 0),
        (refusal(400, 50035), 0),
    ],
)
async def test_what_discord_counts_is_counted(
    server: DiscordServer, client: discord.Client, brake: Brake, fault: Fault, counts: int
) -> None:
    server.next("look", fault)
    with pytest.raises(discord.HTTPException):
        await client.http.get_message(CHANNEL, 1)
    assert len(brake.refusals) == counts
