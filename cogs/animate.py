"""`/animate` and `/video`: a picture and a prompt, or a prompt alone, become a video in the channel."""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Stillmotion
from bot.intake import Order
from bot.words import count
from cogs._answer import Interaction, making
from cogs._options import PROMPT, order, suggest_from, with_options
from providers.specs import Mode


class Animate(commands.Cog):
    def __init__(self, bot: Stillmotion) -> None:
        self.bot = bot
        suggest_from(self.animate, lambda: bot.booking.catalogue)
        suggest_from(self.video, lambda: bot.booking.catalogue)

    @app_commands.command(extras={"mode": Mode.IMAGE_TO_VIDEO})
    @app_commands.describe(
        image="The picture to bring to life: JPEG, PNG or WebP",
        prompt="What should move and how; describe the motion rather than the picture",
    )
    @with_options
    @making
    async def animate(
        self,
        interaction: Interaction,
        image: discord.Attachment,
        prompt: PROMPT,
        **options: Any,  # noqa: ANN401 - each is declared in OPTIONS
    ) -> str:
        """Turn a picture into a video."""
        return await self._book(await order(interaction, prompt, options, image))

    @app_commands.command(extras={"mode": Mode.TEXT_TO_VIDEO})
    @app_commands.describe(prompt="What is seen and what happens")
    @with_options
    @making
    async def video(
        self,
        interaction: Interaction,
        prompt: PROMPT,
        **options: Any,  # noqa: ANN401 - each is declared in OPTIONS
    ) -> str:
        """Make a video from words alone."""
        return await self._book(await order(interaction, prompt, options, None))

    async def _book(self, asked: Order) -> str:
        job = await self.bot.tasks.detached(self.bot.booking.enqueue(asked), f"order {asked.id}")
        price = "" if job.price == 1 else f" and takes {count(job.price, 'credit')}"
        shown = "The card below shows how it goes" if job.card_id else "Its card could not be posted here"
        return f"Your video is in the queue{price}. {shown}; `/jobs list` shows all of yours."


async def setup(bot: Stillmotion) -> None:
    await bot.add_cog(Animate(bot))
