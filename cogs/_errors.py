"""What goes wrong before a command has begun: everything later is told by the command itself."""

import logging

import discord
from discord import app_commands

from bot.client import Stillmotion
from cogs._answer import VIDEO, sentence, tell

log = logging.getLogger(__name__)

_CHANGED = "This command has changed since your Discord loaded it. Type it anew in a minute."


async def on_error(interaction: discord.Interaction, error: app_commands.AppCommandError) -> None:
    if isinstance(error, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
        log.warning("%s", error)
        await tell(interaction, f"{_CHANGED} {VIDEO.undone}")
        return
    await tell(interaction, sentence(interaction, error, VIDEO))


async def setup(bot: Stillmotion) -> None:
    bot.tree.error(on_error)
