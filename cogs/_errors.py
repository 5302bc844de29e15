"""What goes wrong before a command has begun: everything later is told by the command itself."""

import logging
import re
from typing import Any

import discord
from discord import app_commands

from bot.client import Stillmotion
from cogs._answer import VIDEO, Interaction, sentence, tell
from cogs._buttons import CancelButton
from cogs._history import HistoryButton
from cogs._ids import UNKNOWN_BUTTON
from cogs._member_card import MemberButton
from cogs._offered import CHANGED

log = logging.getLogger(__name__)

_OLD_FORM = "I have been restarted since this form was opened. Open it again; nothing was changed."
_TEMPLATES = [item.__discord_ui_compiled_template__ for item in (CancelButton, HistoryButton, MemberButton)]


async def on_error(interaction: discord.Interaction, error: app_commands.AppCommandError) -> None:
    if isinstance(error, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
        log.warning("%s", error)
        await tell(interaction, f"{CHANGED} {VIDEO.undone}")
        return
    await tell(interaction, sentence(interaction, error, VIDEO))


async def on_interaction(interaction: Interaction) -> None:
    """Answer what discord.py drops in silence: buttons and forms that nothing here belongs to."""
    if interaction.type is discord.InteractionType.component and not _is_taken(interaction):
        await tell(interaction, UNKNOWN_BUTTON)
    if interaction.type is discord.InteractionType.modal_submit and not _is_awaited(interaction):
        await tell(interaction, _OLD_FORM)


def _is_taken(interaction: Interaction) -> bool:
    """Whether it is a button of ours, and stands in its message: discord.py looks for both."""
    data: Any = interaction.data
    custom_id, kind = data["custom_id"], data["component_type"]
    rows = interaction.message.components if interaction.message else []
    shown = [item for row in rows if isinstance(row, discord.ActionRow) for item in row.children]
    stands = any(item.custom_id == custom_id and item.type.value == kind for item in shown)
    return stands and any(re.fullmatch(ours, custom_id) for ours in _TEMPLATES)


def _is_awaited(interaction: Interaction) -> bool:
    """Whether this process has shown the form. Nothing public tells; what it awaits it has begun by now."""
    data: Any = interaction.data
    forms = interaction.client._connection._view_store._modals  # noqa: SLF001
    return data["custom_id"] in forms


async def setup(bot: Stillmotion) -> None:
    bot.tree.error(on_error)
    bot.add_listener(on_interaction)
