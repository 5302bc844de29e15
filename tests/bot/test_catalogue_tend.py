"""What is done for the catalogue while the bot runs: keys are tried again, lists are renewed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from bot.catalogue import FRESH, Catalogue
from bot.tasks import Tasks
from providers.errors import ProviderError, Unauthorized, Uncertain
from providers.specs import Mode, ModelSpec
from tests.bot.conftest import Scripted
from tests.clock import NOON, FastClock
from tests.helpers import eventually


class Listing(Scripted):
    """A provider whose key and whose list the test decides."""

    refusal: ProviderError | None = None
    names: Sequence[str] = ("m",)

    async def models(self) -> Sequence[ModelSpec]:
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


async def test_a_paused_provider_is_fit_again_once_its_key_works(
    catalogue: Catalogue, provider: Listing
) -> None:
    provider.refusal = Unauthorized("401")
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


async def test_a_list_that_cannot_be_had_leaves_the_old_one(catalogue: Catalogue, provider: Listing) -> None:
    provider.refusal = Uncertain("500")
    await catalogue.refresh(NOON)
    await asyncio.wait_for(catalogue.refresh(NOON), 5)
    assert catalogue.spec("scripted", "m") is not None
