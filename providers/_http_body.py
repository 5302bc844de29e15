"""What each way of failing on the way to an answer means; and its body, read up to a cap."""

import asyncio
import json as json_format
from collections.abc import Callable, Generator
from contextlib import contextmanager
from io import BytesIO
from typing import TypeVar

import aiohttp
from yarl import URL

from providers._http_answers import OBJECT, JsonObject
from providers._http_trace import Sent
from providers.errors import InvalidRequest, Uncertain, Unreachable

T = TypeVar("T")

MAX_STATUS = 64 * 1024
"""Bytes of every answer that is neither a catalogue nor a file."""
MAX_CATALOGUE = 512 * 1024
MAX_PICTURE = 8 * 1024 * 1024
"""Of an answer that may hold a picture."""
MOST_VALUES = 1000
"""In an answer that is as long as that."""
_LITTLE = 4 * 1024
"""Bytes that are read in no time; more are read where the event loop does not wait for it."""
REDIRECTS = {301, 302, 303, 307, 308}
_CHUNK = 256 * 1024
_NO_CONNECTION = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientSSLError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)
"""Nothing was sent, whether or not the session can tell."""


@contextmanager
def translated(url: URL, sent: Sent | None = None) -> Generator[None]:
    """Says in our words what aiohttp raises. It wraps aiohttp's calls alone: a full disk is no outage.

    Whatever it is, it is in doubt only where a byte may have left. `sent` is that of a call to be made.
    """
    try:
        yield
    except _NO_CONNECTION as error:
        raise Unreachable(_words(error, url)) from error
    except Exception as error:
        if sent is None or sent.began:
            raise Uncertain(_words(error, url)) from error
        if isinstance(error, ValueError | TypeError):  # what cannot be written now never can be
            raise InvalidRequest(f"it cannot be sent: {_words(error, url)}") from error
        raise Unreachable(_words(error, url)) from error


def _words(error: Exception, url: URL) -> str:
    return f"{type(error).__name__} at {url.host}"


def encoded(json: JsonObject) -> BytesIO:
    return BytesIO(json_format.dumps(json, allow_nan=False).encode())


async def next_chunk(response: aiohttp.ClientResponse) -> bytes:
    with translated(response.url):
        return await response.content.read(_CHUNK)


async def read(response: aiohttp.ClientResponse, head: bytes = b"", *, limit: int | None = None) -> bytes:
    most = MAX_STATUS if limit is None else limit
    body = bytearray(head)
    while chunk := await next_chunk(response):
        body += chunk
        if len(body) > most:
            raise Uncertain(f"an answer of more than {most} bytes", status=response.status)
    return bytes(body)


async def parsed(body: bytes, parse: Callable[[bytes], T]) -> T:
    return parse(body) if len(body) <= _LITTLE else await asyncio.to_thread(parse, body)


async def read_object(
    response: aiohttp.ClientResponse, head: bytes = b"", *, with_picture: bool = False
) -> JsonObject:
    if response.status in REDIRECTS:
        raise Uncertain(f"HTTP {response.status}: calls follow no redirects", status=response.status)
    body = await read(response, head, limit=MAX_PICTURE if with_picture else MAX_STATUS)
    # One long text is read at once; as many bytes of numbers would take seconds and a gigabyte.
    if len(body) > MAX_STATUS and body.count(b",") > MOST_VALUES:
        raise Uncertain(f"an answer of more than {MOST_VALUES} values", status=response.status)
    try:
        return await parsed(body, OBJECT.validate_json)
    except ValueError as error:
        raise Uncertain(f"HTTP {response.status} without a JSON object", status=response.status) from error
