"""`/jobs`: a member's latest videos."""

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Stillmotion
from bot.jobs import Job, JobState
from bot.words import count
from cogs._answer import Interaction, privately
from cogs._cards import jump, short

_LISTED = 10
_SIGNS = {JobState.DELIVERED: "✅", JobState.FAILED: "❌", JobState.CANCELLED: "⏹️", JobState.QUEUED: "🕒"}


class Jobs(commands.Cog):
    def __init__(self, bot: Stillmotion) -> None:
        self.bot = bot

    @app_commands.command()
    @privately
    async def jobs(self, interaction: Interaction) -> discord.Embed:
        """Your latest videos in this server."""
        found = await self.bot.studio.recent(interaction.guild_id or 0, interaction.user.id, _LISTED)
        lines = [_line(job) for job in found]
        return discord.Embed(
            title="Your latest videos",
            description="\n".join(lines) or "None yet. `/animate` with a picture makes the first one.",
            colour=discord.Colour.blurple(),
        )


def _line(job: Job) -> str:
    words = f"{_SIGNS.get(job.state, '⏳')} {short(job.request.prompt, 60)}"
    link = jump(job)
    shown = f"[{job.state.value}]({link})" if link else job.state.value
    charged = count(job.charged, "credit") if job.charged else "not charged"
    return f"{words}\n-# {shown}, {discord.utils.format_dt(job.created_at, 'R')}, {charged}"


async def setup(bot: Stillmotion) -> None:
    await bot.add_cog(Jobs(bot))
