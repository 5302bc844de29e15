"""Many jobs under way while the bot is stopped, started again and replaced by its next version."""

import asyncio
import itertools
from collections import Counter

import pytest

from tests.discord_server.faults import after_accepting, cut, late
from tests.discord_server.server import carries_video, is_reply
from tests.e2e.process.conftest import Stage
from tests.helpers import eventually
from tests.vendors.faults import sample_video, status

CHANNELS = range(2001, 2014)
"""Two jobs in each: Discord takes five messages in five seconds of one channel."""
MEMBERS = range(3001, 3011)
AT_ONCE = 20
NEVER = 10_000
"""Looks after which the vendor is done."""
SOON = 10.0
"""Seconds after a start within which every card says what is true."""
WORDS = {
    "queued": "Waiting in the queue",
    "submitting": "Sending it to EigenAI",
    "running": "EigenAI is making the video",
    "downloading": "fetching it",
    "delivering": "Posting the video",
    "delivered": "Video ready",
}


class Crowd:
    """Members who ask for videos, each in turn in the next channel."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._next = zip(itertools.cycle(MEMBERS), itertools.cycle(CHANNELS), strict=True)

    async def ask(self, count: int) -> None:
        for member, channel in itertools.islice(self._next, count):
            await self._stage.animate(user_id=member, channel=channel)

    def states(self) -> Counter[str]:
        return Counter(row["state"] for row in self._stage.bot.rows())

    async def reaches(self, **states: int) -> None:
        await eventually(lambda: self.states() == states)

    def untrue(self) -> list[str]:
        """States that are not what their card says."""
        messages = self._stage.discord.world.messages
        return [
            row["state"]
            for row in self._stage.bot.rows()
            if WORDS[row["state"]] not in str(messages[row["card_id"]]["embeds"])
        ]


@pytest.fixture
async def crowd(stage: Stage) -> Crowd:
    stage.discord.world.channels += CHANNELS
    stage.bot.settings |= {
        "MEMBER_JOBS": "9",
        "DEFAULT_ALLOWANCE": "9",
        "SERVER_JOBS": str(AT_ONCE),
        "CARD_SECONDS": "2",
        "WITHOUT_CHILDREN": "yes",
    }
    await stage.bot.start()
    return Crowd(stage)


async def test_many_jobs_in_every_state_go_on_after_a_stop_and_their_cards_say_so_soon(
    stage: Stage, crowd: Crowd
) -> None:
    discord, vendor = stage.discord, stage.vendor
    go = asyncio.Event()
    lost, lost_after_all = late(go, cut), late(go, after_accepting(cut))
    vendor.next("result", *[late(go, status(503))] * 4)
    discord.next("create", *[lost, lost_after_all] * 2, when=is_reply)
    discord.next("edit", *[lost, lost_after_all] * 2, when=carries_video)
    await crowd.ask(12)
    await eventually(lambda: len(discord.seen("edit", carries_video)) == 4)
    vendor.finish_after(NEVER)
    await crowd.ask(6)
    await crowd.reaches(downloading=4, delivering=8, running=6)
    vendor.next("submit", *[late(go)] * 2)
    await crowd.ask(8)
    await crowd.reaches(downloading=4, delivering=8, running=6, submitting=2, queued=6)

    ending = asyncio.create_task(stage.bot.terminate())
    await eventually(lambda: "stopping" in stage.bot.output)
    go.set()
    assert await ending == 0, stage.bot.output
    assert crowd.states() == {"downloading": 4, "delivering": 8, "running": 8, "queued": 6}

    # Discord's own limits hold for this promise, and would only be waited for in the rest.
    discord.enforce()
    stage.bot.settings["DISCORD_WINDOW"] = "5"
    await stage.bot.start()
    async with stage.bot.soon(SOON):
        await eventually(lambda: crowd.states() == {"delivered": 12, "running": 14} and not crowd.untrue())

    discord.enforce(window=0.1)
    for job in vendor.jobs:
        vendor.finish(job)
    await crowd.reaches(delivered=26)
    await eventually(lambda: not crowd.untrue())
    assert_one_of_everything(stage, 26)


def assert_one_of_everything(stage: Stage, jobs: int) -> None:
    """One submission, one card, one message with one video, and one charge for each job."""
    world, rows = stage.discord.world, stage.bot.rows()
    assert len(stage.vendor.seen("submit")) == len(stage.vendor.jobs) == jobs
    assert {row["card_id"] for row in rows} == {int(card["id"]) for card in world.cards()}
    assert [len(reply["attachments"]) for reply in world.replies()] == [1] * jobs
    assert [video.data for video in world.videos()] == [sample_video()] * jobs
    answered = {int(reply["message_reference"]["message_id"]) for reply in world.replies()}
    assert answered == {row["card_id"] for row in rows}
    assert len(world.messages) == 2 * jobs
    assert [row["charged"] for row in rows] == [row["price"] for row in rows] == [1] * jobs


async def test_a_new_version_that_changes_the_table_of_jobs_goes_on_with_them(
    stage: Stage, crowd: Crowd
) -> None:
    go = asyncio.Event()
    stage.discord.next("edit", late(go, cut), when=carries_video)
    await crowd.ask(1)
    await crowd.reaches(delivering=1)
    await eventually(lambda: stage.discord.seen("edit", carries_video))
    stage.vendor.finish_after(NEVER)
    await crowd.ask(1)
    await crowd.reaches(delivering=1, running=1)

    ending = asyncio.create_task(stage.bot.terminate())
    await eventually(lambda: "stopping" in stage.bot.output)
    go.set()
    assert await ending == 0, stage.bot.output
    stage.bot.update(
        "0998_mood.sql",
        "ALTER TABLE job ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'",
    )
    stage.vendor.finish("job-2")
    await stage.bot.start()
    await crowd.reaches(delivered=2)
    await eventually(lambda: not crowd.untrue())

    assert_one_of_everything(stage, 2)
    assert [row["mood"] for row in stage.bot.rows()] == ["calm"] * 2
