"""Many jobs in one channel, with a Discord that enforces its limits."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.delivery import Delivery
from bot.delivery.calls import CALL_TIMEOUT
from bot.delivery.rate_limit import WRITES
from bot.jobs import Failure, Job, JobState
from bot.store import Store
from tests.bot.delivery.conftest import MakeDelivery, announced, book, card
from tests.clock import FastClock
from tests.discord_server.faults import late
from tests.discord_server.server import DiscordServer, carries_video
from tests.helpers import eventually


@pytest.fixture
def messenger(server: DiscordServer, make_delivery: MakeDelivery) -> Delivery:
    server.enforce()
    return make_delivery(5)


async def live(messenger: Delivery, store: Store, job: Job, ready: asyncio.Event) -> Job:
    """The job's life as its channel sees it: card, progress, video, end."""
    job = replace(job, card_id=await messenger.cards.open(card(job)))
    for step in range(1, 9):
        messenger.cards.show(card(replace(job, state=JobState.RUNNING), progress=step / 10))
    await ready.wait()
    posted = await messenger.videos.announce(job, again=False)
    job = replace(job, message_id=posted.message_id, state=JobState.DELIVERED)
    await messenger.videos.attach(job)
    messenger.cards.show(card(job))
    return job


@pytest.mark.parametrize(
    ("age", "many"), [(timedelta(0), 30), (timedelta(hours=2), 12)], ids=["young", "old"]
)
async def test_every_card_in_a_crowded_channel_reaches_its_end_and_no_limit_is_broken(
    server: DiscordServer,
    messenger: Delivery,
    store: Store,
    tmp_path: Path,
    clock: FastClock,
    age: timedelta,
    many: int,
) -> None:
    begun = clock.now() - age
    jobs = [await book(store, tmp_path, id=1000 + n, created_at=begun) for n in range(many)]
    ready = asyncio.Event()
    lives = [asyncio.create_task(live(messenger, store, job, ready)) for job in jobs]
    await eventually(lambda: len(server.world.cards()) == many)
    if age:
        server.world.old |= {int(found["id"]) for found in server.world.cards()}
    ready.set()
    await asyncio.gather(*lives)
    await eventually(lambda: all("Video ready" in str(found["embeds"]) for found in server.world.cards()))

    assert len(server.world.cards()) == len(server.world.replies()) == len(server.world.videos()) == many
    assert len(server.seen("edit", carries_video)) == many

    assert server.too_many == 0


async def test_a_job_waits_for_its_card_as_long_as_others_have_their_turns(
    server: DiscordServer, messenger: Delivery, job: Job, clock: FastClock
) -> None:
    release = asyncio.Event()
    server.next("create", *[late(release)] * WRITES)
    for number in range(WRITES):
        messenger.cards.show(card(replace(job, id=100 + number)))
    await eventually(lambda: server.seen("create"))
    opening = asyncio.create_task(messenger.cards.open(card(job)))
    await clock.wait(asyncio.Event(), 3 * CALL_TIMEOUT)
    assert not opening.done()
    release.set()

    assert await opening in server.world.messages


async def test_announcements_of_long_ago_are_taken_back_at_the_pace_of_old_messages(
    server: DiscordServer, messenger: Delivery, store: Store, tmp_path: Path, clock: FastClock
) -> None:
    begun = clock.now() - timedelta(hours=2)
    jobs = [await book(store, tmp_path, id=1000 + n, card_id=1, created_at=begun) for n in range(9)]
    jobs = [await announced(messenger, job) for job in jobs]
    server.world.old |= {job.message_id or 0 for job in jobs}
    gone = {"state": JobState.FAILED, "failure": Failure.UNDELIVERABLE, "announcing_at": begun}
    await asyncio.gather(*(messenger.cards._ending.retract(card(replace(job, **gone))) for job in jobs))

    assert all("could not be posted" in str(found["content"]) for found in server.world.replies())
    assert server.too_many == 0
