"""What commands for moderators share: who may use them and on whom, how acts are answered and logged."""

import logging
from contextlib import suppress
from typing import TypeAlias

import discord
from discord import app_commands

from bot.client import Stillmotion
from bot.errors import BadRequest, NotAllowed
from bot.moderation import UNCHANGED, Moderator, Target
from bot.rules import Act
from cogs._acts import told
from cogs._answer import Interaction, role_ids

log = logging.getLogger(__name__)

LONGEST_REASON = 300
Reason: TypeAlias = app_commands.Range[str, 1, LONGEST_REASON]


def moderator(interaction: Interaction, reason: str | None = None) -> Moderator:
    """Who decides. Raises NotAllowed for who may not manage the server, whatever Discord says."""
    if not interaction.permissions.manage_guild:
        raise NotAllowed(f"Only members who may manage this server can do that. {UNCHANGED}")
    return Moderator(interaction.id, interaction.guild_id or 0, interaction.user.id, reason)


async def permitted(interaction: Interaction) -> Moderator | None:
    """Who decides, for what cannot be answered later: the others are told at once, and None comes back."""
    try:
        return moderator(interaction)
    except NotAllowed as fault:
        await interaction.response.send_message(str(fault), ephemeral=True)
        return None


def person(user: discord.User | discord.Member) -> discord.User | discord.Member:
    """Somebody who can make videos. Raises BadRequest for bots."""
    if user.bot:
        raise BadRequest(f"{user.mention} is a bot, and bots make no videos. {UNCHANGED}")
    return user


def target(interaction: Interaction, chosen: discord.User | discord.Member | discord.Role) -> Target:
    """Whose rule is meant. Raises BadRequest for bots and for roles above the moderator's own."""
    if not isinstance(chosen, discord.Role):
        return Target(member_id=person(chosen).id, role_ids=role_ids(chosen))
    if chosen.is_default():
        return Target()
    user, guild = interaction.user, interaction.guild
    owns = guild is not None and guild.owner_id == user.id
    if isinstance(user, discord.Member) and not owns and chosen > user.top_role:
        raise BadRequest(f"{chosen.mention} is above your own highest role. {UNCHANGED}")
    return Target(role_id=chosen.id)


async def done(bot: Stillmotion, interaction: Interaction, act: Act, also: int | None = None) -> str:
    """Log an act where the server wants it, and `also` in another channel, and say that it is done."""
    words = told(act, bot.studio.catalogue.label)
    chosen = (await bot.moderation.rules(act.guild_id)).log_channel_id
    for channel_id in {chosen, also} - {None}:
        await _post(bot, act.guild_id, channel_id, f"{interaction.user.mention} {words}.")
    return f"Done: {words}."


async def _post(bot: Stillmotion, guild_id: int, channel_id: int | None, text: str) -> None:
    """Post in a log channel, if it can be posted in; the history has it anyway."""
    with suppress(discord.HTTPException):
        await bot.get_partial_messageable(channel_id or 0, guild_id=guild_id).send(text[:2000])
        return
    log.warning("the log channel %d of server %d does not take a message", channel_id, guild_id)
