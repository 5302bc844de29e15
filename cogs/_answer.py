"""Acknowledge first; then the command's reply, or the fault that it met."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import discord

from bot.client import SOMETHING_WENT_WRONG, stillmotion
from bot.errors import UserFault

P = ParamSpec("P")
S = TypeVar("S")
Interaction: TypeAlias = "discord.Interaction[Any]"
RESTARTING = (
    "I am being restarted. `/jobs list` shows whether your video is in the queue; "
    "what is not there was not charged."
)


@dataclass(frozen=True)
class Page:
    """A reply with more to it than words."""

    embed: discord.Embed | None = None
    view: discord.ui.View | None = None
    file: discord.File | None = None


RESTARTING_DECISION = (
    "I am being restarted. `/quota-admin history` shows in a minute whether this was written down."
)
Reply: TypeAlias = str | discord.Embed | Page
"""What a command has to say to the person, and to nobody else."""


def privately(
    command: Callable[Concatenate[S, Interaction, P], Awaitable[Reply]],
) -> Callable[Concatenate[S, Interaction, P], Coroutine[Any, Any, None]]:
    """Make a command of a function that returns its reply; only the person sees it. A UserFault is one, too.

    Discord waits three seconds for a sign of life, so that comes before anything that can wait.
    """

    async def answer(self: S, interaction: Interaction, *args: P.args, **kwargs: P.kwargs) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        try:
            reply = await command(self, interaction, *args, **kwargs)
        except UserFault as fault:
            reply = str(fault)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Not this task was cancelled but the work it waited for: the bot is being stopped.
            decides = interaction.command is not None and "-admin" in interaction.command.qualified_name
            reply = RESTARTING_DECISION if decides else RESTARTING
        except Exception:
            await interaction.edit_original_response(content=SOMETHING_WENT_WRONG)
            raise
        if isinstance(reply, str):
            await interaction.edit_original_response(content=reply[:2000])
            return
        page = reply if isinstance(reply, Page) else Page(reply)
        files = [] if page.file is None else [page.file]
        await interaction.edit_original_response(embed=page.embed, view=page.view, attachments=files)

    @functools.wraps(command)
    async def answered(self: S, interaction: Interaction, *args: P.args, **kwargs: P.kwargs) -> None:
        with stillmotion(interaction).answering():
            await answer(self, interaction, *args, **kwargs)

    return answered
