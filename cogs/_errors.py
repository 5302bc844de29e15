"""What goes wrong before a command has begun: everything later is told by the command itself."""

import contextvars
import logging
from typing import cast

import discord
from discord import app_commands

from bot.client import Stillmotion, stillmotion
from cogs._answer import VIDEO, Interaction, sentence, tell
from cogs._buttons import CancelButton
from cogs._offered import CHANGED, objection, suggest_nothing
from cogs.quota_admin._history import HistoryButton
from cogs.quota_admin._member_card import MemberButton, form_of

log = logging.getLogger(__name__)

BUTTONS = [item.__discord_ui_compiled_template__ for item in (CancelButton, HistoryButton, MemberButton)]


async def on_error(interaction: discord.Interaction, error: app_commands.AppCommandError) -> None:
    if isinstance(error, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
        log.warning("%s", error)
        await tell(interaction, f"{CHANGED} {VIDEO.undone}")
        return
    await tell(interaction, sentence(interaction, error, VIDEO))


def may_be_read(interaction: Interaction) -> bool:
    """The one check of commands, suggestions, buttons and forms: of the server, and of what was sent."""
    bot = stillmotion(interaction)
    why = bot.admission.refusal(interaction.guild_id) or objection(interaction, BUTTONS, form_of)
    if why is None:
        _expect(interaction)
        return True
    bot.tasks.spawn(_refuse(interaction, why), "refusing an interaction", context=contextvars.copy_context())
    return False


def _expect(interaction: Interaction) -> None:
    """Have discord.py read a form that was opened before a restart, or by another process."""
    if interaction.type is discord.InteractionType.modal_submit:
        form = form_of(cast("dict[str, str]", interaction.data)["custom_id"])
        # What discord.py waits for is what this very answer is read by.
        interaction.client._connection.store_view(form)  # noqa: SLF001 - nothing public takes a form


async def _refuse(interaction: Interaction, why: str) -> None:
    with stillmotion(interaction).answering():
        if interaction.type is discord.InteractionType.autocomplete:
            await suggest_nothing(interaction)
        else:
            await tell(interaction, why)


async def setup(bot: Stillmotion) -> None:
    bot.tree.error(on_error)
    bot.may_be_read = may_be_read
