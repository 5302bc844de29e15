"""Posts for moderators in the channel that they chose for it."""

import discord

from bot.delivery.calls import CALL_TIMEOUT, call


async def post(
    client: discord.Client,
    guild_id: int,
    channel_id: int,
    text: str,
    *,
    nonce: str | None = None,
    seconds: float = CALL_TIMEOUT,
) -> None:
    """Post a text that pings nobody. Raises DeliveryFault."""
    channel = client.get_partial_messageable(channel_id, guild_id=guild_id)
    nobody = discord.AllowedMentions.none()
    await call(
        channel.send(text[:2000], nonce=nonce or discord.utils.MISSING, allowed_mentions=nobody), seconds
    )
