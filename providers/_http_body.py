"""The body of a vendor's answer: read up to a cap, and what each way of failing on the way means."""

from collections.abc import Generator
from contextlib import contextmanager

import aiohttp
from yarl import URL

from providers._http_answers import OBJECT, JsonObject
from providers.errors import Uncertain, Unreachable

MAX_BODY = 8 * 1024 * 1024
REDIRECTS = {301, 302, 303, 307, 308}
_CHUNK = 256 * 1024
_NOTHING_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientSSLError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)


@contextmanager
def translated(url: URL) -> Generator[None]:
    """Says in our words what aiohttp raises. It wraps aiohttp's calls alone: a full disk is no outage."""
    try:
        yield
    except _NOTHING_SENT as error:
        raise Unreachable(f"{type(error).__name__} at {url.host}") from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Uncertain(f"{type(error).__name__} at {url.host}") from error


async def next_chunk(response: aiohttp.ClientResponse) -> bytes:
    with translated(response.url):
        return await response.content.read(_CHUNK)


async def read(response: aiohttp.ClientResponse, head: bytes = b"") -> bytes:
    body = bytearray(head)
    while chunk := await next_chunk(response):
        body += chunk
        if len(body) > MAX_BODY:
            raise Uncertain(f"an answer of more than {MAX_BODY} bytes", status=response.status)
    return bytes(body)


async def read_object(response: aiohttp.ClientResponse, head: bytes = b"") -> JsonObject:
    if response.status in REDIRECTS:
        raise Uncertain(f"HTTP {response.status}: calls follow no redirects", status=response.status)
    body = await read(response, head)
    try:
        return OBJECT.validate_json(body)
    except ValueError as error:
        raise Uncertain(f"HTTP {response.status} without a JSON object", status=response.status) from error
