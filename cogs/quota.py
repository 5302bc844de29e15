"""`/quota`: what a member has left."""

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Stillmotion
from bot.jobs import Job
from bot.quotas import WindowKind
from cogs._answer import Interaction, privately
from cogs._cards import count, jump, short

_LOOKED_AT = 25
_SHOWN = 5
"""A field of an embed holds 1024 characters."""
_WHEN = {WindowKind.DAY: "today", WindowKind.WEEK: "this week", WindowKind.MONTH: "this month"}


class Quota(commands.Cog):
    def __init__(self, bot: Stillmotion) -> None:
        self.bot = bot

    @app_commands.command()
    @privately
    async def quota(self, interaction: Interaction) -> discord.Embed:
        """What you have left, when it renews, and what is running."""
        guild_id, user_id = interaction.guild_id or 0, interaction.user.id
        balance = await self.bot.studio.balance(guild_id, user_id)
        recent = await self.bot.studio.recent(guild_id, user_id, _LOOKED_AT)
        running = [job for job in recent if job.state.is_open]
        amount = balance.allowance.amount
        embed = discord.Embed(
            title=f"{balance.left} of {count(amount, 'credit')} left {_WHEN[balance.allowance.kind]}",
            description="One video usually takes one credit. What does not arrive is not charged.",
            colour=discord.Colour.blurple() if balance.left else discord.Colour.orange(),
        )
        embed.add_field(name="Renews", value=discord.utils.format_dt(balance.window.end, "R"))
        lines = [_line(job) for job in running[:_SHOWN]]
        if len(running) > _SHOWN:
            lines.append(f"and {len(running) - _SHOWN} more")
        embed.add_field(name="Under way", value="\n".join(lines) or "Nothing", inline=False)
        return embed


def _line(job: Job) -> str:
    words = short(job.request.prompt, 40)
    link = jump(job)
    return f"{job.state.value}: [{words}]({link})" if link else f"{job.state.value}: {words}"


async def setup(bot: Stillmotion) -> None:
    await bot.add_cog(Quota(bot))
