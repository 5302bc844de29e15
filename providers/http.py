"""One HTTP request to a vendor, and what each way of failing means.

The key travels to the configured host alone. Anything a vendor's answer points at is untrusted: https, public
addresses, few redirects, each looked at again, capped in size and in silence.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import TypeAlias, TypeVar

import aiohttp
from multidict import CIMultiDict
from pydantic import JsonValue
from yarl import URL

from providers._base_calls import secrets_of, without
from providers._http_answers import (
    JsonObject,
    error_text,
    find_text,
    is_mp4,
    is_page,
    json_in,
    meaning,
    object_in,
    on_page,
)
from providers._http_body import (
    MAX_CATALOGUE,
    REDIRECTS,
    encoded,
    next_chunk,
    parsed,
    read,
    read_object,
    translated,
)
from providers._http_expiry import instant, link_expiry
from providers._http_links import PublicResolver, Trust, meant_by, open_session
from providers._http_trace import Sent, is_traced
from providers.base import RemoteConfig, Resources, Sink
from providers.errors import ProviderError, Uncertain, Unusable
from providers.fields import plain
from providers.limits import FailureLimit, RateLimit

__all__ = ["Api", "JsonObject", "PublicResolver", "error_text", "instant", "link_expiry", "open_session"]

T = TypeVar("T")

Refine: TypeAlias = Callable[[ProviderError, JsonObject], ProviderError]
"""Makes more of an error, from the JSON object that came with it."""
Notice: TypeAlias = Callable[[Mapping[str, str], JsonObject], None]
"""Reads what the vendor says in an answer's headers, and knows what was asked; it must not raise."""

CONNECT_TIMEOUT = 15.0
MAX_REDIRECTS = 4
_HEAD = 8
"""So many bytes tell an MP4 from all else."""
_TEXT_TYPES = ("application/json", "text/")


class Api:
    """A vendor's HTTP API: its base URL, the headers that carry its key, and its time-outs."""

    def __init__(
        self,
        resources: Resources,
        config: RemoteConfig,
        base_url: str,
        headers: Mapping[str, str],
        *,
        failure_limit: FailureLimit | None = None,
        rate_limit: RateLimit | None = None,
        refine: Refine | None = None,
        notice: Notice | None = None,
    ) -> None:
        self._resources = resources
        self._config = config
        self._base = URL(base_url.rstrip("/"))
        self._trust = Trust(self._base, resources.trusted_hosts, resources.foreign_hosts)
        self._headers = dict(headers)
        self._failure_limit = failure_limit
        self._rate_limit = rate_limit
        """Of every call to the vendor itself; some calls have one of their own besides."""
        self._refine = refine
        self._notice = notice

    async def submit(
        self, path: str, *, data: aiohttp.FormData | None = None, json: JsonObject | None = None
    ) -> JsonObject:
        """POST a purchase. Anything but a readable 2xx answer or a proven refusal is Uncertain."""
        timeout = self._timeout(self._config.transfer_timeout)
        async with self._request("POST", self._url(path), timeout=timeout, data=data, json=json) as response:
            return await read_object(response)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: JsonObject | None = None,
        with_picture: bool = False,
    ) -> JsonObject:
        """One call that may be repeated; the answer is a JSON object of at most MAX_STATUS bytes.

        Where the vendor may put a picture into it, it is one of few values and at most MAX_PICTURE bytes.
        """
        timeout = self._timeout(self._config.request_timeout)
        url = self._url(path).with_query(params or {})
        async with self._request(method, url, timeout=timeout, json=json) as response:
            return await read_object(response, with_picture=with_picture)

    async def catalogue(
        self, path: str, read_json: Callable[[JsonValue], T], *, params: Mapping[str, str] | None = None
    ) -> T:
        """A GET that may be repeated, and what `read_json` makes of its JSON, of at most MAX_CATALOGUE bytes.

        A long answer is read beside the event loop, in a thread: `read_json` shares nothing with others.
        """
        timeout = self._timeout(self._config.request_timeout)
        url = self._url(path).with_query(params or {})
        async with self._request("GET", url, timeout=timeout) as response:
            body = await read(response, limit=MAX_CATALOGUE)
        return await parsed(body, lambda body: read_json(json_in(body)))

    async def ask_bytes(self, path: str, *, json: JsonObject) -> bytes:
        """A POST that may be repeated, and its answer as it came: for who must see each digit."""
        timeout = self._timeout(self._config.request_timeout)
        async with self._request("POST", self._url(path), timeout=timeout, json=json) as response:
            return await read(response)

    async def ask_or_file(
        self, path: str, *, json: JsonObject, rate_limit: RateLimit | None = None
    ) -> JsonObject | None:
        """A POST that may be repeated, and that is answered with a JSON object or with a video.

        For a video it returns None without reading it.
        """
        timeout = self._timeout(self._config.request_timeout)
        url = self._url(path)
        async with self._request("POST", url, timeout=timeout, json=json, rate_limit=rate_limit) as response:
            head = b""
            if not (is_file := response.content_type.startswith("video/")):
                while len(head) < _HEAD and (chunk := await next_chunk(response)):
                    head += chunk
            if is_file or is_mp4(head):
                response.close()
                return None
            return await read_object(response, head)

    async def delete(self, link: str) -> None:
        """Have what a link leads to deleted. Raises Unusable unless it is the vendor's own, or trusted."""
        url = meant_by(link)
        if not self._trust.holds(url):
            raise Unusable(f"nothing is deleted at a host that is not the vendor's own: {url.raw_host}")
        async with self._request("DELETE", url, timeout=self._timeout(self._config.request_timeout)):
            pass

    async def download(
        self,
        location: str,
        sink: Sink,
        *,
        params: Mapping[str, str] | None = None,
        json: JsonObject | None = None,
        rate_limit: RateLimit | None = None,
    ) -> None:
        """Stream a file from a path of this API (by POST if there is JSON) or from a URL the vendor names.

        Raises Unusable where text comes in place of a file or the file is above the size cap.
        """
        url = meant_by(location) if "://" in location else self._url(location).with_query(params or {})
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT, sock_read=self._config.transfer_timeout
        )
        for _ in range(MAX_REDIRECTS + 1):
            self._trust.judge(url)
            method = "GET" if json is None else "POST"
            async with self._request(
                method, url, timeout=timeout, json=json, rate_limit=rate_limit
            ) as response:
                if response.status not in REDIRECTS:
                    await self._copy(response, sink)
                    return
                url = meant_by(response.headers.get("Location", ""), seen_from=url)
                json = rate_limit = None  # a redirect leads to the file itself
        raise Unusable(f"more than {MAX_REDIRECTS} redirects")

    def quote(self, said: JsonValue, *, limit: int = 300) -> str:
        """The vendor's own words, without the key that some of them repeat."""
        text = find_text(said)
        return plain(self._hidden(" ".join((str(said) if text is None else text).split())), limit)

    def _hidden(self, said: str) -> str:
        return without(secrets_of(self._config), said)

    def _headers_of(self, response: aiohttp.ClientResponse) -> CIMultiDict[str]:
        """What the headers say: plain, and without the key that some repeat."""
        return CIMultiDict((name, plain(self._hidden(said))) for name, said in response.headers.items())

    def _url(self, path: str) -> URL:
        return URL(f"{self._base}{path}")

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
        rate_limit: RateLimit | None = None,
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        is_own = self._trust.is_own(url)
        headers = dict(self._headers) if is_own else {}
        if json is not None:
            headers["Content-Type"] = "application/json"
        async with self._failure_limit.watch() if self._failure_limit and is_own else nullcontext():
            for limit in (
                rate_limit,
                self._rate_limit if is_own else None,
            ):  # last: calls are spaced as their turns are
                if limit is not None:
                    await limit.spend()
            session, sent = self._resources.session, Sent()
            sent.began = not (session.closed or is_traced(session))
            with translated(url, sent):
                response = await session.request(
                    method,
                    url,
                    headers=headers,
                    data=data if json is None else encoded(json),
                    timeout=timeout,
                    allow_redirects=False,
                    trace_request_ctx=sent,
                )
            if self._notice and is_own:
                self._notice(self._headers_of(response), json or {})
            if response.status >= 400:  # noqa: PLR2004 - the first error status of HTTP
                async with response:
                    raise await self._error(response, is_own=is_own)
        async with response:
            yield response

    async def _error(self, response: aiohttp.ClientResponse, *, is_own: bool) -> ProviderError:
        said, body = await self._said(response)
        headers = self._headers_of(response)
        if is_own and is_page(response.status, response.content_type):
            return on_page(response.status, headers, said)
        error = meaning(response.status, headers, said)
        return self._refine(error, body) if self._refine else error

    async def _copy(self, response: aiohttp.ClientResponse, sink: Sink) -> None:
        if response.content_type.startswith(_TEXT_TYPES):
            said, _ = await self._said(response)
            raise Unusable(f"{plain(self._hidden(response.content_type))} in place of a video: {said}")
        size = 0
        while chunk := await next_chunk(response):
            size += len(chunk)
            if size > self._resources.max_video_bytes:
                raise Unusable(f"the file is larger than {self._resources.max_video_bytes} bytes")
            await sink.write(chunk)

    async def _said(self, response: aiohttp.ClientResponse) -> tuple[str, JsonObject]:
        """What an unwelcome answer says. Where that cannot be read, its status still stands."""
        try:
            body = await read(response)
        except Uncertain as error:
            return error.detail, {}
        return self.quote(await parsed(body, error_text)), await parsed(body, object_in)
