"""The same questions for every vendor. A new provider is asked them by its entry in VENDORS.

A provider that speaks several APIs has an entry for each: its name, a word of its own, and its SETTINGS.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import providers
from providers import AnyProvider
from providers.base import Failed, Operation, Pending, Provider, RemoteConfig, Resources, Succeeded
from providers.errors import (
    Forbidden,
    InvalidRequest,
    NotFound,
    OutOfFunds,
    Overloaded,
    ProviderError,
    Unauthorized,
    Uncertain,
    Unreachable,
    Unusable,
)
from providers.options import Text
from providers.specs import LONGEST_PROMPT, Mode, VideoRequest
from tests.providers.conftest import FileHost, Received
from tests.vendors.base import VendorServer, nobody_home
from tests.vendors.ecohash import EcoHashServer
from tests.vendors.eigenai import EigenAIServer
from tests.vendors.eternalai import EternalAIServer
from tests.vendors.faults import (
    Fault,
    after_accepting,
    cut,
    cut_midway,
    empty,
    half_a_file,
    hang,
    html,
    redirect,
    sample_video,
    says,
    status,
)
from tests.vendors.openai_videos import OpenAIVideosServer, SGLangServer
from tests.vendors.venice import VeniceServer

VENDORS: Mapping[str, type[VendorServer]] = {
    "ecohash": EcoHashServer,
    "eigenai": EigenAIServer,
    "eternalai": EternalAIServer,
    "eternalai image-to-video": EternalAIServer,
    "openai_videos": OpenAIVideosServer,
    "openai_videos sglang": SGLangServer,
    "venice": VeniceServer,
}
SETTINGS: Mapping[str, Mapping[str, object]] = {
    "eternalai image-to-video": {"flavour": "image-to-video"},
    "openai_videos sglang": {"server": "sglang"},
}
RESULT: Mapping[str, str] = {"venice": "poll"}
"""The route that brings the file, where it is not one of its own called result."""
KEYS: Mapping[str, set[int]] = {"eternalai": {403}, "eternalai image-to-video": {403}}
"""Where a wrong key is answered with more than 401."""
VERDICTS: Mapping[str, set[int]] = {"venice": {422}}
"""Errors with which a vendor tells that a video failed."""

AskFor = Callable[..., VideoRequest]
LeakCheck = Callable[[BaseException], bool]

REFUSALS: Mapping[int, type[ProviderError]] = {
    400: InvalidRequest,
    401: Unauthorized,
    402: OutOfFunds,
    403: Forbidden,
    404: NotFound,
    413: InvalidRequest,
    422: InvalidRequest,
    429: Overloaded,
    503: Overloaded,
}
NO_ANSWER: Mapping[str, Fault] = {
    "500": status(500),
    "502": status(502),
    "cut": cut,
    "html": html(),
    "empty": empty(),
}
IN_DOUBT: Mapping[str, Fault] = {
    **NO_ANSWER,
    "cut after accepting": after_accepting(cut),
    "500 after accepting": after_accepting(status(500)),
    "no fields": says(b"{}"),
}


def refusal(name: str, code: int) -> type[ProviderError]:
    return Unauthorized if code in KEYS.get(name, ()) else REFUSALS[code]


def test_every_vendor_is_asked() -> None:
    remote = {name for name, cls in providers.discover().items() if issubclass(cls.Config, RemoteConfig)}
    assert remote == {name.partition(" ")[0] for name in VENDORS}


@pytest.fixture(params=sorted(VENDORS))
async def vendor(request: pytest.FixtureRequest) -> AsyncIterator[VendorServer]:
    async with VENDORS[request.param]() as server:
        yield server


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return request.node.callspec.params["vendor"]


@pytest.fixture
def result(name: str) -> str:
    return RESULT.get(name, "result")


def build(name: str, resources: Resources, url: str, **settings: object) -> AnyProvider:
    cls = providers.discover()[name.partition(" ")[0]]
    settings = {"api_key": VendorServer.KEY, "base_url": url, **SETTINGS.get(name, {}), **settings}
    return cls(cls.Config.model_validate(settings), resources)


@pytest.fixture
def provider(name: str, vendor: VendorServer, resources: Resources) -> AnyProvider:
    return build(name, resources, vendor.url)


@pytest.fixture
def hurried(name: str, vendor: VendorServer, resources: Resources) -> AnyProvider:
    return build(name, resources, vendor.url, request_timeout=0.2, transfer_timeout=0.2)


@pytest.fixture
async def wish(provider: AnyProvider, ask_for: AskFor) -> VideoRequest:
    """The least that the provider's first model takes."""
    spec = (await provider.models())[0]
    least = ask_for(spec.id) if spec.mode is Mode.IMAGE_TO_VIDEO else ask_for(spec.id, image=None)
    return spec.complete(least)


@pytest.fixture
async def operation(provider: AnyProvider, wish: VideoRequest) -> Operation:
    return await provider.submit(wish)


@pytest.fixture
def leak_check(caplog: pytest.LogCaptureFixture) -> LeakCheck:
    caplog.set_level(logging.DEBUG)

    def leaks(error: BaseException) -> bool:
        told = [str(error), repr(error), str(vars(error)), str(error.__cause__), caplog.text]
        return any(VendorServer.KEY in text for text in told)

    return leaks


async def test_every_model_takes_a_request_without_options(provider: AnyProvider, ask_for: AskFor) -> None:
    specs = await provider.models()
    assert len({spec.id for spec in specs}) == len(specs) > 0
    for spec in specs:
        least = ask_for(spec.id) if spec.mode is Mode.IMAGE_TO_VIDEO else ask_for(spec.id, image=None)
        spec.check(spec.complete(least))


async def test_a_key_that_works_is_verified_without_a_purchase(
    provider: AnyProvider, vendor: VendorServer
) -> None:
    await provider.verify()
    assert vendor.seen("submit") == []


async def test_a_wrong_key_is_refused(
    name: str, vendor: VendorServer, resources: Resources, wish: VideoRequest
) -> None:
    with pytest.raises(Unauthorized):
        await build(name, resources, vendor.url, api_key="wrong").submit(wish)
    assert vendor.jobs == {}


async def test_from_submit_to_the_file(
    provider: AnyProvider, vendor: VendorServer, operation: Operation, sink: Received
) -> None:
    vendor.finish_after(looks=3)
    verdicts = [await provider.poll(operation) for _ in range(3)]
    assert [type(verdict) for verdict in verdicts] == [Pending, Pending, Succeeded]
    assert isinstance(verdicts[-1], Succeeded)
    await provider.download(operation, verdicts[-1], sink)
    assert sink.data == sample_video()


async def test_another_instance_finds_the_work_again(
    name: str, vendor: VendorServer, resources: Resources, operation: Operation
) -> None:
    vendor.finish_after(looks=1)
    assert isinstance(await build(name, resources, vendor.url).poll(operation), Succeeded)


async def test_a_refused_submit_says_that_nothing_was_accepted(
    name: str, provider: AnyProvider, vendor: VendorServer, wish: VideoRequest, leak_check: LeakCheck
) -> None:
    found: dict[int, type[ProviderError]] = {}
    for code in REFUSALS:
        vendor.only("submit", status(code, Retry_After="7"))
        with pytest.raises(ProviderError) as raised:
            await provider.submit(wish)
        found[code] = type(raised.value)
        assert getattr(raised.value, "retry_after", 7) == 7
        assert not leak_check(raised.value)
    assert found == {code: refusal(name, code) for code in REFUSALS}
    assert len(vendor.seen("submit")) == len(REFUSALS)


async def test_a_submit_without_an_answer_is_in_doubt_and_not_repeated(
    provider: AnyProvider, vendor: VendorServer, wish: VideoRequest, leak_check: LeakCheck
) -> None:
    for asked, fault in enumerate(IN_DOUBT.values(), start=1):
        vendor.only("submit", fault)
        with pytest.raises(Uncertain) as raised:
            await provider.submit(wish)
        assert len(vendor.seen("submit")) == asked
        assert not leak_check(raised.value)


async def test_a_call_that_hangs_is_in_doubt_and_not_repeated(
    hurried: AnyProvider, vendor: VendorServer, wish: VideoRequest, operation: Operation
) -> None:
    vendor.next("submit", hang, after_accepting(hang))
    vendor.next("poll", hang)
    calls = hurried.submit(wish), hurried.submit(wish), hurried.poll(operation)
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in found] == [Uncertain] * 3
    assert len(vendor.seen("submit")) == 3


async def test_a_submit_that_reaches_nobody_was_not_sent(
    name: str, resources: Resources, wish: VideoRequest
) -> None:
    async with nobody_home() as url:
        with pytest.raises(Unreachable):
            await build(name, resources, url).submit(wish)


async def test_a_submit_on_a_connection_that_has_died_is_sent_once(
    provider: AnyProvider, vendor: VendorServer, wish: VideoRequest
) -> None:
    await provider.submit(wish)
    vendor.next("submit", cut)
    with pytest.raises(Uncertain):
        await provider.submit(wish)
    assert len(vendor.seen("submit")) == 2


async def test_a_refused_look_is_no_verdict(
    name: str, provider: AnyProvider, vendor: VendorServer, operation: Operation, leak_check: LeakCheck
) -> None:
    found: dict[int, type[ProviderError]] = {}
    verdicts = VERDICTS.get(name, set())
    for code in REFUSALS.keys() - verdicts:
        vendor.only("poll", status(code))
        with pytest.raises(ProviderError) as raised:
            await provider.poll(operation)
        found[code] = type(raised.value)
        assert not leak_check(raised.value)
    assert found == {code: refusal(name, code) for code in REFUSALS.keys() - verdicts}
    for code in verdicts:
        vendor.only("poll", status(code))
        assert isinstance(await provider.poll(operation), Failed)


async def test_a_look_without_an_answer_is_no_verdict(
    provider: AnyProvider, vendor: VendorServer, operation: Operation
) -> None:
    for fault in NO_ANSWER.values():
        vendor.only("poll", fault, fault)
        with pytest.raises(Uncertain):
            await provider.poll(operation)


async def test_an_unknown_status_is_pending(
    provider: AnyProvider, vendor: VendorServer, operation: Operation
) -> None:
    vendor.word = "reticulating-splines"
    assert isinstance(await provider.poll(operation), Pending)


async def test_a_failure_is_returned_with_the_vendors_words_but_not_our_key(
    provider: AnyProvider, vendor: VendorServer, operation: Operation
) -> None:
    vendor.finish_after(looks=1)
    vendor.reason = f"out of memory for {vendor.KEY}"
    verdict = await provider.poll(operation)
    assert isinstance(verdict, Failed)
    assert "out of memory" in verdict.detail
    assert vendor.KEY not in verdict.detail


ODD: Mapping[str, object] = {
    "lists for words": {name: [] for name in ("id", "task_id", "queue_id", "request_id", "status", "data")},
    "numbers for objects": dict.fromkeys(("data", "result", "error", "model_spec", "progress"), 7),
    "objects for words": {name: {"a": {}} for name in ("status", "id", "error", "url", "video_url", "quote")},
    "no words at all": {"status": None, "data": None, "result": None, "error": None},
    "huge": {
        "progress": 1e308,
        "average_execution_time": -1e308,
        "execution_duration": 1e308,
        "quote": 1e308,
    },
    "odd models": {"data": [None, 7, "x", [], {"id": []}, {"id": "a", "model_spec": 5}]},
}
"""Answers that are JSON and nothing that was ever documented."""
ROUTES = ("submit", "poll", "models", "catalogue", "effects", "quote", "limits", "balance")


async def test_an_odd_answer_is_at_worst_a_doubt(
    name: str, vendor: VendorServer, resources: Resources, wish: VideoRequest, operation: Operation
) -> None:
    for odd in ODD.values():
        provider, answer = build(name, resources, vendor.url), says(json.dumps(odd).encode())
        spec = (await provider.models())[0]
        for route in ROUTES:
            vendor.only(route, answer, answer)
        for call in (
            provider.submit(wish),
            provider.poll(operation),
            provider.models(),
            provider.quote(wish, spec),
            provider.verify(),
        ):
            with suppress(ProviderError):
                await call
        for route in ROUTES:
            vendor.only(route)


DOWNLOADS: Mapping[str, tuple[Fault, type[ProviderError]]] = {
    "html": (html(), Unusable),
    "json": (says(b'{"message": "not yet"}'), Unusable),
    "too short": (cut_midway, Uncertain),
    "cut": (cut, Uncertain),
    "500": (status(500), Uncertain),
    "503": (status(503), Overloaded),
    "404": (status(404), NotFound),
    "401": (status(401), Unauthorized),
    "http link": (redirect("http://example.com/v.mp4"), Unusable),
    "private link": (redirect("https://10.0.0.1/v.mp4"), Unusable),
}


STATED_LIMITS: Mapping[str, set[int]] = {"venice": {2500}}
"""How long prompts may be by the vendors' documents; where one says nothing, it is what people can type."""


async def test_words_are_as_long_as_the_vendor_says_or_people_can_type(
    name: str, provider: AnyProvider
) -> None:
    specs = await provider.models()
    limits = {limit for spec in specs for limit in (spec.prompt_limit, spec.negative_prompt)}
    found = {limit.limit if isinstance(limit, Text) else limit for limit in limits} - {None}
    assert found == STATED_LIMITS.get(name, {LONGEST_PROMPT})


async def test_the_terms_are_kept_by_the_providers_own_calls(
    provider: AnyProvider, vendor: VendorServer
) -> None:
    terms, own = provider.terms, type(provider)
    assert not terms.quotes or own.quote is not Provider.quote
    assert not terms.stops_on_cancel or own.cancel is not Provider.cancel
    await provider.models()
    before = len(vendor.requests)
    await provider.models()
    assert not terms.publishes_models or len(vendor.requests) > before


def test_every_provider_says_for_how_long_it_keeps_a_video() -> None:
    assert all(cls.terms.keeps_for >= 3600 for cls in providers.discover().values())


EXPIRY = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=5)
SIGNED = f"https://files.example.com/v.mp4?Expires={int(EXPIRY.timestamp())}"
STATED: Mapping[str, Mapping[str, object]] = {
    "ecohash": {"status": "completed", "video_url": SIGNED},
    "eternalai": {"status": "success", "result_url": SIGNED},
    "eternalai image-to-video": {"status": True, "result": {"status": "completed", "video_url": SIGNED}},
    "openai_videos": {"status": "completed", "expires_at": int(EXPIRY.timestamp())},
    "openai_videos sglang": {"status": "completed", "url": SIGNED},
    "venice": {"status": "COMPLETED"},
}
"""Answers that say until when the file is there; Venice's link is in the operation."""


@pytest.mark.parametrize("vendor", sorted(STATED), indirect=True)
async def test_when_a_file_is_deleted_is_known_where_the_vendor_says_it(
    name: str, provider: AnyProvider, vendor: VendorServer, operation: Operation
) -> None:
    vendor.next("poll", says(json.dumps(STATED[name]).encode()))
    link = {"download_url": SIGNED} if name == "venice" else {}
    verdict = await provider.poll({**operation, **link})
    assert isinstance(verdict, Succeeded)
    assert verdict.expires_at == EXPIRY
    assert Succeeded.model_validate_json(verdict.model_dump_json()) == verdict


@pytest.fixture
async def finished(provider: AnyProvider, vendor: VendorServer, operation: Operation) -> Succeeded:
    vendor.finish_after(looks=1)
    verdict = await provider.poll(operation)
    assert isinstance(verdict, Succeeded)
    return verdict


async def test_a_download_that_brings_no_file(
    provider: AnyProvider,
    vendor: VendorServer,
    operation: Operation,
    finished: Succeeded,
    leak_check: LeakCheck,
    result: str,
) -> None:
    found: dict[str, type[ProviderError]] = {}
    for case, (fault, _) in DOWNLOADS.items():
        vendor.only(result, fault, fault)
        with pytest.raises(ProviderError) as raised:
            await provider.download(operation, finished, Received())
        found[case] = type(raised.value)
        assert not leak_check(raised.value)
    assert found == {case: kind for case, (_, kind) in DOWNLOADS.items()}


async def test_a_download_can_be_repeated(
    provider: AnyProvider,
    vendor: VendorServer,
    operation: Operation,
    finished: Succeeded,
    sink: Received,
    result: str,
) -> None:
    vendor.next(result, status(503))
    with pytest.raises(Overloaded):
        await provider.download(operation, finished, sink)
    await provider.download(operation, finished, sink)
    assert sink.data == sample_video()


async def test_a_download_is_handed_over_unverified(
    provider: AnyProvider,
    vendor: VendorServer,
    operation: Operation,
    finished: Succeeded,
    sink: Received,
    result: str,
) -> None:
    vendor.next(result, half_a_file())
    await provider.download(operation, finished, sink)
    assert sample_video().startswith(sink.data)


async def test_no_key_leaves_for_a_foreign_host(
    name: str,
    vendor: VendorServer,
    resources: Resources,
    operation: Operation,
    finished: Succeeded,
    sink: Received,
    result: str,
) -> None:
    trusting = replace(resources, trusted_hosts=frozenset({"127.0.0.1"}))
    async with FileHost() as foreign:
        vendor.next(result, redirect(f"{foreign.url}/file"))
        await build(name, trusting, vendor.url).download(operation, finished, sink)
        [asked] = foreign.requests
    assert sink.data == sample_video()
    assert VendorServer.KEY not in str(asked)


@pytest.mark.parametrize("call_name", ["submit", "poll", "download"])
async def test_a_call_in_flight_is_cancelled_cleanly(
    provider: AnyProvider,
    vendor: VendorServer,
    wish: VideoRequest,
    operation: Operation,
    finished: Succeeded,
    sink: Received,
    result: str,
    call_name: str,
) -> None:
    calls = {
        "submit": lambda: provider.submit(wish),
        "poll": lambda: provider.poll(operation),
        "download": lambda: provider.download(operation, finished, sink),
    }
    route = result if call_name == "download" else call_name
    before = len(vendor.seen(route))
    vendor.next(route, hang)
    call = asyncio.ensure_future(calls[call_name]())
    await vendor.arrived(route, before + 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await calls[call_name]()
    assert len(vendor.seen(route)) == before + 2
