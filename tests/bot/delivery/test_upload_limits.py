"""How much a server takes, and how often cards may be edited."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import discord
import pytest

from bot.delivery import Delivery
from bot.delivery.upload_limits import HIGHEST_TIER, LEAST
from bot.errors import TooLarge
from bot.jobs import Job, Place
from tests.bot.delivery.conftest import LIMIT, MEGABYTE, MakeDelivery, announced, card, connected
from tests.clock import FastClock
from tests.discord_server.faults import refusal
from tests.discord_server.server import DiscordServer
from tests.discord_server.world import GUILD, OTHER_CHANNEL, guild
from tests.helpers import eventually


@pytest.fixture
async def client(server: DiscordServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[discord.Client]:
    async with connected(server, monkeypatch) as known:
        yield known


async def boosted(server: DiscordServer, client: discord.Client, tier: int) -> None:
    await server.gateway.dispatch("GUILD_UPDATE", guild() | {"premium_tier": tier})
    await eventually(lambda: (known := client.get_guild(GUILD)) and known.premium_tier == tier)


@pytest.mark.parametrize(("tier", "megabytes"), [(0, 20), (1, 20), (2, 50), (3, 100)])
async def test_a_server_takes_what_its_tier_allows_and_what_the_operator_says_at_the_least(
    server: DiscordServer,
    client: discord.Client,
    messenger: Delivery,
    job: Job,
    tier: int,
    megabytes: int,
) -> None:
    await boosted(server, client, tier)
    assert await messenger.videos.limit(job) == megabytes * MEGABYTE


async def test_a_video_over_the_servers_limit_is_neither_announced_nor_sent(
    server: DiscordServer, messenger: Delivery, job: Job, tmp_path: Path
) -> None:
    os.truncate(tmp_path / "jobs" / "42" / "video.mp4", LIMIT + 1)
    with pytest.raises(TooLarge):
        await messenger.videos.announce(job, again=False)
    with pytest.raises(TooLarge):
        await messenger.videos.attach(replace(job, message_id=1))

    assert server.seen("create") == server.seen("edit") == []


async def test_of_a_server_that_is_not_known_now_discord_itself_has_to_say(
    server: DiscordServer, client: discord.Client, messenger: Delivery, job: Job
) -> None:
    assert await messenger.videos.limit(replace(job, guild_id=404)) == HIGHEST_TIER
    await server.gateway.dispatch("GUILD_DELETE", {"id": str(GUILD), "unavailable": True})
    await eventually(lambda: (known := client.get_guild(GUILD)) is None or known.unavailable)
    assert await messenger.videos.limit(job) == HIGHEST_TIER


async def test_what_discord_has_refused_is_held_against_that_upload(
    server: DiscordServer, client: discord.Client, messenger: Delivery, job: Job, tmp_path: Path
) -> None:
    job = await announced(messenger, job)
    size = (tmp_path / "jobs" / "42" / "video.mp4").stat().st_size
    server.next("edit", refusal(413, 40005))
    with pytest.raises(TooLarge):
        await messenger.videos.attach(job)

    assert await messenger.videos.limit(job) == int(size * 0.8)
    assert await messenger.videos.limit(replace(job, id=43)) == LEAST, "every place takes that"


@pytest.mark.parametrize("days", [1, -2], ids=["a day later", "a clock that was put back"])
@pytest.mark.parametrize("place", [Place.CHANNEL, Place.DIRECT])
async def test_what_a_place_refuses_is_remembered_for_a_day_and_until_it_takes_more(
    server: DiscordServer,
    client: discord.Client,
    messenger: Delivery,
    clock: FastClock,
    job: Job,
    place: Place,
    days: int,
) -> None:
    job = replace(job, place=place)
    another = replace(job, id=43)
    for refused in (18, 12, 15):
        await messenger.videos._limits.learn(job, refused * MEGABYTE)
    assert await messenger.videos.limit(another) == int(12 * MEGABYTE * 0.8), "the least of all"

    elsewhere = replace(another, place=Place.CHANNEL if place is Place.DIRECT else Place.DIRECT)
    assert await messenger.videos.limit(elsewhere) == LIMIT
    clock.pass_by(timedelta(days=days))
    assert await messenger.videos.limit(another) == LIMIT


async def test_a_server_that_is_boosted_starts_anew(
    server: DiscordServer, client: discord.Client, messenger: Delivery, job: Job
) -> None:
    await boosted(server, client, 2)
    await messenger.videos._limits.learn(job, 30 * MEGABYTE)
    assert await messenger.videos.limit(replace(job, id=43)) == LIMIT, "the tier was wrong, not the base"
    assert await messenger.videos.limit(replace(job, place=Place.DIRECT, id=43)) == LIMIT
    await boosted(server, client, 3)
    assert await messenger.videos.limit(replace(job, id=43)) == 100 * MEGABYTE


PACES = (
    (1, 0, 5),
    (2, 0, 5),
    (3, 0, 6),
    (10, 0, 20),
    (1, 3500, 5),
    (1, 3700, 5),
    (2, 3700, 8),
    (10, 3700, 40),
)
"""Cards in a channel, the age of one of them, and the seconds between two edits of that one."""


async def test_the_cards_of_a_channel_share_its_pace_and_old_ones_take_longer(
    make_delivery: MakeDelivery, clock: FastClock, job: Job
) -> None:
    for neighbours, age, seconds in PACES:
        box = make_delivery(5)
        for number in range(neighbours):
            box.cards.show(card(replace(job, id=number)))
        box.cards.show(card(replace(job, id=99, channel_id=OTHER_CHANNEL)))
        old = replace(job, created_at=clock.now() - timedelta(seconds=age))
        assert box.cards._pace(card(old)) == pytest.approx(seconds), (neighbours, age)
