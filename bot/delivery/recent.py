"""A look at what the bot has posted lately: a message whose id was never written down is found again."""

from collections.abc import Callable
from datetime import datetime, timedelta

import discord

from bot.delivery.calls import call
from bot.errors import Undeliverable

_LOOKED_AT = 300
_SKEW = timedelta(minutes=1)
"""How far our clock may be from Discord's."""


async def own_message(
    client: discord.Client,
    channel: discord.PartialMessageable,
    since: datetime,
    is_it: Callable[[discord.Message], bool],
) -> discord.Message | None:
    """The bot's first message in a channel since then that is the one; None also where it may not look.

    Raises Undelivered.
    """
    own = client.user.id if client.user else 0

    async def look() -> discord.Message | None:
        history = channel.history(limit=_LOOKED_AT, after=since - _SKEW, oldest_first=True)
        return await anext(
            (message async for message in history if message.author.id == own and is_it(message)), None
        )

    try:
        return await call(look())
    except Undeliverable:
        return None
