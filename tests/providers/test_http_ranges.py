"""A download goes on where an earlier one broke off, and only with the bytes of the same file."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web
from pydantic import SecretStr

from providers.base import RemoteConfig, Resources
from providers.errors import Uncertain, Unusable
from providers.http import Api
from tests.providers.conftest import Received
from tests.vendors.faults import html, redirect, status
from tests.vendors.shelf import Shelf, cut_after, gives, partial

KEY = Shelf.KEY
HALF = 50_000


@pytest.fixture
async def shelf() -> AsyncIterator[Shelf]:
    async with Shelf() as server:
        yield server


def connect(resources: Resources, url: str) -> Api:
    config = RemoteConfig(api_key=SecretStr(KEY), request_timeout=30, transfer_timeout=30)
    return Api(resources, config, url, {"Authorization": f"Bearer {KEY}"})


@pytest.fixture
def api(resources: Resources, shelf: Shelf) -> Api:
    return connect(resources, shelf.url)


@pytest.fixture
def begun(shelf: Shelf) -> Received:
    """Half of the file, as an earlier call has left it."""
    return Received(shelf.data[:HALF], '"one"')


class Half(Received):
    """Tells when the first half is there."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = asyncio.Event()

    async def write(self, chunk: bytes, /) -> None:
        await super().write(chunk)
        if self.size >= HALF:
            self.arrived.set()


def ranges(shelf: Shelf) -> list[str | None]:
    return [asked.headers.get("Range") for asked in shelf.requests]


async def test_a_second_call_asks_for_what_the_first_has_not_brought(api: Api, shelf: Shelf) -> None:
    sink = Half()
    shelf.next("file", cut_after(shelf.data[:HALF], sink.arrived, ETag='"one"'))
    with pytest.raises(Uncertain):
        await api.download("/file", sink)
    await api.download("/file", sink)
    assert sink.data == shelf.data
    assert ranges(shelf) == [None, f"bytes={HALF}-"]
    assert [asked.headers.get("If-Range") for asked in shelf.requests] == [None, '"one"']
    assert {asked.headers["Accept-Encoding"] for asked in shelf.requests} == {"identity"}


async def test_a_part_may_break_off_too(api: Api, shelf: Shelf, begun: Received) -> None:
    middle = partial(shelf.data[HALF:60_000], f"bytes {HALF}-59999/{len(shelf.data)}", ETag='"one"')
    shelf.next("file", gives(middle))
    with pytest.raises(Uncertain, match="60000 of 102400 bytes"):
        await api.download("/file", begun)
    await api.download("/file", begun)
    assert begun.data == shelf.data
    assert ranges(shelf) == [f"bytes={HALF}-", "bytes=60000-"]


@pytest.mark.parametrize("total", ["102400", "*"])
async def test_a_part_need_not_name_the_file_or_its_size(
    api: Api, shelf: Shelf, begun: Received, total: str
) -> None:
    shelf.next("file", gives(partial(shelf.data[HALF:], f"bytes {HALF}-102399/{total}")))
    await api.download("/file", begun)
    assert begun.data == shelf.data


async def test_a_file_that_has_changed_is_fetched_from_its_first_byte(
    api: Api, shelf: Shelf, begun: Received
) -> None:
    shelf.data, shelf.named = b"another" * 20_000, {"ETag": '"two"'}
    await api.download("/file", begun)
    assert (begun.data, begun.validator) == (shelf.data, '"two"')


async def test_a_server_without_ranges_sends_it_all(api: Api, shelf: Shelf, begun: Received) -> None:
    shelf.knows_ranges = False
    await api.download("/file", begun)
    assert begun.data == shelf.data


@pytest.mark.parametrize(
    ("content_range", "headers"),
    [
        (f"bytes {HALF - 1}-102399/102400", {}),
        ("bytes 0-102399/102400", {}),
        (f"bytes {HALF}-102399/{HALF - 1}", {}),
        (f"bytes {HALF}-102399/{HALF}", {}),
        (f"bytes {HALF}-102400/102400", {}),
        (f"bytes {HALF}-{HALF - 1}/102400", {}),
        (f"bytes {HALF}-{'9' * 5000}/*", {}),
        (f"items {HALF}-102399/102400", {}),
        ("", {}),
        (f"bytes {HALF}-102399/102400", {"ETag": '"two"'}),
        (f"bytes {HALF}-102399/102400", {"Content-Encoding": "compress"}),
    ],
)
async def test_a_part_that_does_not_fit_is_not_joined_and_not_asked_for_again(
    api: Api, shelf: Shelf, begun: Received, content_range: str, headers: dict[str, str]
) -> None:
    shelf.next("file", gives(partial(b"", content_range, **headers)))
    with pytest.raises(Uncertain, match="not the part"):
        await api.download("/file", begun)
    assert (begun.data, begun.validator) == (b"", None)
    await api.download("/file", begun)
    assert begun.data == shelf.data
    assert ranges(shelf) == [f"bytes={HALF}-", None]


async def test_a_part_of_a_file_with_another_date_does_not_fit(api: Api, shelf: Shelf) -> None:
    sink = Received(shelf.data[:HALF], "Wed, 20 May 2026 12:00:00 GMT")
    later = {"Last-Modified": "Wed, 20 May 2026 12:00:01 GMT"}
    shelf.next("file", gives(partial(shelf.data[HALF:], f"bytes {HALF}-102399/102400", **later)))
    with pytest.raises(Uncertain, match="not the part"):
        await api.download("/file", sink)


async def test_a_part_that_nobody_asked_for_is_taken_if_it_is_all(
    api: Api, shelf: Shelf, sink: Received
) -> None:
    shelf.next("file", gives(partial(shelf.data, "bytes 0-102399/102400", ETag='"one"')))
    await api.download("/file", sink)
    assert (sink.data, sink.validator) == (shelf.data, '"one"')
    shelf.next("ask", gives(partial(shelf.data[HALF:], f"bytes {HALF}-102399/102400")))
    with pytest.raises(Uncertain, match="not the part"):
        await api.download("/ask", Received(shelf.data[:HALF], '"one"'), json={})


async def test_where_nothing_comes_after_what_is_there_the_same_call_begins_anew(
    api: Api, shelf: Shelf
) -> None:
    sink = Received(shelf.data, '"one"')
    await api.download("/file", sink)
    assert sink.data == shelf.data
    assert ranges(shelf) == ["bytes=102400-", None]


async def test_it_begins_anew_once_only(api: Api, shelf: Shelf, begun: Received) -> None:
    shelf.next("file", *[status(416)] * 9)
    with pytest.raises(Exception, match="HTTP 416"):
        await api.download("/file", begun)
    assert ranges(shelf) == [f"bytes={HALF}-", None]


async def test_a_refusal_without_a_beginning_is_a_refusal(api: Api, shelf: Shelf, sink: Received) -> None:
    shelf.next("file", status(416))
    with pytest.raises(Exception, match="HTTP 416"):
        await api.download("/file", sink)
    assert len(shelf.requests) == 1


DATE = "Wed, 20 May 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({}, None),
        ({"ETag": '"one"'}, '"one"'),
        ({"ETag": '"one"', "Last-Modified": DATE}, '"one"'),
        ({"ETag": 'W/"one"'}, None),
        ({"ETag": 'W/"one"', "Last-Modified": DATE}, DATE),
        ({"ETag": "one"}, None),
        ({"ETag": '"\xf6ne"'}, None),
        ({"Last-Modified": DATE}, DATE),
        ({"Last-Modified": "Mi, 20. M\xe4rz"}, None),
        ({"ETag": '"one"', "Content-Encoding": "identity"}, '"one"'),
    ],
)
async def test_only_what_names_these_very_bytes_is_remembered(
    api: Api, shelf: Shelf, sink: Received, headers: dict[str, str], validator: str | None
) -> None:
    shelf.named = headers
    await api.download("/file", sink)
    assert sink.validator == validator


async def test_what_came_compressed_is_not_gone_on_with(api: Api, shelf: Shelf, sink: Received) -> None:
    response = web.Response(body=shelf.data, content_type="video/mp4", headers={"ETag": '"one"'})
    response.enable_compression(web.ContentCoding.gzip, strategy=0)
    shelf.next("file", gives(response))
    await api.download("/file", sink)
    assert (sink.data, sink.validator) == (shelf.data, None)


async def test_bytes_that_have_no_name_are_not_gone_on_with(api: Api, shelf: Shelf) -> None:
    sink = Received(b"nobody knows of what")
    await api.download("/file", sink)
    assert sink.data == shelf.data
    assert ranges(shelf) == [None]


async def test_the_rest_is_asked_for_after_each_redirect_and_the_key_stays_at_home(
    resources: Resources, shelf: Shelf, begun: Received
) -> None:
    async with Shelf() as foreign:
        foreign.url = foreign.url.replace("127.0.0.1", "localhost")
        trusting = replace(resources, trusted_hosts=frozenset({"localhost"}))
        shelf.next("file", redirect("/file?2"), redirect(f"{foreign.url}/file"))
        await connect(trusting, shelf.url).download("/file", begun)
        assert begun.data == shelf.data
        assert ranges(shelf) + ranges(foreign) == [f"bytes={HALF}-"] * 3
        assert foreign.requests[0].headers["If-Range"] == '"one"'
        assert KEY not in str(foreign.requests[0].headers)


async def test_what_is_asked_for_by_post_comes_as_a_whole(api: Api, shelf: Shelf, begun: Received) -> None:
    await api.download("/ask", begun, json={"id": 1})
    assert begun.data == shelf.data
    assert ranges(shelf) == [None]
    assert "If-Range" not in shelf.requests[0].headers


async def test_the_rest_may_be_behind_a_redirect_of_a_post(api: Api, shelf: Shelf, begun: Received) -> None:
    shelf.next("ask", redirect("/file"))
    await api.download("/ask", begun, json={"id": 1})
    assert begun.data == shelf.data
    assert ranges(shelf) == [None, f"bytes={HALF}-"]


async def test_the_cap_is_on_both_halves_together(
    resources: Resources, shelf: Shelf, begun: Received
) -> None:
    capped = replace(resources, max_video_bytes=len(shelf.data) - 1)
    with pytest.raises(Unusable, match="larger than"):
        await connect(capped, shelf.url).download("/file", begun)
    exactly = replace(resources, max_video_bytes=len(shelf.data))
    await connect(exactly, shelf.url).download("/file", begun)
    assert begun.data == shelf.data


async def test_a_page_of_errors_in_between_costs_no_byte(api: Api, shelf: Shelf, begun: Received) -> None:
    shelf.next("file", html(), status(503))
    for _ in range(2):
        with pytest.raises(Exception, match=r"text/html|503"):
            await api.download("/file", begun)
    await api.download("/file", begun)
    assert begun.data == shelf.data
    assert ranges(shelf) == [f"bytes={HALF}-"] * 3
