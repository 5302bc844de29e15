"""A hundred jobs in one channel, with a Discord that enforces its limits."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import discord
import pytest

from bot.delivery import Delivery
from bot.delivery.brake import Brake
from bot.jobs import Job, JobState
from bot.media.jobfiles import JobFiles
from bot.store import Store
from cogs._cards import render
from tests.bot.delivery.conftest import LIMIT, book, card
from tests.clock import FastClock
from tests.discord_server.server import DiscordServer, carries_video
from tests.helpers import eventually


@pytest.fixture
async def letterbox(
    server: DiscordServer, client: discord.Client, store: Store, clock: FastClock, tmp_path: Path
) -> AsyncIterator[Delivery]:
    server.enforce()
    box = Delivery(
        client,
        store,
        JobFiles(tmp_path / "jobs"),
        clock,
        render,
        brake=Brake(clock),
        card_seconds=5,
        upload_limit=LIMIT,
    )
    yield box
    await box.close()


async def live(letterbox: Delivery, store: Store, job: Job, ready: asyncio.Event) -> Job:
    """The job's life as its channel sees it: card, progress, video, end."""
    job = replace(job, card_id=await letterbox.open(card(job)))
    for step in range(1, 9):
        letterbox.show(card(replace(job, state=JobState.RUNNING), progress=step / 10))
    await ready.wait()
    posted = await letterbox.announce(job, again=False)
    job = replace(job, message_id=posted.message_id, state=JobState.DELIVERED)
    await letterbox.attach(job)
    letterbox.show(card(job))
    return job


@pytest.mark.parametrize(
    ("age", "many"), [(timedelta(0), 100), (timedelta(hours=2), 40)], ids=["young", "old"]
)
async def test_every_card_in_a_crowded_channel_reaches_its_end_and_no_limit_is_broken(
    server: DiscordServer,
    letterbox: Delivery,
    store: Store,
    tmp_path: Path,
    clock: FastClock,
    age: timedelta,
    many: int,
) -> None:
    begun = clock.now() - age
    jobs = [await book(store, tmp_path, id=1000 + n, created_at=begun) for n in range(many)]
    ready = asyncio.Event()
    lives = [asyncio.create_task(live(letterbox, store, job, ready)) for job in jobs]
    await eventually(lambda: len(server.world.cards()) == many)
    if age:
        server.world.old |= {int(found["id"]) for found in server.world.cards()}
    ready.set()
    await asyncio.gather(*lives)
    await eventually(lambda: all("Video ready" in str(found["embeds"]) for found in server.world.cards()))

    assert len(server.world.cards()) == len(server.world.replies()) == len(server.world.videos()) == many
    assert len(server.seen("edit", carries_video)) == many

    assert server.too_many == 0
