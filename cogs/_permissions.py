"""What people and the bot may do where a command was used, by what Discord sent along with it.

Between a start and the server's GUILD_CREATE, and in an outage, the bot's cache of a server is empty: what is
not in there is not known. Permissions, roles and the channel come with each interaction.
"""

import discord

from bot.delivery.calls import call
from bot.errors import DeliveryFault, NotAllowed, NotNow, Undeliverable
from bot.login import EVERYWHERE, TO_SEND, TO_SEND_IN_THREADS
from cogs._answer import Interaction

_PATIENCE = 10.0
"""Seconds for one question to Discord."""
_VOICE = {discord.ChannelType.voice, discord.ChannelType.stage_voice}
_FREE = "Nothing was charged."


def role_ids(user: discord.abc.User) -> frozenset[int]:
    """The roles of a member as Discord sent them with the command; nobody else has any."""
    if not isinstance(user, discord.Member):
        return frozenset()
    return frozenset(user._roles)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - `roles` lacks those not in the cache


def knows_server(interaction: Interaction) -> bool:
    """Whether roles, channels and the owner of the server are in the cache."""
    guild = interaction.guild
    return guild is not None and guild.get_role(guild.id) is not None


def manages_server(interaction: Interaction) -> bool:
    return _has(interaction.permissions, "manage_guild")


def moderates(interaction: Interaction, channel_id: int) -> bool:
    """Whether the person may manage a channel's messages; of one that is gone, who manages the server may.

    Raises NotNow where that is not known.
    """
    if manages_server(interaction):
        return True
    if channel_id == interaction.channel_id:
        return _has(interaction.permissions, "manage_messages")
    guild, member = interaction.guild, interaction.user
    if guild is None or not knows_server(interaction):
        raise NotNow("I have just started and do not know this server's channels yet. Try again in a minute.")
    channel = guild.get_channel_or_thread(channel_id)
    if channel is None or not isinstance(member, discord.Member):
        return False
    return channel.permissions_for(member).manage_messages


def is_public(interaction: Interaction) -> bool:
    """Whether everybody in the server can look there, without an age limit; not if that is not known."""
    channel, guild = interaction.channel, interaction.guild
    if guild is None or channel is None or not knows_server(interaction):
        return False
    if isinstance(channel, discord.Thread) and channel.is_private():
        return False
    # What only came with the command lacks the channel's own permissions.
    known = guild.get_channel(channel.parent_id if isinstance(channel, discord.Thread) else channel.id)
    if known is None or getattr(known, "nsfw", True):
        return False
    return known.permissions_for(guild.default_role).view_channel


def check_member(interaction: Interaction, instead: str = _FREE) -> None:
    """What the bot posts for somebody, they could post themselves. Raises NotAllowed."""
    sending = _sending(interaction.channel)
    if not all(_has(interaction.permissions, name) for name in (sending, "attach_files")):
        raise NotAllowed(f"You may not post files in this channel, so I post none for you here. {instead}")


async def check_bot(interaction: Interaction) -> None:
    """Everything that posting a video needs, before anything is charged. Raises NotAllowed or NotNow."""
    mine, channel = interaction.app_permissions, interaction.channel
    if channel is None:
        raise NotAllowed(f"I cannot post videos in a channel of this kind. {_FREE}")
    needed = [*EVERYWHERE, _sending(channel), *(("connect",) if channel.type in _VOICE else ())]
    if isinstance(channel, discord.Thread) and channel.locked:
        needed.append("manage_threads")
    if missing := [name for name in needed if not _has(mine, name)]:
        names = ", ".join(name.replace("_", " ").title() for name in missing)
        raise NotAllowed(
            f"I may not post videos in this channel. A moderator has to give me: {names}. {_FREE}"
        )
    if isinstance(channel, discord.Thread) and channel.is_private() and not _has(mine, "manage_threads"):
        await _check_thread(interaction, channel)


async def _check_thread(interaction: Interaction, thread: discord.Thread) -> None:
    """A private thread is closed to who is no member of it, whatever the permissions say."""
    if thread.me is not None:
        return
    try:
        await call(interaction.client.fetch_channel(thread.id), _PATIENCE)
    except Undeliverable as fault:
        raise NotAllowed(
            f"I am not in this private thread. Mention me in it, and I am added; then try again. {_FREE}"
        ) from fault
    except DeliveryFault as fault:
        raise NotNow(f"Discord does not answer me just now. Try again in a minute. {_FREE}") from fault


def _sending(channel: object) -> str:
    return TO_SEND_IN_THREADS if isinstance(channel, discord.Thread) else TO_SEND


def _has(permissions: discord.Permissions, name: str) -> bool:
    return permissions.administrator or bool(getattr(permissions, name))
