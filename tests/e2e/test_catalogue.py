"""A vendor whose list does not come: nobody waits for it, and nobody is told that it does not exist."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.e2e.conftest import Shop, World
from tests.vendors.faults import hang, status
from tests.vendors.venice import VeniceServer

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
