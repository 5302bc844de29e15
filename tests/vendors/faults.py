"""What can go wrong with one answer of a vendor: `cut`, `status(503)`, `after_accepting(hang)` ..."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache

import av
from aiohttp import web


@dataclass(frozen=True)
class Exchange:
    """One request on its way through the vendor, for a fault to interfere with."""

    request: web.Request
    accept: Callable[[], Awaitable[web.StreamResponse]]
    """What the vendor does when nothing goes wrong."""
    closing: asyncio.Event
    """Set when the vendor's server stops."""


Fault = Callable[[Exchange], Awaitable[web.StreamResponse]]


async def cut(exchange: Exchange) -> web.StreamResponse:
    """The connection breaks without an answer."""
    if exchange.request.transport is not None:
        exchange.request.transport.abort()
    return web.Response()


async def hang(exchange: Exchange) -> web.StreamResponse:
    """No answer ever."""
    await exchange.closing.wait()
    return await cut(exchange)


async def cut_midway(exchange: Exchange) -> web.StreamResponse:
    """Half of the video, although the headers promise all of it."""
    video = sample_video()
    response = web.StreamResponse(headers={"Content-Type": "video/mp4", "Content-Length": str(len(video))})
    await response.prepare(exchange.request)
    await response.write(video[: len(video) // 2])
    if exchange.request.transport is not None:
        exchange.request.transport.close()
    return response


def after_accepting(then: Fault) -> Fault:
    """The vendor does what it was asked for, and only its answer goes wrong."""

    async def answer(exchange: Exchange) -> web.StreamResponse:
        await exchange.accept()
        return await then(exchange)

    return answer


def status(code: int, body: bytes | None = None, **headers: str) -> Fault:
    """An error; unless told otherwise it quotes the caller's credentials, as some vendors do."""

    async def answer(exchange: Exchange) -> web.StreamResponse:
        sent = exchange.request.headers
        credentials = sent.get("Authorization") or sent.get("x-api-key")
        quoting = json.dumps({"error": {"message": f"refused: {credentials}"}}).encode()
        return web.Response(
            status=code,
            body=quoting if body is None else body,
            content_type="application/json",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )

    return answer


def says(body: bytes, media_type: str = "application/json") -> Fault:
    """An answer with status 200 and this body."""

    async def answer(exchange: Exchange) -> web.StreamResponse:
        return web.Response(body=body, content_type=media_type)

    return answer


def empty() -> Fault:
    return says(b"")


def html() -> Fault:
    return says(b"<html><body>We will be back soon.</body></html>", "text/html")


def half_a_file() -> Fault:
    """A complete answer whose file was cut before it was sent."""
    return says(sample_video()[: len(sample_video()) // 2], "video/mp4")


def redirect(location: str, code: int = 302) -> Fault:
    return status(code, Location=location)


def named(text: str) -> Fault:
    """A fault from the command line: `cut`, `hang`, `503`, `accepted-hang` ..."""
    if text.startswith("accepted-"):
        return after_accepting(named(text.removeprefix("accepted-")))
    if text.isdigit():
        return status(int(text))
    return {"cut": cut, "hang": hang, "cut-midway": cut_midway}[text]


@cache
def sample_video() -> bytes:
    """A small real MP4: half a second of H.264, with room for its index in front, as Discord likes it."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"moov_size": "2048"}) as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for shade in range(12):
            pixels = bytes([shade * 16]) * (64 * 64 * 4)
            frame = av.VideoFrame.from_bytes(pixels, 64, 64, format="rgba").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()
