"""What is done for the catalogue while the bot runs: keys are tried again, lists are renewed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from bot.catalogue import FRESH, Catalogue
from bot.jobs import Failure
from bot.keychecks import CHECK_AGAIN
from bot.provider_health import PAUSE
from bot.tasks import Tasks
from providers.errors import OutOfFunds, Unauthorized, Uncertain, Unreachable
from providers.specs import Mode, ModelSpec
from tests.bot.conftest import Scripted
from tests.clock import NOON, FastClock, moment
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
    tasks.spawn(catalogue.keep_fresh(FastClock()), "refresh")
    yield catalogue
    await tasks.close()


@pytest.mark.parametrize("refusal", [Unauthorized("401"), KeyError("a bug")])
async def test_a_paused_provider_is_fit_again_once_its_key_works(
    catalogue: Catalogue, provider: Listing, refusal: Exception
) -> None:
    provider.refusal = refusal
    catalogue.health["scripted"].record_refusal(Unauthorized("401"), FastClock().now())
    paused_until = catalogue.health["scripted"].paused_until
    await eventually(lambda: catalogue.health["scripted"].paused_until != paused_until)
    assert catalogue.health["scripted"].paused, "the key was tried, and does not work yet"
    provider.refusal = None
    await eventually(lambda: not catalogue.health["scripted"].paused)


async def test_the_list_of_models_is_renewed(catalogue: Catalogue, provider: Listing) -> None:
    provider.names = ("m", "n")
    await eventually(lambda: catalogue.spec("scripted", "n"))


async def test_a_list_that_is_doubted_is_renewed_at_once(provider: Listing) -> None:
    catalogue, tasks = Catalogue({"scripted": provider}, None), Tasks()
    await catalogue.refresh(NOON)
    provider.names = ("n",)
    catalogue.mark_stale("scripted")
    clock = FastClock()
    began = clock.now()
    tasks.spawn(catalogue.keep_fresh(clock), "refresh")
    await eventually(lambda: catalogue.spec("scripted", "m") is None)
    assert clock.now() - began < FRESH
    await tasks.close()


async def test_a_doubt_is_settled_by_asking_once(provider: Listing) -> None:
    catalogue, tasks = Catalogue({"scripted": provider}, None), Tasks()
    await catalogue.refresh(NOON)
    catalogue.mark_stale("scripted")
    clock = FastClock()
    began = clock.now()
    tasks.spawn(catalogue.keep_fresh(clock), "refresh")
    await eventually(lambda: clock.now() - began > FRESH / 6)
    await tasks.close()
    assert provider.asked == 2


async def test_who_has_not_told_what_it_offers_is_asked_again_soon(provider: Listing) -> None:
    catalogue, tasks = Catalogue({"scripted": provider}, None), Tasks()
    provider.refusal = Uncertain("500")
    await catalogue.refresh(NOON)
    provider.refusal = None
    clock = FastClock()
    began = clock.now()
    tasks.spawn(catalogue.keep_fresh(clock), "refresh")
    await eventually(lambda: catalogue.knows("scripted"))
    assert clock.now() - began < FRESH
    await tasks.close()


async def test_a_list_that_cannot_be_had_leaves_the_old_one(catalogue: Catalogue, provider: Listing) -> None:
    provider.refusal = Uncertain("500")
    await catalogue.refresh(NOON)
    await asyncio.wait_for(catalogue.refresh(NOON), 5)
    assert catalogue.spec("scripted", "m") is not None


class Hanging(Listing):
    """Never answers."""

    async def models(self) -> Sequence[ModelSpec]:
        return await asyncio.get_running_loop().create_future()

    async def verify(self) -> None:
        await asyncio.get_running_loop().create_future()


@pytest.fixture
def hanging(tmp_path: Path) -> Hanging:
    made = Hanging(tmp_path)
    made.name = made.label = "hanging"  # type: ignore[misc] # this one alone
    return made


@pytest.fixture
async def kept_fresh() -> AsyncIterator[Callable[[Catalogue], None]]:
    tasks = Tasks()
    yield lambda catalogue: tasks.spawn(catalogue.keep_fresh(FastClock()), "refresh") and None
    await tasks.close()


async def test_nobody_waits_for_another_ones_list_or_key(
    provider: Listing, hanging: Hanging, kept_fresh: Callable[[Catalogue], None]
) -> None:
    catalogue = Catalogue({"hanging": hanging, "scripted": provider}, None)
    catalogue.health["hanging"].record_refusal(Unauthorized("401"), NOON - PAUSE)
    kept_fresh(catalogue)
    await eventually(lambda: catalogue.knows("scripted"))
    provider.names = ("n",)
    catalogue.mark_stale("scripted")
    await eventually(lambda: catalogue.spec("scripted", "n"))


async def test_a_key_check_without_an_answer_is_given_up(
    hanging: Hanging, kept_fresh: Callable[[Catalogue], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.keychecks.ASK_WITHIN", 0.01)
    catalogue = Catalogue({"hanging": hanging}, None)
    catalogue.health["hanging"].record_refusal(Unauthorized("401"), NOON - PAUSE)
    kept_fresh(catalogue)
    await eventually(lambda: catalogue.health["hanging"].paused_until != NOON)
    assert catalogue.health["hanging"].paused


async def test_a_start_waits_only_a_moment_for_a_list_that_does_not_come(
    provider: Listing,
    hanging: Hanging,
    kept_fresh: Callable[[Catalogue], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.catalogue.FIRST_WAIT", 0.1)
    catalogue = Catalogue({"hanging": hanging, "scripted": provider}, None)
    kept_fresh(catalogue)
    await asyncio.wait_for(catalogue.first_answers(), 5)
    assert catalogue.knows("scripted")
    assert catalogue.is_unknown("hanging")


async def test_a_start_goes_on_as_soon_as_everybody_has_answered(
    provider: Listing, kept_fresh: Callable[[Catalogue], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.catalogue.FIRST_WAIT", 3600)
    provider.refusal = Unauthorized("401")
    catalogue = Catalogue({"scripted": provider}, None)
    kept_fresh(catalogue)
    await asyncio.wait_for(catalogue.first_answers(), 5)
    assert catalogue.health["scripted"].paused


@pytest.mark.parametrize("step", [-timedelta(hours=2), timedelta(hours=2)])
async def test_lists_are_renewed_whatever_the_clock_does(provider: Listing, step: timedelta) -> None:
    catalogue = Catalogue({"scripted": provider}, None)
    await catalogue.refresh(NOON)
    assert not catalogue._is_due("scripted", NOON)
    assert catalogue._is_due("scripted", NOON + step)


class Checked(Listing):
    """A provider that counts the looks at its key, and how many of them go on at once."""

    checks = 0
    at_once = 0
    most_at_once = 0
    answer: Exception | None = None

    async def verify(self) -> None:
        self.checks += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await moment()  # everybody else who looks now has begun
        self.at_once -= 1
        if self.answer is not None:
            raise self.answer


@pytest.fixture
async def checked(tmp_path: Path, kept_fresh: Callable[[Catalogue], None]) -> tuple[Checked, Catalogue]:
    provider = Checked(tmp_path)
    catalogue = Catalogue({"scripted": provider}, None)
    kept_fresh(catalogue)
    await eventually(lambda: catalogue.knows("scripted"))
    return provider, catalogue


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Unauthorized("401"), Failure.UNAUTHORIZED),
        (OutOfFunds("402"), Failure.OUT_OF_FUNDS),
    ],
)
async def test_a_provider_is_paused_once_its_key_is_refused_where_nothing_is_bought(
    checked: tuple[Checked, Catalogue], answer: Exception, why: Failure
) -> None:
    provider, catalogue = checked
    provider.answer = answer
    catalogue.suspect_key("scripted")
    await eventually(lambda: catalogue.health["scripted"].paused is why)


@pytest.mark.parametrize(
    "answer", [None, Unreachable("a firewall", status=403), Uncertain("500"), KeyError()]
)
async def test_a_key_that_was_not_refused_pauses_nobody(
    checked: tuple[Checked, Catalogue], answer: Exception | None
) -> None:
    provider, catalogue = checked
    provider.answer = answer
    catalogue.suspect_key("scripted")
    await eventually(lambda: provider.checks)
    assert catalogue.health["scripted"].paused is None


async def test_many_refusals_are_one_look_at_the_key(tmp_path: Path) -> None:
    provider, tasks, clock = Checked(tmp_path), Tasks(), FastClock()
    catalogue = Catalogue({"scripted": provider}, None)
    tasks.spawn(catalogue.keep_fresh(clock), "refresh")
    began = clock.now()

    def refused() -> bool:
        catalogue.suspect_key("scripted")
        return clock.now() - began > timedelta(seconds=10 * CHECK_AGAIN)

    await eventually(refused)
    await tasks.close()
    assert 2 <= provider.checks <= 12
    assert provider.most_at_once == 1
