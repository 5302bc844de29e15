"""Every way in which one request can go, asked of a vendor with two routes."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from errno import ENOSPC

import aiohttp
import pytest
from aiohttp import web
from pydantic import JsonValue, SecretStr
from yarl import URL

from providers import _http_body
from providers._http_answers import retry_after
from providers.base import RemoteConfig, Resources
from providers.errors import (
    ContentRefused,
    Forbidden,
    InvalidRequest,
    NotFound,
    OutOfFunds,
    Overloaded,
    ProviderError,
    Rejected,
    Unauthorized,
    Uncertain,
    Unreachable,
    Unusable,
)
from providers.http import Api, PublicResolver, error_text, open_session
from tests.providers.conftest import FileHost, Received
from tests.vendors.base import nobody_home
from tests.vendors.faults import (
    Fault,
    cut,
    cut_midway,
    empty,
    hang,
    html,
    redirect,
    sample_video,
    says,
    status,
)


class Vendor(FileHost):
    def routes(self) -> list[web.RouteDef]:
        call = self.route("call", "POST", "/call", lambda _: web.json_response({"fine": True}))
        return [*super().routes(), call]


KEY = Vendor.KEY


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor() as server:
        yield server


@pytest.fixture
async def foreign() -> AsyncIterator[FileHost]:
    """A host that the vendor points at, known to us by another name."""
    async with FileHost() as server:
        server.url = server.url.replace("127.0.0.1", "localhost")
        yield server


def connect(resources: Resources, url: str, *, timeout_seconds: float = 30) -> Api:
    config = RemoteConfig(
        api_key=SecretStr(KEY), request_timeout=timeout_seconds, transfer_timeout=timeout_seconds
    )
    return Api(resources, config, url, {"Authorization": f"Bearer {KEY}"})


@pytest.fixture
def api(resources: Resources, vendor: Vendor) -> Api:
    return connect(resources, vendor.url)


@pytest.fixture
def trusting(resources: Resources, vendor: Vendor) -> Api:
    return connect(replace(resources, trusted_hosts=frozenset({"localhost"})), vendor.url)


async def test_an_answer_is_a_json_object(api: Api, vendor: Vendor) -> None:
    assert await api.ask("POST", "/call", params={"id": "a b"}, json={"x": 1}) == {"fine": True}
    assert await api.submit("/call", json={"x": 2}) == {"fine": True}
    asked, submitted = vendor.requests
    assert (asked.query, asked.json) == ({"id": "a b"}, {"x": 1})
    assert submitted.json == {"x": 2}
    assert submitted.headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, InvalidRequest),
        (401, Unauthorized),
        (402, OutOfFunds),
        (403, Forbidden),
        (404, NotFound),
        (408, Uncertain),
        (409, InvalidRequest),
        (410, NotFound),
        (413, InvalidRequest),
        (422, InvalidRequest),
        (429, Overloaded),
        (500, Uncertain),
        (502, Uncertain),
        (503, Overloaded),
        (504, Uncertain),
    ],
)
async def test_each_status_has_its_meaning(
    api: Api, vendor: Vendor, code: int, kind: type[ProviderError]
) -> None:
    vendor.next("call", status(code))
    with pytest.raises(ProviderError) as raised:
        await api.submit("/call")
    assert type(raised.value) is kind
    assert raised.value.status == code
    assert raised.value.detail == f"HTTP {code}: refused: Bearer [key]"


@pytest.mark.parametrize(
    "fault",
    [cut, empty(), html(), says(b"[1]"), says(b"{"), redirect("/elsewhere"), status(307, b'{"fine": true}')],
)
async def test_an_answer_that_says_nothing_leaves_the_call_in_doubt(
    api: Api, vendor: Vendor, fault: Fault
) -> None:
    vendor.next("call", fault)
    with pytest.raises(Uncertain):
        await api.submit("/call")


async def test_silence_leaves_the_call_in_doubt(resources: Resources, vendor: Vendor) -> None:
    vendor.next("call", hang, hang)
    api = connect(resources, vendor.url, timeout_seconds=0.2)
    with pytest.raises(Uncertain, match=r"TimeoutError at 127\.0\.0\.1"):
        await api.submit("/call")
    with pytest.raises(Uncertain):
        await api.ask("POST", "/call")


async def test_without_a_connection_nothing_was_sent(resources: Resources) -> None:
    async with nobody_home() as url:
        with pytest.raises(Unreachable, match=r"at 127\.0\.0\.1"):
            await connect(resources, url).submit("/call")


async def test_an_endless_answer_is_cut_short(
    api: Api, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http_body, "MAX_STATUS", 1000)
    vendor.next("call", says(b" " * 1001))
    with pytest.raises(Uncertain, match="more than 1000 bytes"):
        await api.submit("/call")


async def test_a_refusal_stands_even_if_its_words_cannot_be_read(
    api: Api, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http_body, "MAX_STATUS", 1000)
    vendor.next("call", status(402, b" " * 1001))
    with pytest.raises(OutOfFunds, match="more than 1000 bytes"):
        await api.submit("/call")


async def test_the_vendor_says_when_to_come_back(api: Api, vendor: Vendor) -> None:
    vendor.next("call", status(429, Retry_After="7"))
    with pytest.raises(Overloaded) as raised:
        await api.submit("/call")
    assert raised.value.retry_after == 7


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("1.5", 1.5),
        ("-3", 0),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value}) == seconds


def test_retry_after_as_a_date_in_the_future() -> None:
    later = datetime.now(UTC) + timedelta(seconds=90)
    found = retry_after({"Retry-After": format_datetime(later, usegmt=True)})
    assert found == pytest.approx(90, abs=3)


@pytest.mark.parametrize("ahead", [timedelta(hours=-1), timedelta(hours=1), timedelta(days=400)])
def test_a_vendors_points_in_time_are_told_by_its_own_clock(ahead: timedelta) -> None:
    theirs = datetime.now(UTC).replace(microsecond=0) + ahead
    later = theirs + timedelta(seconds=90)
    date = {"Date": format_datetime(theirs, usegmt=True)}
    assert retry_after({**date, "Retry-After": format_datetime(later, usegmt=True)}) == 90
    assert retry_after({**date, "x-ratelimit-reset": f"{later.timestamp():.0f}"}) == 90


def test_no_retry_after() -> None:
    assert retry_after({}) is None


@pytest.mark.parametrize("name", ["x-ratelimit-reset-requests", "x-ratelimit-reset"])
def test_a_rate_limit_starts_anew_in_seconds_or_at_a_point_in_time(name: str) -> None:
    assert retry_after({name: "12"}) == 12
    assert retry_after({name: f"{time.time() + 45:.0f}"}) == pytest.approx(45, abs=3)
    assert retry_after({name: f"{time.time() - 45:.0f}"}) == 0


@pytest.mark.parametrize("value", ["soon", "nan", "inf", "4000", "1795231630096"])
def test_a_reset_that_cannot_be_meant_is_no_answer(value: str) -> None:
    assert retry_after({"x-ratelimit-reset-requests": value}) is None
    assert retry_after({"x-ratelimit-reset-requests": value, "x-ratelimit-reset": "3"}) == 3


def test_retry_after_comes_before_the_rate_limit() -> None:
    assert retry_after({"Retry-After": "7", "x-ratelimit-reset": "12"}) == 7


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "no credit", "code": 7}}, "no credit"),
        ({"error": "no credit"}, "no credit"),
        ({"message": "no credit"}, "no credit"),
        ({"detail": [{"loc": ["body"], "message": "too long"}]}, "too long"),
        ({"detail": "too long"}, "too long"),
        ({"error": "", "details": {"message": "too long"}}, "too long"),
        ({"issues": [{}, {"message": "first"}, {"message": "second"}]}, "first"),
        ("plain", "plain"),
        ({"code": 7}, '{"code": 7}'),
        ([], "[]"),
        (None, "null"),
    ],
)
def test_the_vendors_words_are_found_wherever_they_are(body: JsonValue, words: str) -> None:
    assert error_text(json.dumps(body).encode()) == words


def test_words_that_are_not_json_are_taken_as_they_are() -> None:
    assert error_text(b"Bad \xff gateway") == "Bad � gateway"


async def test_a_quote_is_short_and_without_the_key(api: Api) -> None:
    assert api.quote("a\n  b") == "a b"
    assert api.quote({"code": 7}) == "{'code': 7}"
    assert api.quote("x" * 290 + KEY) == "x" * 290 + "[key]"
    assert api.quote(f"{'x' * 298}{KEY}") == "x" * 298 + "[k"


async def test_without_a_key_there_is_nothing_to_hide(resources: Resources, vendor: Vendor) -> None:
    assert Api(resources, RemoteConfig(), vendor.url, {}).quote("no key") == "no key"


async def test_a_file_is_downloaded_from_a_path_of_the_vendor(
    api: Api, vendor: Vendor, sink: Received
) -> None:
    await api.download("/file", sink, params={"id": "1"})
    assert sink.data == sample_video()
    assert vendor.requests[0].query == {"id": "1"}
    assert vendor.requests[0].headers["Authorization"] == f"Bearer {KEY}"


async def test_a_path_is_appended_to_the_base_url(resources: Resources, vendor: Vendor) -> None:
    api = connect(resources, f"{vendor.url}/v1/")
    with pytest.raises(NotFound):
        await api.ask("GET", "/thing")
    assert api._url("/thing") == URL(f"{vendor.url}/v1/thing")


async def test_the_key_stays_at_home(
    trusting: Api, vendor: Vendor, foreign: FileHost, sink: Received
) -> None:
    await trusting.download(f"{foreign.url}/file", sink)
    vendor.next("file", redirect(f"{foreign.url}/file"))
    await trusting.download("/file", sink)
    assert sink.data == sample_video() * 2
    assert all(KEY not in str(asked.headers) for asked in foreign.requests)
    assert len(foreign.requests) == 2


async def test_the_key_travels_back_home(
    trusting: Api, vendor: Vendor, foreign: FileHost, sink: Received
) -> None:
    foreign.next("file", redirect(f"{vendor.url}/file"))
    await trusting.download(f"{foreign.url}/file", sink)
    assert vendor.requests[0].headers["Authorization"] == f"Bearer {KEY}"


async def test_a_redirect_may_be_relative(api: Api, vendor: Vendor, sink: Received) -> None:
    vendor.next("file", redirect("file?part=2"))
    await api.download("/file", sink)
    assert vendor.requests[1].query == {"part": "2"}


async def test_a_name_and_password_in_a_link_are_not_used(api: Api, vendor: Vendor, sink: Received) -> None:
    await api.download(f"{vendor.url.replace('//', '//user:password@')}/file", sink)
    assert vendor.requests[0].headers["Authorization"] == f"Bearer {KEY}"


async def test_another_port_of_the_vendors_own_host_is_trusted_only_by_name(
    api: Api, resources: Resources, vendor: Vendor, sink: Received
) -> None:
    async with FileHost() as storage:
        with pytest.raises(Unusable, match="not https"):
            await api.download(f"{storage.url}/file", sink)
        named = connect(replace(resources, trusted_hosts=frozenset({"127.0.0.1"})), vendor.url)
        await named.download(f"{storage.url}/file", sink)
    assert sink.data == sample_video()
    assert KEY not in str(storage.requests[0].headers)


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("http://example.com/v.mp4", "not https: http://example.com"),
        ("ftp://example.com/v.mp4", "not https: ftp://example.com"),
        ("https://localhost/v.mp4", "a private address: localhost"),
        ("https://127.0.0.1/v.mp4", "a private address: 127.0.0.1"),
        ("https://10.0.0.8/v.mp4", "a private address: 10.0.0.8"),
        ("https://169.254.169.254/latest", "a private address: 169.254.169.254"),
        ("https://[::1]/v.mp4", "a private address: ::1"),
        ("https://[::ffff:127.0.0.1]/v.mp4", "a private address: ::ffff:"),
        ("file:///etc/passwd", "a link that is none"),
        ("https://", "a link that is none"),
        ("https://[::1/v.mp4", "a link that is none"),
        ("https://example.com:99999/", "a link that is none"),
    ],
)
async def test_a_link_may_not_lead_astray(
    api: Api, vendor: Vendor, sink: Received, link: str, reason: str
) -> None:
    with pytest.raises(Unusable) as direct:
        await api.download(link, sink)
    vendor.next("file", redirect(link))
    with pytest.raises(Unusable) as redirected:
        await api.download("/file", sink)
    assert reason in direct.value.detail
    assert reason in redirected.value.detail


async def test_only_few_redirects_are_followed(api: Api, vendor: Vendor, sink: Received) -> None:
    vendor.next("file", *[redirect("/file")] * 9)
    with pytest.raises(Unusable, match="more than 4 redirects"):
        await api.download("/file", sink)
    assert len(vendor.requests) == 5


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (says(b'{"message": "not ready"}'), "application/json in place of a video: not ready"),
        (html(), "text/html in place of a video"),
        (says(KEY.encode(), "text/plain"), r"text/plain in place of a video: \[key\]"),
    ],
)
async def test_text_is_no_video(api: Api, vendor: Vendor, sink: Received, fault: Fault, reason: str) -> None:
    vendor.next("file", fault)
    with pytest.raises(Unusable, match=reason):
        await api.download("/file", sink)
    assert sink.data == b""


async def test_a_file_above_the_cap_is_given_up(resources: Resources, vendor: Vendor, sink: Received) -> None:
    capped = replace(resources, max_video_bytes=len(sample_video()) - 1)
    with pytest.raises(Unusable, match="larger than"):
        await connect(capped, vendor.url).download("/file", sink)
    exactly = replace(resources, max_video_bytes=len(sample_video()))
    await connect(exactly, vendor.url).download("/file", sink)


async def test_a_file_that_ends_too_early_is_noticed(api: Api, vendor: Vendor, sink: Received) -> None:
    vendor.next("file", cut_midway)
    with pytest.raises(Uncertain, match="ClientPayloadError"):
        await api.download("/file", sink)


async def test_a_download_that_falls_silent_is_given_up(
    resources: Resources, vendor: Vendor, sink: Received
) -> None:
    vendor.next("file", hang)
    with pytest.raises(Uncertain):
        await connect(resources, vendor.url, timeout_seconds=0.2).download("/file", sink)


async def test_a_full_disk_is_not_the_vendors_fault(api: Api) -> None:
    class FullDisk(Received):
        async def write(self, _: bytes, /) -> None:
            raise OSError(ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        await api.download("/file", FullDisk())


async def test_an_answer_that_may_be_a_file_is_an_object_or_is_left_unread(api: Api, vendor: Vendor) -> None:
    vendor.next("call", says(sample_video(), "video/mp4"), says(sample_video()), says(b' {"a": 1}', "x/y"))
    assert await api.ask_or_file("/call", json={}) is None
    assert await api.ask_or_file("/call", json={}) is None
    assert await api.ask_or_file("/call", json={}) == {"a": 1}


async def test_a_large_body_is_sent_without_holding_up_the_loop(api: Api, vendor: Vendor) -> None:
    large = "x" * 3_000_000
    await api.submit("/call", json={"image": large})
    [asked] = vendor.requests
    assert asked.json == {"image": large}
    assert asked.headers["Content-Type"] == "application/json"


async def test_a_file_may_be_asked_for_with_json(api: Api, vendor: Vendor, sink: Received) -> None:
    vendor.next("call", says(sample_video(), "video/mp4"))
    await api.download("/call", sink, json={"id": 1})
    assert sink.data == sample_video()
    assert vendor.requests[0].json == {"id": 1}


@pytest.mark.parametrize("code", [302, 307])
async def test_what_was_asked_stays_at_home_when_a_file_is_elsewhere(
    trusting: Api, vendor: Vendor, foreign: FileHost, sink: Received, code: int
) -> None:
    vendor.next("call", redirect(f"{foreign.url}/file", code))
    await trusting.download("/call", sink, json={"secret": 1})
    [asked] = foreign.requests
    assert (asked.method, asked.json) == ("GET", None)


async def test_what_is_asked_to_be_deleted_may_not_lead_astray(api: Api) -> None:
    with pytest.raises(Unusable):
        await api.delete("https://10.0.0.1/file")


async def test_an_error_can_be_made_more_of(resources: Resources, vendor: Vendor) -> None:
    def refine(error: ProviderError, body: JsonValue) -> ProviderError:
        return ContentRefused(f"{error.detail} {body}")

    vendor.next("call", status(422, b'{"error": "no"}'), status(422, b"[1]"))
    api = Api(resources, RemoteConfig(), vendor.url, {"Authorization": f"Bearer {KEY}"}, refine=refine)
    for words in ("HTTP 422: no {'error': 'no'}", "HTTP 422: [1] {}"):
        with pytest.raises(ContentRefused) as raised:
            await api.submit("/call")
        assert raised.value.detail == words


async def test_a_refused_download_says_why(api: Api, vendor: Vendor, sink: Received) -> None:
    vendor.next("file", status(404, b'{"error": "expired"}'))
    with pytest.raises(Rejected, match="HTTP 404: expired"):
        await api.download("/file", sink)


class Dns:
    """Answers every name with the same addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.closed = False

    async def close(self) -> None:
        self.closed = True

    async def resolve(self, *_: object) -> list[dict[str, str]]:
        return [{"host": address} for address in self.addresses]


def resolver(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> PublicResolver:
    made = PublicResolver({"inside"})
    monkeypatch.setattr(made, "_inner", Dns(*addresses))
    return made


async def test_a_name_leads_to_public_addresses_only(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await resolver(monkeypatch, "10.0.0.1", "1.1.1.1", "fe80::1%eth0").resolve("example.com", 443)
    assert [entry["host"] for entry in found] == ["1.1.1.1"]


async def test_a_name_that_leads_inside_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match=r"example\.com has no public address"):
        await resolver(monkeypatch, "127.0.0.1", "::1").resolve("example.com", 443)


async def test_a_trusted_name_may_lead_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    [entry] = await resolver(monkeypatch, "10.0.0.1").resolve("inside", 80)
    assert entry["host"] == "10.0.0.1"


async def test_a_link_whose_name_leads_inside_is_not_followed(
    resources: Resources, sink: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = aiohttp.TCPConnector(resolver=resolver(monkeypatch, "127.0.0.1"))
    async with aiohttp.ClientSession(connector=connector) as session:
        api = connect(replace(resources, session=session), "https://vendor.example")
        with pytest.raises(Unreachable, match=r"ClientConnectorDNSError at example\.com$"):
            await api.download("https://example.com/v.mp4", sink)


async def test_closing_the_resolver_closes_what_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    made = resolver(monkeypatch)
    await made.close()
    assert made._inner.closed


async def test_a_session_reaches_no_private_name_that_is_not_trusted(vendor: Vendor) -> None:
    async with open_session([]) as session:
        with pytest.raises(aiohttp.ClientConnectorDNSError):
            await session.get(vendor.url.replace("127.0.0.1", "localhost"))
    assert vendor.requests == []


async def test_a_call_can_be_cancelled(api: Api, vendor: Vendor) -> None:
    vendor.next("call", hang)
    call = asyncio.create_task(api.submit("/call"))
    await vendor.arrived("call")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await api.submit("/call") == {"fine": True}
