"""The application's owner gets one direct message, and one when it is over."""

from collections.abc import Awaitable, Callable

import pytest

from bot.app import build
from bot.delivery import owner
from bot.settings import Settings
from tests.clock import FastClock
from tests.e2e.conftest import World
from tests.helpers import eventually
from tests.vendors.eigenai import EigenAIServer
from tests.vendors.faults import status

Start = Callable[..., Awaitable[World]]


@pytest.fixture
async def owned(start: Start, monkeypatch: pytest.MonkeyPatch) -> World:
    world = await start()
    monkeypatch.setattr(owner, "owner_of", lambda _: world.bob.id)
    return world


def told(world: World) -> list[str]:
    return [message.content for message in world.bob.user.dm_channel.history()]


async def test_a_key_that_stops_working_is_told_once_also_over_a_restart_and_so_is_its_end(
    owned: World, settings: Callable[..., Settings], vendor: EigenAIServer
) -> None:
    vendor.next("submit", status(401))
    vendor.next("poll", status(401))  # what the key is verified by
    await owned.animate()
    await eventually(lambda: told(owned))
    await owned.restart(build(settings(), FastClock()))
    await eventually(lambda: len(told(owned)) == 2)
    assert told(owned) == [
        "EigenAI does not accept the bot's key any more. No job is sent there until it does.",
        "Over: EigenAI accepts the bot's key again.",
    ]


async def test_a_key_that_travels_unencrypted_is_warned_of_at_the_start(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    warning = "EIGENAI_API_KEY travels without encryption: EIGENAI_BASE_URL is plain http"
    monkeypatch.setattr("bot.settings.is_exposed", lambda config, _: config.enabled)
    await start()
    assert warning in caplog.text


async def test_one_refusal_for_lack_of_credit_is_told_and_stops_nobody(
    owned: World, vendor: EigenAIServer
) -> None:
    vendor.next("submit", status(402))
    await owned.animate()
    await eventually(lambda: told(owned))
    await owned.animate(owned.moderator)
    await owned.video()
    await eventually(lambda: len(told(owned)) == 2)
    assert told(owned) == [
        "EigenAI refused a video for lack of credit. Look at the bot's account there.",
        "Over: EigenAI takes such videos again.",
    ]


async def test_an_account_that_is_empty_for_several_members_pauses_its_provider(
    owned: World, vendor: EigenAIServer
) -> None:
    for number, member in enumerate((owned.alice, owned.bob, owned.moderator), start=1):
        vendor.next("submit", status(402))
        await owned.animate(member)
        await eventually(lambda number=number: len(vendor.seen("submit")) == number)
    await eventually(lambda: any("has no credit left" in text for text in told(owned)))
    assert len(vendor.seen("submit")) == 3
