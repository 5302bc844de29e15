"""A host with one file, of which it gives any part to whoever still names it right."""

import asyncio

from aiohttp import web

from tests.vendors.base import Recorded, VendorServer
from tests.vendors.faults import Exchange, Fault


class Shelf(VendorServer):
    def __init__(self, data: bytes = bytes(range(256)) * 400) -> None:
        super().__init__()
        self.data = data
        self.named = {"ETag": '"one"'}
        """The headers that name the file."""
        self.knows_ranges = True

    def routes(self) -> list[web.RouteDef]:
        return [self.route("file", "GET", "/file", self._file), self.route("ask", "POST", "/ask", self._file)]

    def authorized(self, _: web.Request) -> bool:
        return True

    def _file(self, asked: Recorded) -> web.Response:
        start = int(asked.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if not (self.knows_ranges and start and asked.headers.get("If-Range") in self.named.values()):
            return web.Response(body=self.data, content_type="video/mp4", headers=self.named)
        if start >= len(self.data):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(self.data)}"})
        return partial(
            self.data[start:], f"bytes {start}-{len(self.data) - 1}/{len(self.data)}", **self.named
        )


def partial(body: bytes, content_range: str, **headers: str) -> web.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(
        status=206, body=body, content_type="video/mp4", headers={"Content-Range": content_range, **named}
    )


def gives(response: web.Response) -> Fault:
    async def answer(_: Exchange) -> web.StreamResponse:
        return response

    return answer


def cut_after(data: bytes, arrived: asyncio.Event, **headers: str) -> Fault:
    """The connection breaks once so much has arrived, although more was promised."""

    async def answer(exchange: Exchange) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = web.StreamResponse(headers={"Content-Length": str(len(data) + 1), **named})
        await response.prepare(exchange.request)
        await response.write(data)
        await arrived.wait()
        if exchange.request.transport is not None:
            exchange.request.transport.close()
        return response

    return answer
