"""What commands for moderators share: who may use them and on whom, how decisions are answered and logged."""

import logging
from typing import TypeAlias, TypeVar

import discord
from discord import app_commands

from bot.client import Stillmotion
from bot.delivery.log import Logged
from bot.errors import BadRequest, NotAllowed, NotNow
from bot.moderation import UNCHANGED, Moderator, Target
from bot.outages import outage
from bot.quota.decisions import Decision
from bot.quota.limits import LONGEST_REASON
from cogs._answer import Interaction
from cogs._decisions import still, told
from cogs._permissions import knows_server, manages_server, role_ids

T = TypeVar("T")

log = logging.getLogger(__name__)

_PATIENCE = 5.0
"""Seconds that a log channel gets before the moderator is answered."""
_LOGGED = {
    Logged.POSTED: "",
    Logged.LATER: " The log channel {channel} gets it as soon as Discord takes it.",
    Logged.LOST: " The log channel {channel} does not get this one; `/quota-admin history` has it.",
    Logged.REFUSED: " The log channel {channel} does not take my messages; choose another one.",
}
Reason: TypeAlias = app_commands.Range[str, 1, LONGEST_REASON]


def reasoned(command: T) -> T:
    """Say what a command's `reason` is for."""
    # Made anew each time: discord.py keeps all of a command's descriptions in it.
    describe = app_commands.describe(reason="Kept in the history; of a grant or a block, the member reads it")
    return describe(command)


def moderator(interaction: Interaction, reason: str | None = None) -> Moderator:
    """Who decides. Raises NotAllowed for who may not manage the server, whatever Discord says."""
    if not manages_server(interaction):
        raise NotAllowed(f"Only members who may manage this server can do that. {UNCHANGED}")
    said = (reason or "").strip() or None
    if said is not None and len(said) > LONGEST_REASON:
        raise BadRequest(f"A reason has up to {LONGEST_REASON} characters. {UNCHANGED}")
    return Moderator(interaction.id, interaction.guild_id or 0, interaction.user.id, said)


class TextOnly(app_commands.Transformer):
    """A channel as it came with the command: discord.py's own way finds those alone that are in the cache."""

    @property
    def type(self) -> discord.AppCommandOptionType:
        return discord.AppCommandOptionType.channel

    @property
    def channel_types(self) -> list[discord.ChannelType]:
        return [discord.ChannelType.text, discord.ChannelType.news]

    async def transform(
        self,
        interaction: Interaction,  # noqa: ARG002 - the signature is discord.py's
        value: app_commands.AppCommandChannel,
        /,
    ) -> app_commands.AppCommandChannel:
        return value


def may_log_in(interaction: Interaction, chosen: app_commands.AppCommandChannel) -> bool:
    """Whether the bot may post there; also where that is not known, for the first post shows it."""
    mine, known = interaction.app_permissions, chosen.resolve()
    if chosen.id != interaction.channel_id:
        if known is None or not knows_server(interaction):
            return True
        mine = known.permissions_for(known.guild.me)
    return mine.administrator or (mine.view_channel and mine.send_messages)


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
    _check_rank(interaction, chosen)
    return Target(role_id=chosen.id)


def _check_rank(interaction: Interaction, chosen: discord.Role) -> None:
    """Nobody decides about roles above their own. Raises UserFault."""
    user, guild = interaction.user, interaction.guild
    if not isinstance(user, discord.Member) or chosen.id in role_ids(user):
        return
    if guild is None or not knows_server(interaction):
        raise NotNow(
            "I have just started and do not know the order of this server's roles yet. "
            f"Try again in a minute. {UNCHANGED}"
        )
    if guild.owner_id != user.id and chosen > user.top_role:
        raise BadRequest(f"{chosen.mention} is above your own highest role. {UNCHANGED}")


async def done(
    bot: Stillmotion, interaction: Interaction, decision: Decision, also: int | None = None
) -> str:
    """Log a decision where the server wants it, and `also` in another channel, and say that it is done."""
    words = told(decision, bot.booking.catalogue.label)
    text = f"{interaction.user.mention} {words}."
    try:
        chosen = await bot.moderation.log_channel(decision.guild_id)
    except Exception as error:
        if outage(error) is None:
            raise
        log.warning("nobody knows where the log of server %d is: %s", decision.guild_id, error)
        return f"Done: {words}. The log channel may not show it; `/quota-admin history` does."
    limit = still(decision.change, bot.moderation.limits)
    note = limit + (await _log(bot, decision, chosen, text) if chosen is not None else "")
    if also not in {None, chosen}:
        await _log(bot, decision, also or 0, text)
    return f"Done: {words}.{note}"


async def _log(bot: Stillmotion, decision: Decision, channel_id: int, text: str) -> str:
    """Post a decision in a log channel, and say what became of that; the history has it anyway."""
    logged = await bot.logs.post(
        "decision", decision.id, decision.guild_id, channel_id, text, patience=_PATIENCE
    )
    return _LOGGED[logged].format(channel=f"<#{channel_id}>")
