"""Buttons that work after a restart: all they know is in their custom id."""

from typing import Any

import discord

from bot.client import stillmotion
from bot.delivery.look import cancel_button
from bot.notices import cancelled
from cogs._answer import CANCELLING, Interaction, answering
from cogs._ids import ID, FromCustomId, known
from cogs._permissions import moderates


class CancelButton(
    FromCustomId, discord.ui.DynamicItem[discord.ui.Button[Any]], template=rf"cancel:(?P<job_id>{ID})"
):
    """Ends a job, for the member who asked for it and for members who may manage messages."""

    def __init__(self, job_id: int) -> None:
        super().__init__(cancel_button(job_id))
        self.job_id = job_id

    async def callback(self, interaction: Interaction) -> None:
        await self._cancel(interaction)

    @answering(CANCELLING)
    async def _cancel(self, interaction: Interaction) -> str:
        known(self.job_id)
        bot, user_id = stillmotion(interaction), interaction.user.id
        cancelling = bot.booking.cancel(
            self.job_id, interaction.guild_id or 0, user_id, lambda place: moderates(interaction, place)
        )
        job = await bot.tasks.detached(cancelling, f"cancel {self.job_id}")
        left = await bot.booking.waste.cancels_left(job) if job.held_until else 0
        return cancelled(job, bot.booking.catalogue.label(job.provider), left)
