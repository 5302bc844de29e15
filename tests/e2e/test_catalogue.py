"""A vendor whose list does not come: nobody waits for it, and nobody is told that it does not exist."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from providers.specs import Mode
from tests.e2e.conftest import Shop, World
from tests.helpers import eventually
from tests.vendors.faults import hang, status
from tests.vendors.venice import I2V, VeniceServer, model

OpenShop = Callable[..., Awaitable[Shop]]


async def said(world: World, **options: object) -> str:
    return (await world.animate(**options)).response.content


@pytest.fixture(autouse=True)
def first_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.catalogue.FIRST_WAIT", 0.2)


async def test_a_list_that_hangs_neither_delays_the_start_nor_makes_its_provider_unknown(
    open_shop: OpenShop,
) -> None:
    server = VeniceServer()
    server.next("models", *[hang] * 9)
    shop = await asyncio.wait_for(open_shop("venice", server, eigenai_api_key="key"), 20)
    away = "Venice can't be reached just now. Try again in a minute. Nothing was charged."
    assert await said(shop.world, provider="venice") == away
    assert "There is no provider `nobody` here." in await said(shop.world, provider="nobody")


@pytest.mark.parametrize("fault", [hang, status(500)])
async def test_after_a_restart_a_provider_offers_what_it_did_before(
    open_shop: OpenShop, fault: object
) -> None:
    shop = await open_shop("venice", VeniceServer())
    shop.vendor.next("models", *[fault] * 99)
    await asyncio.wait_for(shop.restart(), 20)
    await shop.world.animate(provider="venice")
    await shop.world.video()


def told(world: World, command: str) -> list[list[str]]:
    """The command's options, each time that Discord was told of them."""
    puts = [entry for entry in world.env.http_requests if entry.method == "PUT" and "commands" in entry.path]
    return [
        [option["name"] for option in found["options"]]
        for entry in puts
        for found in entry.json
        if found["name"] == command
    ]


async def test_options_that_no_enabled_provider_takes_are_not_offered(world: World) -> None:
    assert told(world, "animate") == [["image", "prompt", "provider", "model", "seed", "steps"]]
    assert told(world, "video") == [["prompt", "provider", "model"]]


async def test_while_a_provider_cannot_be_asked_every_option_is_offered(open_shop: OpenShop) -> None:
    server = VeniceServer()
    server.next("models", *[status(500)] * 99)
    [options] = told((await open_shop("venice", server)).world, "animate")
    assert {"effect", "audio_file"} <= set(options)


async def test_an_option_is_offered_once_a_model_takes_it_and_stays_until_a_restart(
    open_shop: OpenShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.catalogue.FRESH", timedelta(seconds=30))
    monkeypatch.setattr("bot.client.LOOK_AT_OPTIONS", 30.0)
    server = VeniceServer()
    server.catalogue = [model(I2V)]
    shop = await open_shop("venice", server)
    unavailable = shop.world.bot.booking.catalogue.unavailable_options
    server.catalogue = [model(I2V, audio_input=True)]
    await eventually(lambda: len(told(shop.world, "animate")) == 2)
    server.catalogue = [model(I2V)]
    await eventually(lambda: (Mode.IMAGE_TO_VIDEO, "audio_file") in unavailable())
    await shop.restart()
    assert ["audio_file" in options for options in told(shop.world, "animate")] == [False, True, False]
