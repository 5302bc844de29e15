"""When a call that was not answered is in doubt: only where a byte may have left."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import JsonValue, SecretStr, ValidationError

from providers._http_trace import trace
from providers.base import RemoteConfig, Resources
from providers.errors import InvalidRequest, Uncertain, Unreachable
from providers.http import Api, open_session
from tests.providers.conftest import no_more_files
from tests.vendors.base import VendorServer, nobody_home
from tests.vendors.faults import cut, hang


class Vendor(VendorServer):
    def routes(self) -> list[web.RouteDef]:
        return [self.route("ask", "POST", "/ask", lambda _: web.json_response({}))]

    def authorized(self, _: web.Request) -> bool:
        return True


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor() as server:
        yield server


def connect(resources: Resources, url: str, *, seconds: float = 30) -> Api:
    return Api(resources, RemoteConfig(request_timeout=seconds, transfer_timeout=seconds), url, {})


@pytest.fixture
def api(resources: Resources, vendor: Vendor) -> Api:
    return connect(resources, vendor.url)


async def test_without_a_file_to_open_nothing_was_sent(api: Api, vendor: Vendor) -> None:
    with no_more_files(), pytest.raises(Unreachable):
        await api.submit("/ask", json={})
    assert vendor.requests == []


async def test_on_a_closed_session_nothing_was_sent(api: Api, resources: Resources) -> None:
    await resources.session.close()
    with pytest.raises(Unreachable, match="RuntimeError"):
        await api.submit("/ask", json={})


async def test_on_a_closed_connector_nothing_was_sent(api: Api, resources: Resources) -> None:
    assert resources.session.connector is not None
    await resources.session.connector.close()
    with pytest.raises(Unreachable):
        await api.submit("/ask", json={})


async def test_without_tls_nothing_was_sent(resources: Resources, vendor: Vendor) -> None:
    with pytest.raises(Unreachable):
        await connect(resources, vendor.url.replace("http:", "https:")).submit("/ask", json={})


class _Resolver(AbstractResolver):
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        raise self._error

    async def close(self) -> None: ...


@pytest.mark.parametrize("error", [OSError(), RuntimeError("can't start new thread"), TimeoutError()])
async def test_without_an_address_nothing_was_sent(
    resources: Resources, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("providers._http_links.PublicResolver", lambda _: _Resolver(error))
    async with open_session([]) as session:
        api = connect(replace(resources, session=session), "http://vendor.example")
        with pytest.raises(Unreachable):
            await api.submit("/ask", json={})


async def test_time_that_is_up_before_there_is_a_connection_sent_nothing(
    resources: Resources, vendor: Vendor
) -> None:
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector, trace_configs=[trace()]) as session:
        mine = replace(resources, session=session)
        vendor.next("ask", hang)
        slow = asyncio.create_task(connect(mine, vendor.url).submit("/ask", json={}))
        await vendor.arrived("ask")
        with pytest.raises(Unreachable):
            await connect(mine, vendor.url, seconds=0.05).submit("/ask", json={})
        slow.cancel()
    assert len(vendor.seen("ask")) == 1


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": object()}])
async def test_what_cannot_be_written_will_never_do(
    api: Api, vendor: Vendor, body: dict[str, JsonValue]
) -> None:
    with pytest.raises(InvalidRequest):
        await api.submit("/ask", json=body)
    assert vendor.requests == []


async def test_a_form_that_cannot_be_encoded_will_never_do(api: Api, vendor: Vendor) -> None:
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("prompt", "half a pair: \ud83d")
    with pytest.raises(InvalidRequest):
        await api.submit("/ask", data=form)
    assert vendor.requests == []


async def test_a_call_that_was_cut_is_in_doubt(api: Api, vendor: Vendor) -> None:
    vendor.next("ask", cut)
    with pytest.raises(Uncertain):
        await api.submit("/ask", json={})
    assert len(vendor.seen("ask")) == 1


async def test_a_session_that_cannot_tell_leaves_the_call_in_doubt(
    resources: Resources, vendor: Vendor
) -> None:
    async with aiohttp.ClientSession() as session, nobody_home() as nobody:
        mine = replace(resources, session=session)
        vendor.next("ask", cut)
        with pytest.raises(Uncertain):
            await connect(mine, vendor.url).submit("/ask", json={})
        with pytest.raises(Unreachable):
            await connect(mine, nobody).submit("/ask", json={})


@pytest.mark.parametrize("key", ["two\nlines", "a\rb", "nul\0"])
def test_a_key_that_no_header_can_carry_is_refused_at_the_start(key: str) -> None:
    with pytest.raises(ValidationError, match="one line"):
        RemoteConfig(api_key=SecretStr(key))
