"""What becomes of a job that its provider did not accept while others stand by."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.jobs import Failure, Job, JobState
from bot.media.job_files import JobFiles
from bot.quota.allowances import Tariff
from bot.quota.decisions import Change, Decision, SetBudget, SetDefaultProvider, SetFallback, SetPrice
from bot.quota.rules import ServerRules
from bot.store.db import StoreError
from bot.store.queue import Caps
from providers.errors import (
    ContentRefused,
    Forbidden,
    InvalidRequest,
    NotFound,
    OutOfFunds,
    Overloaded,
    Unauthorized,
    Uncertain,
    Unreachable,
)
from providers.specs import Mode, ModelSpec, Per, Price, VideoRequest
from tests.bot.conftest import Hall, Scripted

CENT = 10_000


class Other(Scripted):
    """Another provider, with one model of its own."""

    def __init__(self, folder: Path, name: str, **spec: Any) -> None:
        super().__init__(folder)
        self.name = self.label = name  # type: ignore[misc] # an instance of its own for each name
        self.spec = ModelSpec(id=f"{name}-m", name=name, mode=Mode.IMAGE_TO_VIDEO, **spec)

    async def models(self) -> list[ModelSpec]:
        return [self.spec]


async def stand_by(hall: Hall, name: str = "other", cents: int | None = None, **spec: Any) -> Other:
    price = None if cents is None else Price(usd_micros=cents * CENT, per=Per.VIDEO)
    provider = Other(hall.provider.resources.folder, name, price=price, **spec)
    catalogue = hall.engine._catalogue
    catalogue.providers[name] = provider  # type: ignore[index] # it is the test's own
    await catalogue.refresh(hall.clock.now())
    return provider


async def attend(hall: Hall) -> Job:
    """The first job, after somebody has seen to the queue."""
    await hall.engine.review_queue(await hall.store.jobs.queue())
    return await hall.job()


async def decide(hall: Hall, change: Change) -> None:
    decision = Decision(id=1, guild_id=1, by_id=9, at=hall.clock.now(), change=change)
    await hall.store.decisions.add(1, 1, None, lambda _: decision)


async def not_accepted(hall: Hall, error: Exception | None = None, **values: Any) -> Job:
    """A job that may fall back, after its provider has said no."""
    hall.provider.submits.append(error or Unreachable("refused"))
    return await hall.drive(await hall.promoted(**{"may_fall_back": True, **values}))


def falls(job: Job) -> bool:
    return (job.state, job.fallback_from) == (JobState.QUEUED, "scripted")


@pytest.mark.parametrize(
    "error",
    [
        Unauthorized("401"),
        Forbidden("403"),
        OutOfFunds("402"),
        Overloaded("503", status=503),
        Unreachable("dns"),
    ],
)
async def test_what_a_provider_did_not_accept_is_asked_of_another(hall: Hall, error: Exception) -> None:
    other = await stand_by(hall)
    job = await not_accepted(hall, error)
    assert falls(job)
    assert (job.provider, job.request.model, job.charged) == ("other", "other-m", 1)
    promoted = await hall.store.jobs.promote(Caps(9, 9, {"other": None}))
    assert promoted is not None
    assert (await hall.drive(promoted)).state is JobState.DELIVERED
    assert other.submitted == ["p1"]


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("400"),
        ContentRefused("422"),
        Uncertain("500", status=500),
        Overloaded("our own limit"),
        Overloaded("a full house", status=409),
    ],
)
async def test_what_is_the_requests_fault_or_in_doubt_or_takes_patience_is_asked_of_nobody_else(
    hall: Hall, error: Exception
) -> None:
    await stand_by(hall)
    assert not falls(await not_accepted(hall, error))


async def test_a_job_falls_over_only_once(hall: Hall) -> None:
    other = await stand_by(hall)
    await stand_by(hall, "third")
    await not_accepted(hall)
    other.submits.append(Unreachable("refused"))
    promoted = await hall.store.jobs.promote(Caps(9, 9, {"other": None}))
    assert promoted is not None
    assert (await hall.drive(promoted)).provider == "other"


async def test_a_job_whose_provider_was_named_stays_there(hall: Hall) -> None:
    await stand_by(hall)
    assert not falls(await not_accepted(hall, may_fall_back=False))


async def test_a_server_may_forbid_it(hall: Hall) -> None:
    await stand_by(hall)
    await decide(hall, SetFallback(allowed=False))
    assert not falls(await not_accepted(hall))


@pytest.mark.parametrize(("price", "moved"), [(1, True), (2, False)])
async def test_nobody_is_asked_who_takes_more_credits(hall: Hall, *, price: int, moved: bool) -> None:
    await stand_by(hall)
    await decide(hall, SetPrice(provider="other", tariff=Tariff(credits=price)))
    assert falls(await not_accepted(hall)) is moved


@pytest.mark.parametrize(("cents", "moved"), [(None, True), (5, True), (6, False)])
async def test_where_there_is_a_budget_nobody_is_asked_who_costs_more_than_was_reserved(
    hall: Hall, cents: int | None, *, moved: bool
) -> None:
    await stand_by(hall, cents=cents)
    await decide(hall, SetBudget(micros=100 * CENT))
    assert falls(await not_accepted(hall, cost_micros=5 * CENT)) is moved


@pytest.mark.parametrize(("cents", "cost"), [(None, 0), (6, 6 * CENT)])
async def test_what_is_reserved_is_what_the_other_costs(hall: Hall, cents: int | None, cost: int) -> None:
    await stand_by(hall, cents=cents)
    job = await not_accepted(hall, quoted_micros=5 * CENT, cost_micros=5 * CENT)
    assert (job.quoted_micros, job.cost_micros) == (None if cents is None else cost, cost)


async def test_the_servers_own_provider_is_asked_first(hall: Hall) -> None:
    await stand_by(hall, "first")
    await stand_by(hall, "second")
    await decide(hall, SetDefaultProvider(provider="second"))
    assert (await not_accepted(hall)).provider == "second"


async def test_nobody_is_asked_who_is_not_fit(hall: Hall) -> None:
    await stand_by(hall, "first")
    await stand_by(hall, "second")
    hall.engine._catalogue.health["first"].paused = Failure.OUT_OF_FUNDS
    assert (await not_accepted(hall)).provider == "second"


async def test_nobody_is_asked_who_does_not_take_what_was_asked_for(hall: Hall) -> None:
    await stand_by(hall, prompt_limit=1)
    assert not falls(await not_accepted(hall))


async def test_the_other_is_asked_at_once_however_long_the_first_wanted_to_be_left(hall: Hall) -> None:
    waiting = await not_accepted(hall, Overloaded("429", status=429, retry_after=3000))
    assert waiting.not_before > hall.clock.now()
    await stand_by(hall)
    hall.engine._catalogue.health["scripted"].resting_until = hall.clock.now() + timedelta(hours=1)
    diverted = await attend(hall)
    assert falls(diverted)
    assert diverted.not_before <= hall.clock.now()


async def test_what_nobody_else_can_take_waits_while_its_provider_only_rests(hall: Hall) -> None:
    await hall.book(1, may_fall_back=True)
    hall.engine._catalogue.health["scripted"].resting_until = hall.clock.now() + timedelta(hours=1)
    assert (await attend(hall)).state is JobState.QUEUED


@pytest.mark.parametrize("may", [True, False])
async def test_what_waits_for_a_provider_that_is_gone_goes_to_another_or_ends(
    hall: Hall, *, may: bool
) -> None:
    await stand_by(hall)
    await hall.book(1, may_fall_back=may)
    del hall.engine._catalogue.providers["scripted"]  # type: ignore[attr-defined] # it is the test's own
    job = await attend(hall)
    assert falls(job) if may else (job.failure, job.charged) == (Failure.NO_PROVIDER, 0)


async def test_a_job_that_got_on_meanwhile_is_not_taken_away(hall: Hall) -> None:
    await stand_by(hall)
    await hall.book(1, may_fall_back=True)
    seen = await hall.job()
    await hall.engine.cancel(seen, user_id=7)
    hall.engine._catalogue.health["scripted"].paused = Failure.UNAUTHORIZED
    await hall.engine.review_queue([seen])
    assert (await hall.job()).state is JobState.CANCELLED


async def test_the_card_names_the_provider_that_could_not_take_it(hall: Hall) -> None:
    await stand_by(hall)
    await hall.engine.show(await not_accepted(hall))
    assert (hall.box.cards[-1].provider, hall.box.cards[-1].fallback_from) == ("other", "Scripted")


async def test_a_model_that_is_gone_is_asked_of_another(hall: Hall) -> None:
    await stand_by(hall)
    job = await hall.promoted(may_fall_back=True)
    hall.engine._catalogue._specs["scripted"] = [ModelSpec(id="n", name="N", mode=Mode.IMAGE_TO_VIDEO)]
    assert falls(await hall.drive(job))


@pytest.mark.parametrize(
    ("error", "doubted"),
    [
        (InvalidRequest("400"), True),
        (NotFound("404"), True),
        (Forbidden("403"), True),
        (ContentRefused("422"), False),
        (Unreachable("dns"), False),
    ],
)
async def test_a_no_to_what_the_catalogue_allows_raises_doubts_about_it(
    hall: Hall, error: Exception, *, doubted: bool
) -> None:
    await not_accepted(hall, error)
    assert ("scripted" in hall.engine._catalogue._stale) is doubted


@pytest.fixture
def reads(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The jobs whose files are read, in order."""
    seen: list[int] = []
    complete = JobFiles.complete

    async def counting(self: JobFiles, job_id: int, request: VideoRequest) -> VideoRequest | None:
        seen.append(job_id)
        return await complete(self, job_id, request)

    monkeypatch.setattr(JobFiles, "complete", counting)
    return seen


async def test_nobodys_files_are_read_where_there_is_nobody_else_to_ask(hall: Hall, reads: list[int]) -> None:
    other = await stand_by(hall)
    await hall.book(1, may_fall_back=False)
    await hall.book(2, may_fall_back=True)
    hall.engine._catalogue.health["scripted"].resting_until = hall.clock.now() + timedelta(hours=1)
    hall.engine._catalogue.health[other.name].paused = Failure.UNAUTHORIZED
    await attend(hall)
    assert reads == []


async def test_those_who_cannot_take_it_are_not_asked_again_at_each_round(
    hall: Hall, reads: list[int]
) -> None:
    await stand_by(hall, prompt_limit=1)
    await hall.book(1, may_fall_back=True)
    hall.engine._catalogue.health["scripted"].resting_until = hall.clock.now() + timedelta(hours=1)
    for _ in range(3):
        await attend(hall)
    assert reads == [1]
    await stand_by(hall, "third")
    assert falls(await attend(hall))
    assert reads == [1, 1]


async def test_a_refusal_that_cannot_be_written_down_yet_leaves_nothing_in_doubt(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stand_by(hall)
    job = await hall.promoted(may_fall_back=True)
    hall.provider.submits.append(Unreachable("refused"))

    async def away(*_: object) -> ServerRules:
        raise StoreError("away")

    with monkeypatch.context() as broken:
        broken.setattr(hall.store.decisions, "rules", away)
        with pytest.raises(StoreError):
            await hall.drive(job)
    assert (await hall.drive(await hall.job())).state is JobState.DELIVERED
