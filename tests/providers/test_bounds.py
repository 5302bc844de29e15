"""Whatever a vendor puts into a field, the result has a bound: of size, of depth, of the words of an error.

Every vendor of `test_contract.VENDORS` is asked, and that there is one for each provider is tested there.
"""

import json
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, ValidationError

from providers import AnyProvider
from providers.base import (
    Failed,
    Operation,
    Pending,
    Provider,
    ProviderConfig,
    RemoteConfig,
    Resources,
    Succeeded,
)
from providers.ecohash import EcoHash, EcoHashConfig
from providers.errors import (
    Forbidden,
    NotFound,
    OutOfFunds,
    Overloaded,
    ProviderError,
    Uncertain,
    Unreachable,
)
from providers.fields import LONGEST_ID, LONGEST_LINK, LONGEST_TEXT, LONGEST_WORDS, MOST_ENTRIES, plain
from providers.http import Api
from providers.options import Choice
from providers.specs import Mode, ModelSpec, Per, Price, VideoRequest
from tests.providers.conftest import Received
from tests.providers.test_contract import VENDORS, build
from tests.vendors.base import VendorServer
from tests.vendors.ecohash import EcoHashServer
from tests.vendors.faults import Exchange, Fault, says, status

AskFor: TypeAlias = Callable[..., VideoRequest]
KEY = VendorServer.KEY
LARGEST = 10**12
ESCAPES = "\x1b[31mred\x1b]0;title\x07\x9b2J\r\n\u202eend"

SPOILED = (
    *("null", "true", "{}", "[]", '""', "0", "-1", "-1e308", "1e15", "1e300", "1e400", "NaN", "Infinity"),
    *("9" * 400, "9" * 4000, "9" * 5000),
    *(json.dumps(text) for text in ("x" * 100_000, ESCAPES, KEY, "\ud800", " ", "1e400", "9" * 5000)),
    *(
        json.dumps(f"{day}T00:00:00+14:00")
        for day in ("0001-01-01", "9999-12-31", "10000-01-01", "2026-02-30")
    ),
    *(
        json.dumps(f"https://{host}/v")
        for host in ("a..b", "a" * 64, "xn--", "xn--a.com", "[::1%25]", "10.0.0.1")
    ),
    json.dumps("https://10.0.0.1/" + "a" * 100_000),
    *("[" * depth + "]" * depth for depth in (100, 1000, 30_000)),
    '{"error":' * 1000 + "1" + "}" * 1000,
    f"[{'1,' * 30_000}1]",
    f"[{','.join(json.dumps('word') for _ in range(5000))}]",
)
ROUTES = ("submit", "poll", "models", "catalogue", "effects", "quote", "limits", "balance")


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every field of an answer, as what holds it and its name there."""
    fields = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in fields:
        yield value, name
        yield from places(inner)


def spoiled(position: int, raw: str) -> Fault:
    """The vendor's own answer, but for one field; it may be JSON that Python cannot say."""

    async def answer(exchange: Exchange) -> web.StreamResponse:
        good = await exchange.accept()
        if not isinstance(good, web.Response) or good.content_type != "application/json":
            return good
        body = json.loads(good.text or "null")
        if not (found := list(places(body))):
            return await says(raw.encode())(exchange)
        holder, name = found[position % len(found)]
        holder[name] = "SPOILED"
        return web.Response(
            body=json.dumps(body).replace('"SPOILED"', raw).encode(),
            content_type="application/json",
            status=good.status,
            headers={"x-request-id": f"id of {KEY}"},
        )

    return answer


def assert_bounded(value: object) -> None:
    match value:
        case BaseModel():
            assert_bounded(value.model_dump())
        case dict():
            assert_bounded([list(value), list(value.values())])
        case list() | tuple():
            assert len(value) <= MOST_ENTRIES
            for item in value:
                assert_bounded(item)
        case str():
            assert len(value) <= LONGEST_TEXT
            assert value.isprintable()
        case int() | float():
            assert math.isfinite(value)
            assert abs(value) <= LARGEST
        case _:
            pass


async def bounded(call: Callable[[], Awaitable[object]]) -> object:
    """What a call returns; None for a ProviderError."""
    failed: ProviderError | None = None
    try:
        returned = await call()
    except ProviderError as error:
        returned, failed = None, error
    assert_bounded(returned)
    if failed is not None:
        assert len(failed.detail) <= LONGEST_WORDS
        assert failed.detail.isprintable()
        assert KEY not in f"{failed} {failed.detail} {failed.args}"
    return returned


async def ask_everything(
    provider: AnyProvider, wish: VideoRequest, spec: ModelSpec, known: Operation
) -> None:
    specs = await bounded(provider.models)
    if isinstance(specs, list):
        assert all(isinstance(spec, ModelSpec) and len(spec.id) <= LONGEST_ID for spec in specs)
    operation = await bounded(lambda: provider.submit(wish))
    if isinstance(operation, dict):
        assert all(len(str(value)) <= LONGEST_LINK for value in operation.values())
    verdict = await bounded(lambda: provider.poll(known))
    if isinstance(verdict, Failed):
        assert KEY not in verdict.model_dump_json()
    if isinstance(verdict, Succeeded):
        assert Succeeded.model_validate_json(verdict.model_dump_json()) == verdict
        await bounded(lambda: provider.download(known, verdict, Received()))
    await bounded(lambda: provider.quote(wish, spec))
    await bounded(provider.verify)


@pytest.mark.parametrize("name", sorted(VENDORS))
async def test_no_field_of_any_answer_is_without_a_bound(
    name: str, resources: Resources, ask_for: AskFor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with VENDORS[name]() as vendor:
        provider = build(name, resources, vendor.url)
        spec = (await provider.models())[0]
        least = ask_for(spec.id) if spec.mode is Mode.IMAGE_TO_VIDEO else ask_for(spec.id, image=None)
        wish = spec.complete(least)
        known = await provider.submit(wish)

        async def example(position: int, raw: str, *, is_over: bool) -> None:
            vendor.finish_after(looks=1 if is_over else 99)
            for route in ROUTES:
                vendor.next(route, spoiled(position, raw))
            await ask_everything(build(name, resources, vendor.url), wish, spec, known)
            vendor._faults.clear()

        for position in range(len(SPOILED)):  # each of them once, and each field of short answers
            await example(position, SPOILED[position], is_over=position % 2 == 0)
        tried = st.tuples(st.integers(0, 60), st.sampled_from(SPOILED), st.booleans())
        for position, raw, is_over in _examples(tried):
            await example(position, raw, is_over=is_over)
    assert KEY not in caplog.text
    assert "\x1b" not in caplog.text


def _examples(strategy: st.SearchStrategy[tuple[int, str, bool]]) -> list[tuple[int, str, bool]]:
    """A few of each: all providers together take some seconds."""
    found: list[tuple[int, str, bool]] = []

    @settings(max_examples=8, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(example: tuple[int, str, bool]) -> None:
        found.append(example)

    collect()
    return found


@pytest.fixture
async def vendor() -> AsyncIterator[EcoHashServer]:
    async with EcoHashServer() as server:
        yield server


@pytest.fixture
def eco(vendor: EcoHashServer, resources: Resources) -> EcoHash:
    return EcoHash(EcoHashConfig(api_key=SecretStr(KEY), base_url=vendor.url), resources)


def entry(number: int) -> object:
    return {"model_id": f"m{number}", "category": "video", "input_modalities": ["text"]}


async def test_a_catalogue_has_a_size(eco: EcoHash, vendor: EcoHashServer) -> None:
    vendor.next("catalogue", says(b"[" + b"1," * 262_144 + b"1]"))
    with pytest.raises(Uncertain, match="more than 524288 bytes"):
        await eco.models()
    vendor.next("catalogue", says(json.dumps([entry(number) for number in range(3000)]).encode()))
    assert len(await eco.models()) == MOST_ENTRIES


async def test_a_status_has_a_size(eco: EcoHash, vendor: EcoHashServer) -> None:
    vendor.next("poll", says(b"{" + b" " * 65_536 + b"}"))
    with pytest.raises(Uncertain, match="more than 65536 bytes"):
        await eco.poll({"id": "job-1"})


@pytest.mark.parametrize("depth", [1000, 30_000])
async def test_lists_in_lists_are_no_answer(eco: EcoHash, vendor: EcoHashServer, depth: int) -> None:
    vendor.next("poll", says(b'{"error":' + b"[" * depth + b"]" * depth + b"}"))
    with pytest.raises(Uncertain, match="without a JSON object"):
        await eco.poll({"id": "job-1"})


async def test_an_id_that_is_none_leaves_a_purchase_in_doubt_and_is_not_quoted(
    eco: EcoHash, vendor: EcoHashServer, ask_for: AskFor
) -> None:
    vendor.next("submit", says(json.dumps({"id": "x" * 60_000}).encode()))
    with pytest.raises(Uncertain) as raised:
        await eco.submit(ask_for("m", image=None))
    assert len(raised.value.detail) < 400


@pytest.mark.parametrize("header", ["x-request-id", "CF-RAY"])
async def test_a_header_is_read_like_a_body(eco: EcoHash, vendor: EcoHashServer, header: str) -> None:
    vendor.next("poll", status(500, b"{}", **{header: f"{'.' * 70}{KEY}"}))
    with pytest.raises(Uncertain) as raised:
        await eco.poll({"id": "job-1"})
    assert header in raised.value.detail
    assert KEY[:8] not in raised.value.detail


async def test_a_type_is_read_like_a_body(resources: Resources, vendor: EcoHashServer) -> None:
    api = Api(resources, RemoteConfig(api_key=SecretStr(KEY)), vendor.url, {"Authorization": f"Bearer {KEY}"})
    vendor.next("poll", says(b"no", f"text/{KEY}"))
    with pytest.raises(ProviderError) as raised:
        await api.download("/v1/video/generations/1", Received())
    assert KEY not in raised.value.detail


PAGE = b"<!DOCTYPE html><title>Attention Required!</title>"


def page(code: int) -> Fault:
    async def answer(_: Exchange) -> web.StreamResponse:
        return web.Response(status=code, body=PAGE, content_type="text/html")

    return answer


@pytest.mark.parametrize("code", [401, 402, 403, 404, 410])
async def test_a_page_for_people_is_no_word_of_the_vendors(
    eco: EcoHash, vendor: EcoHashServer, ask_for: AskFor, code: int
) -> None:
    vendor.next("submit", page(code))
    vendor.next("poll", page(code))
    for call in (lambda: eco.submit(ask_for("m", image=None)), lambda: eco.poll({"id": "job-1"})):
        with pytest.raises(Unreachable) as raised:
            await call()
        assert raised.value.status == code


@pytest.mark.parametrize(
    ("code", "kind"),
    [(402, OutOfFunds), (403, Forbidden), (404, NotFound), (503, Overloaded), (500, Uncertain)],
)
async def test_an_answer_in_json_is_the_vendors(
    eco: EcoHash, vendor: EcoHashServer, code: int, kind: type[ProviderError]
) -> None:
    vendor.next("poll", status(code))
    with pytest.raises(kind):
        await eco.poll({"id": "job-1"})


class Wild(Provider[ProviderConfig]):
    """A new provider, whose author has thought of no bound."""

    name = label = "wild"
    Config = ProviderConfig
    told: Any = None

    async def models(self) -> list[ModelSpec]:
        return [ModelSpec(id="m", name="m", mode=Mode.TEXT_TO_VIDEO)] * 5000

    async def submit(self, request: VideoRequest) -> Operation:
        return {"id": "x" * 100_000}

    async def poll(self, operation: Operation) -> Pending | Succeeded | Failed:
        return self.told()

    async def download(self, *_: object) -> None:
        raise Uncertain(f"{ESCAPES} {KEY * 100}")

    async def quote(self, *_: object) -> int | None:
        return 10**30


class WildConfig(ProviderConfig):
    secret: SecretStr = SecretStr(KEY)


async def test_a_new_provider_has_the_bounds_for_nothing(resources: Resources) -> None:
    wild, wish = Wild(WildConfig(), resources), VideoRequest(model="m", prompt="p")
    specs = await wild.models()
    assert len(specs) == MOST_ENTRIES
    assert await wild.quote(wish, specs[0]) is None
    with pytest.raises(Uncertain, match="more to remember"):
        await wild.submit(wish)
    with pytest.raises(Uncertain) as raised:
        await wild.download({}, Succeeded(), Received())
    assert raised.value.detail.startswith("red end [key]")
    assert len(str(raised.value)) <= LONGEST_WORDS
    wild.told = lambda: Failed(detail=f"{ESCAPES} {KEY}")
    assert await wild.poll({}) == Failed(detail="red end [key]")
    wild.told = lambda: Pending(progress=7, remaining_seconds=1e15)
    assert await wild.poll({}) == Pending()
    wild.told = lambda: Succeeded(url="https://a" * 10_000)
    with pytest.raises(Uncertain):
        await wild.poll({})


def test_what_members_choose_from_has_bounds() -> None:
    for make in (
        lambda: Choice(values=("x" * 101,)),
        lambda: Choice(values=("a\nb",)),
        lambda: Choice(values=tuple(range(501))),
        lambda: ModelSpec(id="x" * 201, name="m", mode=Mode.TEXT_TO_VIDEO),
        lambda: ModelSpec(id="a\x1bb", name="m", mode=Mode.TEXT_TO_VIDEO),
        lambda: Price(usd_micros=LARGEST + 1, per=Per.SECOND),
    ):
        with pytest.raises(ValidationError):
            make()


def test_words_are_one_plain_line() -> None:
    assert plain(ESCAPES) == "red end"
    assert (
        plain("\x1b]8;;https://example.com\x1b\\click\x1b]8;;\x1b\\ \x1bP1$r\x1b\\ok\x00\x7f") == "click ok"
    )
    assert plain("naïve 日本") == "naïve 日本"
    assert len(plain("x" * 10**6)) == LONGEST_WORDS
