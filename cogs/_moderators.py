"""What commands for moderators share: who may use them, how their acts are answered and logged."""

import logging
from contextlib import suppress

import discord

from bot.client import Stillmotion
from bot.errors import NotAllowed
from bot.moderation import Moderator
from bot.rules import Act
from cogs._acts import told
from cogs._answer import Interaction

log = logging.getLogger(__name__)

LONGEST_REASON = 300


def moderator(interaction: Interaction, reason: str | None = None) -> Moderator:
    """Who decides. Raises NotAllowed for who may not manage the server, whatever Discord says."""
    if not interaction.permissions.manage_guild:
        raise NotAllowed("Only members who may manage this server can do that. Nothing was changed.")
    return Moderator(interaction.id, interaction.guild_id or 0, interaction.user.id, reason)


async def done(bot: Stillmotion, interaction: Interaction, act: Act) -> str:
    """Log an act where the server wants it, and say that it is done."""
    words = told(act, bot.studio.catalogue.label)
    await log_to_channel(bot, act.guild_id, f"{interaction.user.mention} {words}.")
    return f"Done: {words}."


async def log_to_channel(bot: Stillmotion, guild_id: int, text: str) -> None:
    """Post in the server's log channel, if it has one that can be posted in; the history has it anyway."""
    channel_id = (await bot.moderation.rules(guild_id)).log_channel_id
    if channel_id is None:
        return
    with suppress(discord.HTTPException):
        await bot.get_partial_messageable(channel_id, guild_id=guild_id).send(text[:2000])
        return
    log.warning("the log channel %d of server %d does not take a message", channel_id, guild_id)
