"""What is done for the catalogue while the bot runs: keys are tried again, lists are renewed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from bot.catalogue import FRESH, Catalogue
from bot.tasks import Tasks
from providers.errors import Unauthorized, Uncertain
from providers.specs import Mode, ModelSpec
from tests.bot.conftest import Scripted
from tests.clock import NOON, FastClock
from tests.helpers import eventually


class Listing(Scripted):
    """A provider whose key and whose list the test decides."""

    refusal: Exception | None = None
    asked = 0
    names: Sequence[str] = ("m",)

    async def models(self) -> Sequence[ModelSpec]:
        self.asked += 1
        if self.refusal is not None:
            raise self.refusal
        return [ModelSpec(id=name, name=name, mode=Mode.IMAGE_TO_VIDEO) for name in self.names]


@pytest.fixture
def provider(tmp_path: Path) -> Listing:
    return Listing(tmp_path)


@pytest.fixture
async def catalogue(provider: Listing) -> AsyncIterator[Catalogue]:
    catalogue, tasks = Catalogue({"scripted": provider}, None), Tasks()
    await catalogue.refresh(NOON)
    tasks.spawn(catalogue.tend(FastClock(20_000)), "tend")
    yield catalogue
    await tasks.close()


@pytest.mark.parametrize("refusal", [Unauthorized("401"), KeyError("a bug")])
async def test_a_paused_provider_is_fit_again_once_its_key_works(
    catalogue: Catalogue, provider: Listing, refusal: Exception
) -> None:
    provider.refusal = refusal
    catalogue.ward["scripted"].failed(Unauthorized("401"), FastClock().now())
    paused_until = catalogue.ward["scripted"].paused_until
    await eventually(lambda: catalogue.ward["scripted"].paused_until != paused_until)
    assert catalogue.ward["scripted"].paused, "the key was tried, and does not work yet"
    provider.refusal = None
    await eventually(lambda: not catalogue.ward["scripted"].paused)


async def test_the_list_of_models_is_renewed(catalogue: Catalogue, provider: Listing) -> None:
    provider.names = ("m", "n")
    await eventually(lambda: catalogue.spec("scripted", "n"))


async def test_a_list_that_is_doubted_is_renewed_at_once(provider: Listing) -> None:
    catalogue, tasks = Catalogue({"scripted": provider}, None), Tasks()
    await catalogue.refresh(NOON)
    provider.names = ("n",)
    catalogue.doubt("scripted")
    clock = FastClock(1000)
    began = clock.now()
    tasks.spawn(catalogue.tend(clock), "tend")
    await eventually(lambda: catalogue.spec("scripted", "m") is None)
    assert clock.now() - began < FRESH
    await tasks.close()


async def test_a_doubt_is_settled_by_asking_once(provider: Listing) -> None:
    catalogue, tasks = Catalogue({"scripted": provider}, None), Tasks()
    await catalogue.refresh(NOON)
    catalogue.doubt("scripted")
    clock = FastClock(1000)
    began = clock.now()
    tasks.spawn(catalogue.tend(clock), "tend")
    await eventually(lambda: clock.now() - began > FRESH / 6)
    await tasks.close()
    assert provider.asked == 2


async def test_who_has_not_told_what_it_offers_is_asked_again_soon(provider: Listing) -> None:
    catalogue, tasks = Catalogue({"scripted": provider}, None), Tasks()
    provider.refusal = Uncertain("500")
    await catalogue.refresh(NOON)
    provider.refusal = None
    clock = FastClock(1000)
    began = clock.now()
    tasks.spawn(catalogue.tend(clock), "tend")
    await eventually(lambda: catalogue.knows("scripted"))
    assert clock.now() - began < FRESH
    await tasks.close()


async def test_a_list_that_cannot_be_had_leaves_the_old_one(catalogue: Catalogue, provider: Listing) -> None:
    provider.refusal = Uncertain("500")
    await catalogue.refresh(NOON)
    await asyncio.wait_for(catalogue.refresh(NOON), 5)
    assert catalogue.spec("scripted", "m") is not None
