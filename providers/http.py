"""One HTTP request to a vendor, and what each way of failing means.

The key travels to the configured host alone. Anything a vendor's answer points at is untrusted: https, public
addresses, few redirects, each looked at again, capped in size and in silence.
"""

import ipaddress
import math
import socket
from collections.abc import AsyncGenerator, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import JsonValue, TypeAdapter
from yarl import URL

from providers.base import RemoteConfig, Resources, Sink
from providers.errors import (
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

JsonObject: TypeAlias = dict[str, JsonValue]
_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)
_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)

CONNECT_TIMEOUT = 15.0
MAX_BODY = 8 * 1024 * 1024
MAX_REDIRECTS = 4
CHUNK = 256 * 1024
_REDIRECTS = {301, 302, 303, 307, 308}
_TEXT_TYPES = ("application/json", "text/")
_NOTHING_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientSSLError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)
_REJECTIONS: Mapping[int, type[Rejected]] = {
    401: Unauthorized,
    402: OutOfFunds,
    403: Unauthorized,
    404: NotFound,
    410: NotFound,
}


class Api:
    """A vendor's HTTP API: its base URL, the headers that carry its key, and its time-outs."""

    def __init__(
        self, resources: Resources, config: RemoteConfig, base_url: str, headers: Mapping[str, str]
    ) -> None:
        self._resources = resources
        self._config = config
        self._base = URL(base_url.rstrip("/"))
        self._headers = dict(headers)

    async def submit(
        self, path: str, *, data: aiohttp.FormData | None = None, json: JsonObject | None = None
    ) -> JsonObject:
        """POST a purchase. Anything but a readable 2xx answer or a proven refusal is Uncertain."""
        timeout = self._timeout(self._config.transfer_timeout)
        async with self._request("POST", self._url(path), timeout=timeout, data=data, json=json) as response:
            return await _read_object(response)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: JsonObject | None = None,
    ) -> JsonObject:
        """One call that may be repeated; the answer is a JSON object of at most MAX_BODY bytes."""
        timeout = self._timeout(self._config.request_timeout)
        url = self._url(path).with_query(params or {})
        async with self._request(method, url, timeout=timeout, json=json) as response:
            return await _read_object(response)

    async def download(self, location: str, sink: Sink, *, params: Mapping[str, str] | None = None) -> None:
        """Stream a file from a path of this API or from a URL that the vendor named.

        Raises Unusable where text comes in place of a file or the file is above the size cap.
        """
        url = _link(location) if "://" in location else self._url(location).with_query(params or {})
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT, sock_read=self._config.transfer_timeout
        )
        for _ in range(MAX_REDIRECTS + 1):
            self._guard(url)
            async with self._request("GET", url, timeout=timeout) as response:
                if response.status in _REDIRECTS:
                    url = _link(response.headers.get("Location", ""), seen_from=url)
                    continue
                await self._copy(response, sink)
                return
        raise Unusable(f"more than {MAX_REDIRECTS} redirects")

    def quote(self, said: JsonValue) -> str:
        """The vendor's own words, without the key that some of them repeat; at most 300 characters."""
        text = _find_text(said)
        words = " ".join((str(said) if text is None else text).split())
        key = self._config.api_key.get_secret_value() if self._config.api_key else ""
        return (words.replace(key, "[key]") if key else words)[:300]

    def _url(self, path: str) -> URL:
        return URL(f"{self._base}{path}")

    def _is_own(self, url: URL) -> bool:
        return url.origin() == self._base.origin()

    def _guard(self, url: URL) -> None:
        host = url.host or ""
        if self._is_own(url) or host in self._resources.trusted_hosts:
            return
        if url.scheme != "https":
            raise Unusable(f"the vendor names a link that is not https: {url.scheme}://{host}")
        if not _may_be_public(host):
            raise Unusable(f"the vendor names a link to a private address: {host}")

    def _timeout(self, total: float) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=total, sock_connect=min(CONNECT_TIMEOUT, total))

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        url: URL,
        *,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own kind, handed on
        data: aiohttp.FormData | None = None,
        json: JsonObject | None = None,
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        headers = self._headers if self._is_own(url) else {}
        with _translated(url):
            response = await self._resources.session.request(
                method, url, headers=headers, data=data, json=json, timeout=timeout, allow_redirects=False
            )
        async with response:
            if response.status >= 400:  # noqa: PLR2004 - the first error status of HTTP
                raise await self._error(response)
            yield response

    async def _error(self, response: aiohttp.ClientResponse) -> ProviderError:
        status = response.status
        detail = f"HTTP {status}: {await self._said(response)}"
        if status in {429, 503}:
            return Overloaded(detail, status=status, retry_after=retry_after(response.headers))
        if status >= 500 or status == 408:  # noqa: PLR2004 - the server may have acted before it failed
            return Uncertain(detail, status=status)
        return _REJECTIONS.get(status, InvalidRequest)(detail, status=status)

    async def _copy(self, response: aiohttp.ClientResponse, sink: Sink) -> None:
        if response.content_type.startswith(_TEXT_TYPES):
            raise Unusable(f"{response.content_type} in place of a video: {await self._said(response)}")
        size = 0
        while chunk := await _next_chunk(response):
            size += len(chunk)
            if size > self._resources.max_video_bytes:
                raise Unusable(f"the file is larger than {self._resources.max_video_bytes} bytes")
            await sink.write(chunk)

    async def _said(self, response: aiohttp.ClientResponse) -> str:
        """What an unwelcome answer says. Where that cannot be read, its status still stands."""
        try:
            return self.quote(error_text(await _read(response)))
        except Uncertain as error:
            return error.detail


class PublicResolver(AbstractResolver):
    """Resolves to public addresses only, so that no name leads inside, whenever it changes its mind."""

    def __init__(self, trusted_hosts: Iterable[str]) -> None:
        self._trusted = frozenset(trusted_hosts)
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if host in self._trusted:
            return found
        public = [entry for entry in found if _may_be_public(entry["host"])]
        if not public:
            raise OSError(f"{host} has no public address")
        return public

    async def close(self) -> None:
        await self._inner.close()


def open_session(trusted_hosts: Iterable[str]) -> aiohttp.ClientSession:
    """A session for every provider. Only the named hosts may have private addresses."""
    connector = aiohttp.TCPConnector(resolver=PublicResolver(trusted_hosts))
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


def error_text(body: bytes) -> str:
    """The vendor's own words, from any of the shapes that vendors put them in."""
    try:
        found = _find_text(_JSON.validate_json(body))
    except ValueError:
        found = None
    return found if found is not None else body.decode("utf-8", "replace")


def _find_text(value: JsonValue) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return next((text for item in value if (text := _find_text(item))), None)
    if isinstance(value, dict):
        return next((text for key in _TEXT_KEYS if (text := _find_text(value.get(key)))), None)
    return None


_TEXT_KEYS = ("error", "message", "detail", "details", "issues")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until the vendor wants to hear from us again: Retry-After as a number or as a date."""
    value = headers.get("Retry-After")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _may_be_public(host: str) -> bool:
    """Whether a host is a name (the resolver will tell) or a public address."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return bool(host) and host != "localhost"


def _link(link: str, *, seen_from: URL | None = None) -> URL:
    """The URL that a vendor's link means, without a name and password: those would be a key to send along."""
    try:
        return (URL(link) if seen_from is None else seen_from.join(URL(link))).with_user(None)
    except ValueError as error:
        raise Unusable(f"the vendor names a link that is none: {error}") from error


@contextmanager
def _translated(url: URL) -> Generator[None]:
    """Says in our words what aiohttp raises. It wraps aiohttp's calls alone: a full disk is no outage."""
    try:
        yield
    except _NOTHING_SENT as error:
        raise Unreachable(f"{type(error).__name__} at {url.host}") from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Uncertain(f"{type(error).__name__} at {url.host}") from error


async def _next_chunk(response: aiohttp.ClientResponse) -> bytes:
    with _translated(response.url):
        return await response.content.read(CHUNK)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    while chunk := await _next_chunk(response):
        body += chunk
        if len(body) > MAX_BODY:
            raise Uncertain(f"an answer of more than {MAX_BODY} bytes", status=response.status)
    return bytes(body)


async def _read_object(response: aiohttp.ClientResponse) -> JsonObject:
    if response.status in _REDIRECTS:
        raise Uncertain(f"HTTP {response.status}: calls follow no redirects", status=response.status)
    body = await _read(response)
    try:
        return _OBJECT.validate_json(body)
    except ValueError as error:
        raise Uncertain(f"HTTP {response.status} without a JSON object", status=response.status) from error
