"""One call to Discord, and what each way of failing means for a delivery."""

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from typing import TypeVar

import aiohttp
import discord

from bot.errors import (
    Archived,
    DeliveryFault,
    Gone,
    MessageGone,
    NoReplies,
    TooLarge,
    Undeliverable,
    Undelivered,
)

T = TypeVar("T")
log = logging.getLogger(__name__)

CALL_TIMEOUT = 60.0
_TOO_LARGE = {40005, 50045}
_NOT_NOW = {20016, 20028, 20029, 30046, 40003, 40333}
"""Limits on writing and on opening direct messages, and a wall before Discord: none always comes as a 429."""
_KINDS: Mapping[int, type[DeliveryFault]] = {
    10003: Gone,  # the channel
    10004: Gone,  # the server
    10008: MessageGone,
    50083: Archived,
    160002: NoReplies,
}
"""By Discord's own codes; what is not among them is Undeliverable."""
_NOT_DISCORDS = 0
"""What an error has that is not Discord's own: a page of what stands before it, or an unknown address."""


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
    except Exception as error:
        # An answer that was cut off, or that discord.py does not know: what was asked for may have happened.
        log.warning("a call to Discord came to %r", error, exc_info=error)
        raise Undelivered(f"an unreadable answer: {error!r}") from error


def _fault(error: discord.HTTPException) -> DeliveryFault:
    if error.status == 413 or error.code in _TOO_LARGE:  # noqa: PLR2004 - HTTP's Content Too Large
        return TooLarge(str(error))
    if error.status >= 500 or error.status in {401, 429} or error.code in {_NOT_DISCORDS, *_NOT_NOW}:  # noqa: PLR2004 - HTTP's server errors
        return Undelivered(str(error))
    return _KINDS.get(error.code, Undeliverable)(str(error))
