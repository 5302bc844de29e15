"""What can go wrong with one answer of Discord, beside `cut`, `hang` and `after_accepting` of the vendors."""

import asyncio
import json

from aiohttp import web

from tests.vendors.faults import Exchange, Fault, after_accepting, cut, hang, status

__all__ = ["after_accepting", "altered", "cut", "hang", "html", "late", "refusal", "too_many"]


def refusal(code: int, reason: int = 0, message: str = "refused") -> Fault:
    """An error with this HTTP status and, in its body, a code from Discord's list."""
    return status(code, json.dumps({"code": reason, "message": message}).encode())


def too_many(retry_after: float, *, everywhere: bool = False) -> Fault:
    body = {"message": "You are being rate limited.", "retry_after": retry_after, "global": everywhere}
    return status(429, json.dumps(body).encode(), Retry_After=str(retry_after))


def html(code: int) -> Fault:
    """An error page of what stands before Discord."""

    async def answer(_: Exchange) -> web.StreamResponse:
        return web.Response(status=code, text="<html>No.</html>", content_type="text/html")

    return answer


def late(until: asyncio.Event, then: Fault | None = None) -> Fault:
    """It takes until then; and nothing goes wrong, unless told otherwise."""

    async def answer(exchange: Exchange) -> web.StreamResponse:
        await until.wait()
        return await (then(exchange) if then else exchange.accept())

    return answer


def altered(**fields: object) -> Fault:
    """Discord does what it was asked for, and its answer (or each entry of it) has these fields instead."""

    async def answer(exchange: Exchange) -> web.StreamResponse:
        response = await exchange.accept()
        assert isinstance(response, web.Response)
        body = json.loads(response.text or "")
        body = [entry | fields for entry in body] if isinstance(body, list) else body | fields
        return web.Response(body=json.dumps(body).encode(), content_type="application/json")

    return answer
