import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest
from pydantic import SecretStr

from providers.base import Failed, Pending, Resources, Succeeded
from providers.ecohash import WAN_21, EcoHash, EcoHashConfig
from providers.errors import (
    Forbidden,
    InvalidRequest,
    NotFound,
    OutOfFunds,
    Overloaded,
    ProviderError,
    Unauthorized,
    Uncertain,
    Unusable,
)
from providers.limits import RateLimit
from providers.options import SourceImage
from providers.specs import OptionRefused, Per, Price, VideoRequest
from tests.providers.conftest import Received
from tests.vendors.ecohash import CAP, EcoHashServer, Storage, entry
from tests.vendors.faults import Fault, cut, empty, html, sample_video, says, status

WAN_22 = "wan22-t2v-a14b"
SIX_HOURS = 6 * 3600
UNPRICED = b'{"error": "model_not_priced", "message": "not sold yet"}'
BROKE = b'{"error": "insufficient_balance", "message": "top up"}'

AskFor = Callable[..., VideoRequest]


@pytest.fixture
async def vendor() -> AsyncIterator[EcoHashServer]:
    async with EcoHashServer() as server:
        yield server


class Time:
    """A clock that stands still."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def ecohash(vendor: EcoHashServer, resources: Resources, time: Time) -> EcoHash:
    trusting = replace(resources, trusted_hosts=frozenset({"127.0.0.1"}))
    config = EcoHashConfig(api_key=SecretStr(vendor.KEY), base_url=vendor.url)
    return EcoHash(config, trusting, time=time)


@pytest.fixture
def ask(ask_for: AskFor) -> AskFor:
    """A request for a video from words alone."""
    return lambda model=WAN_22, **options: ask_for(model, image=None, **options)


async def test_a_video_is_made_and_fetched_from_s3_without_the_key(
    ecohash: EcoHash, vendor: EcoHashServer, ask: AskFor, sink: Received
) -> None:
    async with Storage() as storage:
        vendor.storage = storage.url
        operation = await ecohash.submit(ask())
        assert operation == {"id": "job-1", "model": "wan22-t2v-a14b"}
        assert await ecohash.poll(operation) == Pending()
        video = await ecohash.poll(operation)
        assert video == Succeeded(url=f"{storage.url}/job-1.mp4?X-Amz-Signature=5f3c")
        await ecohash.download(operation, video, sink)
        [asked] = storage.requests
    assert sink.data == sample_video()
    assert vendor.KEY not in str(asked)
    assert [(seen.method, seen.path) for seen in vendor.requests] == [
        ("POST", "/v1/video/generations"),
        ("GET", "/v1/video/generations/job-1"),
        ("GET", "/v1/video/generations/job-1"),
    ]


async def test_a_finished_video_costs_what_its_seconds_do(
    ecohash: EcoHash, vendor: EcoHashServer, ask: AskFor
) -> None:
    await ecohash.models()
    vendor.finish_after(looks=1)
    video = await ecohash.poll(await ecohash.submit(ask()))
    assert isinstance(video, Succeeded)
    assert video.cost_micros == 86_520, "2.06 seconds at $0.042"


@pytest.mark.parametrize("seconds", [None, "2", -1, float("inf"), 1e9])
async def test_a_length_that_makes_no_sense_costs_nothing_known(
    ecohash: EcoHash, vendor: EcoHashServer, ask: AskFor, seconds: object
) -> None:
    await ecohash.models()
    operation = await ecohash.submit(ask())
    job = {"status": "completed", "video_url": "https://s3.example/v.mp4", "duration_seconds": seconds}
    vendor.next("poll", says(json.dumps(job).encode()))
    assert await ecohash.poll(operation) == Succeeded(url="https://s3.example/v.mp4")


async def test_everything_chosen_is_sent(ecohash: EcoHash, vendor: EcoHashServer, ask: AskFor) -> None:
    await ecohash.submit(ask(duration=3, steps=80, guidance=7.5, seed=0))
    assert vendor.requests[0].json == {
        "model": WAN_22,
        "prompt": "a slow pan",
        "num_frames": 49,
        "fps": 16,
        "num_inference_steps": 80,
        "guidance_scale": 7.5,
        "seed": 0,
    }


async def test_who_chooses_nothing_gets_what_is_documented(
    ecohash: EcoHash, vendor: EcoHashServer, ask: AskFor
) -> None:
    await ecohash.submit(ask())
    assert set(vendor.requests[0].json) == {"model", "prompt", "fps"}
    await ecohash.submit(WAN_21.complete(ask(WAN_21.id)))
    assert vendor.requests[1].json == {
        "model": WAN_21.id,
        "prompt": "a slow pan",
        "num_frames": 33,
        "fps": 16,
        "num_inference_steps": 50,
        "guidance_scale": 5.0,
    }


@pytest.mark.parametrize(("seconds", "frames"), [(2, 33), (3, 49), (4, 65), (5, 81)])
async def test_seconds_become_a_number_of_frames_that_wan_makes(
    ecohash: EcoHash, vendor: EcoHashServer, ask: AskFor, seconds: int, frames: int
) -> None:
    WAN_21.check(ask(duration=seconds))
    await ecohash.submit(ask(duration=seconds))
    sent = vendor.requests[0].json
    assert sent["num_frames"] == frames
    assert seconds <= frames / sent["fps"] <= seconds + 1 / sent["fps"]


async def test_it_works_from_words_alone_within_its_limits(ask: AskFor, picture: SourceImage) -> None:
    WAN_21.check(ask(duration=5, steps=20, guidance=1, seed=2**31 - 1))
    for refused in ({"duration": 6}, {"steps": 19}, {"steps": 81}, {"seed": -1}, {"resolution": "480p"}):
        with pytest.raises(OptionRefused):
            WAN_21.check(ask(**refused))
    with pytest.raises(OptionRefused, match="without a picture"):
        WAN_21.check(ask().model_copy(update={"image": picture}))


@pytest.mark.parametrize("code", [HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS])
async def test_the_sixth_job_is_told_to_come_back(
    ecohash: EcoHash, vendor: EcoHashServer, ask: AskFor, code: HTTPStatus
) -> None:
    vendor.full = code
    assert ecohash.config.max_jobs == CAP
    for _ in range(CAP):
        await ecohash.submit(ask())
    with pytest.raises(Overloaded) as raised:
        await ecohash.submit(ask())
    assert raised.value.status == code
    vendor.finish("job-1")
    await ecohash.poll({"id": "job-1"})
    await ecohash.submit(ask())


async def test_an_empty_answer_is_a_doubtful_purchase_but_only_a_missed_look(
    ecohash: EcoHash, vendor: EcoHashServer, ask: AskFor
) -> None:
    vendor.next("submit", empty())
    with pytest.raises(Uncertain):
        await ecohash.submit(ask())
    operation = await ecohash.submit(ask())
    vendor.next("poll", empty())
    with pytest.raises(Uncertain):
        await ecohash.poll(operation)
    assert await ecohash.poll(operation) == Pending()


@pytest.mark.parametrize("answer", [b"{}", b'{"id": ""}', b'{"id": null}', b'{"id": [1]}'])
async def test_a_submit_without_an_id_is_a_purchase_in_doubt(
    ecohash: EcoHash, vendor: EcoHashServer, ask: AskFor, answer: bytes
) -> None:
    vendor.next("submit", says(answer))
    with pytest.raises(Uncertain, match="no id"):
        await ecohash.submit(ask())


async def test_no_money_is_the_operators_business(
    ecohash: EcoHash, vendor: EcoHashServer, ask: AskFor
) -> None:
    vendor.next("submit", status(402, BROKE))
    with pytest.raises(OutOfFunds, match="insufficient_balance"):
        await ecohash.submit(ask())
    assert [spec.id for spec in await ecohash.models()] == [WAN_22]


async def test_a_model_that_is_not_sold_is_offered_no_more_for_a_while(
    ecohash: EcoHash, vendor: EcoHashServer, ask: AskFor, time: Time
) -> None:
    vendor.catalogue = [entry(WAN_21.id, "text", price=None), entry(WAN_22, "text")]
    vendor.next("submit", status(402, UNPRICED))
    with pytest.raises(Forbidden, match="model_not_priced"):
        await ecohash.submit(ask(WAN_21.id))
    assert [spec.id for spec in await ecohash.models()] == [WAN_22]
    time.now += SIX_HOURS
    assert [spec.id for spec in await ecohash.models()] == [WAN_21.id, WAN_22]


async def test_a_model_the_vendor_does_not_know_is_not_found(ecohash: EcoHash, ask: AskFor) -> None:
    with pytest.raises(NotFound):
        await ecohash.submit(ask("wan-99"))


async def test_what_the_vendor_does_not_take_is_an_invalid_request(ecohash: EcoHash, ask: AskFor) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await ecohash.submit(ask(steps=19))
    assert raised.value.status == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ({"status": "queued"}, Pending()),
        ({"status": "processing", "video_url": None, "new_field": 1}, Pending()),
        ({"status": "COMPLETED", "video_url": "https://s3/v.mp4"}, Succeeded(url="https://s3/v.mp4")),
        ({"status": "completed", "video_url": ""}, Failed(detail="completed without a video")),
        ({"status": "completed", "video_url": 1}, Failed(detail="completed without a video")),
        ({"status": "completed"}, Failed(detail="completed without a video")),
        ({"status": "failed", "error": "out of memory"}, Failed(detail="out of memory")),
        ({"status": "failed", "error": {"code": 7, "message": "no  GPU"}}, Failed(detail="no GPU")),
        ({"status": "failed"}, Failed(detail="no reason given")),
        ({"status": None}, Pending()),
        ({}, Pending()),
    ],
)
async def test_verdicts(
    ecohash: EcoHash, vendor: EcoHashServer, answer: dict[str, Any], verdict: object
) -> None:
    vendor.next("poll", says(json.dumps(answer).encode()))
    assert await ecohash.poll({"id": "job-1"}) == verdict


async def test_a_failed_jobs_error_may_be_an_object(
    ecohash: EcoHash, vendor: EcoHashServer, ask: AskFor
) -> None:
    vendor.finish_after(looks=1)
    vendor.reason, vendor.error = "out of memory", {"code": "oom", "message": "out of memory"}
    assert await ecohash.poll(await ecohash.submit(ask())) == Failed(detail="out of memory")


async def test_a_job_id_stays_inside_its_path(ecohash: EcoHash, vendor: EcoHashServer) -> None:
    with pytest.raises(NotFound):
        await ecohash.poll({"id": "../../v1/models?x=#"})
    assert vendor.seen("models") == []


async def test_a_link_to_the_vendors_own_host_is_followed_without_the_key(
    ecohash: EcoHash, vendor: EcoHashServer, ask: AskFor, sink: Received
) -> None:
    vendor.finish_after(looks=1)
    operation = await ecohash.submit(ask())
    video = await ecohash.poll(operation)
    assert isinstance(video, Succeeded)
    await ecohash.download(operation, video, sink)
    assert sink.data == sample_video()
    assert vendor.KEY not in str(vendor.seen("result"))


async def test_a_video_without_a_link_cannot_be_fetched(ecohash: EcoHash, sink: Received) -> None:
    with pytest.raises(Unusable):
        await ecohash.download({"id": "job-1"}, Succeeded(), sink)


async def test_the_catalogue_lists_what_works_from_words_alone_and_its_price(
    ecohash: EcoHash, vendor: EcoHashServer, ask: AskFor
) -> None:
    [spec] = await ecohash.models()
    assert (spec.id, spec.name) == (WAN_22, "WAN22-T2V-A14B")
    assert spec.price == Price(usd_micros=42_000, per=Per.SECOND, at_least=True)
    assert await ecohash.quote(ask(duration=5), spec) == 210_000
    assert vendor.seen("catalogue")[0].query == {"status": "active"}


@pytest.mark.parametrize(
    ("said", "micros"),
    [(0.1, 100_000), ("0.07", 70_000), (1, 1_000_000), (0.0000001, 1), (0, None), (-1, None)]
    + [(said, None) for said in (None, "", "free", "NaN", "Infinity", [1], True)],
)
async def test_a_price_is_a_whole_number_of_millionths(
    ecohash: EcoHash, vendor: EcoHashServer, ask: AskFor, said: object, micros: int | None
) -> None:
    vendor.catalogue = [entry(WAN_22, "text", price=said)]
    [spec] = await ecohash.models()
    assert (spec.price and spec.price.usd_micros) == micros
    assert await ecohash.quote(ask(duration=2), spec) == (micros and 2 * micros)


async def test_the_catalogue_may_come_wrapped_and_with_entries_that_cannot_be_read(
    ecohash: EcoHash, vendor: EcoHashServer
) -> None:
    odd = [{}, None, "wan", entry("", "text"), entry("a", "text", input_modalities=None)]
    vendor.catalogue = {"total": 6, "models": [*odd, entry(WAN_22, "text", display_name=None)]}
    assert [(spec.id, spec.name) for spec in await ecohash.models()] == [(WAN_22, WAN_22)]


@pytest.mark.parametrize("nothing", [[], {}, {"models": []}, "none", [entry("wan22-s2v-14b", "audio")]])
async def test_a_catalogue_without_a_model_leaves_the_documented_one(
    ecohash: EcoHash, vendor: EcoHashServer, nothing: object
) -> None:
    vendor.catalogue = nothing
    assert await ecohash.models() == [WAN_21]


@pytest.mark.parametrize("fault", [status(500), status(404), cut, html(), empty()])
async def test_without_a_catalogue_what_was_known_stays(
    ecohash: EcoHash, vendor: EcoHashServer, fault: Fault
) -> None:
    vendor.next("catalogue", fault, fault)
    with pytest.raises(ProviderError):
        await ecohash.models()
    assert list(ecohash.terms.builtin) == [WAN_21]
    vendor._faults.clear()
    listed = await ecohash.models()
    assert [spec.id for spec in listed] == [WAN_22]
    vendor.next("catalogue", fault, fault)
    assert await ecohash.models() == listed


async def test_a_key_is_verified_against_the_list_that_needs_one(
    ecohash: EcoHash, vendor: EcoHashServer, resources: Resources
) -> None:
    await ecohash.verify()
    stranger = EcoHash(EcoHashConfig(api_key=SecretStr("wrong"), base_url=vendor.url), resources)
    with pytest.raises(Unauthorized):
        await stranger.verify()
    assert len(vendor.seen("models")) == 2
    assert [spec.id for spec in await stranger.models()] == [WAN_22]


async def test_an_outage_is_no_bad_key(ecohash: EcoHash, vendor: EcoHashServer) -> None:
    vendor.next("models", status(500))
    with pytest.raises(ProviderError) as raised:
        await ecohash.verify()
    assert not isinstance(raised.value, Unauthorized)


def test_looks_leave_something_of_the_200_calls_a_minute_that_a_key_has() -> None:
    assert EcoHash.terms.polls_per_minute is not None
    assert EcoHash.terms.polls_per_minute < 200


async def test_no_call_goes_beyond_what_a_key_has(ecohash: EcoHash, vendor: EcoHashServer) -> None:
    assert ecohash._api._rate_limit is not None
    assert ecohash._api._rate_limit._calls < 200
    ecohash._api._rate_limit = RateLimit(1, patience=0)
    await ecohash.verify()
    with pytest.raises(Overloaded):
        await ecohash.verify()
    assert len(vendor.requests) == 1


async def test_a_purchase_waits_for_its_turn_before_it_is_made(
    ecohash: EcoHash, vendor: EcoHashServer, ask: AskFor
) -> None:
    ecohash._calls = RateLimit(1, patience=0)
    async with ecohash.rate_limit():
        await ecohash.submit(ask())
    with pytest.raises(Overloaded):
        async with ecohash.rate_limit():
            pytest.fail("it is not our turn")
    assert len(vendor.seen("submit")) == 1


def test_without_a_key_it_is_not_enabled() -> None:
    config = EcoHashConfig()
    assert not config.enabled
    assert (config.base_url, config.max_jobs) == ("https://api.ecohash.com", CAP)
