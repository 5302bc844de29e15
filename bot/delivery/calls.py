"""One call to Discord, and what each way of failing means for a delivery."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import aiohttp
import discord

from bot.errors import Archived, DeliveryFault, NoReplies, TooLarge, Undeliverable, Undelivered

T = TypeVar("T")

CALL_TIMEOUT = 60.0
_TOO_LARGE = {40005, 50045}
_TOO_OFTEN = {20016, 20028, 20029, 30046, 40003}
"""Limits on writing, and on opening direct messages, that do not always come as a 429."""
_ARCHIVED = 50083
_NO_REPLIES = 160002


async def call(making: Awaitable[T], seconds: float = CALL_TIMEOUT) -> T:
    """Await one call to Discord; raises a DeliveryFault for whatever may go wrong with it."""
    try:
        async with asyncio.timeout(seconds):
            return await making
    except discord.RateLimited as error:
        raise Undelivered(str(error)) from error
    except discord.HTTPException as error:
        raise _fault(error) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Undelivered(repr(error)) from error


def _fault(error: discord.HTTPException) -> DeliveryFault:
    if error.status == 413 or error.code in _TOO_LARGE:  # noqa: PLR2004 - HTTP's Content Too Large
        return TooLarge(str(error))
    if error.status >= 500 or error.status in {401, 429} or error.code in _TOO_OFTEN:  # noqa: PLR2004 - HTTP's server errors
        return Undelivered(str(error))
    if error.code in {_ARCHIVED, _NO_REPLIES}:
        return Archived(str(error)) if error.code == _ARCHIVED else NoReplies(str(error))
    return Undeliverable(str(error))
