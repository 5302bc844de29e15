"""`/quota`: what a member has left."""

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Stillmotion
from bot.delivery.look import jump
from bot.jobs import Job, JobState
from bot.notices import ending
from bot.quota.allowances import Block, Grant, Ruling, Source, Standing, WindowKind
from bot.words import count, escape, fitting, full, relative
from cogs._answer import Interaction, privately
from cogs._decisions import amount_of
from cogs._permissions import role_ids

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
        """What you have left, by which rule, when it renews, and what your last videos cost."""
        booking, guild_id, user = self.bot.booking, interaction.guild_id or 0, interaction.user
        standing = await booking.standing(guild_id, user.id, role_ids(user))
        recent = await booking.recent(guild_id, user.id, _LOOKED_AT)
        embed = standing_embed(standing)
        running = [job for job in recent if job.state.is_open]
        told = fitting([_running(job) for job in running]) or "Nothing"
        embed.add_field(name="Under way", value=told, inline=False)
        if over := [job for job in recent if not job.state.is_open][:_SHOWN]:
            label = booking.catalogue.label
            told = fitting([_over(job, label(job.provider)) for job in over])
            embed.add_field(name="Last videos", value=told, inline=False)
        return embed


def standing_embed(standing: Standing) -> discord.Embed:
    """What somebody has left, and why. It speaks of nobody by name."""
    left = standing.left
    blocked = standing.block is not None
    embed = discord.Embed(
        title="No videos for now" if blocked else _title(standing),
        description="What does not arrive is not charged.",
        colour=discord.Colour.orange() if blocked or left == 0 else discord.Colour.blurple(),
    )
    if standing.block is not None:
        embed.add_field(name="Blocked", value=_blocked(standing.block), inline=False)
    embed.add_field(name="Rule", value=rule(standing.ruling))
    embed.add_field(name="Used", value=count(standing.used, "credit"))
    embed.add_field(name="Renews", value=relative(standing.window.end))
    if (ceiling := standing.ceiling) is not None:
        used = f"{ceiling.used} of {count(ceiling.limit, 'credit')} used today"
        embed.add_field(name="In all servers", value=used)
    if standing.grants:
        told = fitting([_granted(grant) for grant in standing.grants])
        embed.add_field(name="Granted", value=told, inline=False)
    return embed


def rule(ruling: Ruling) -> str:
    """An allowance, and whose rule it is."""
    match ruling.source:
        case Source.MEMBER:
            whose = "set for this member"
        case Source.ROLE:
            whose = f"by the role <@&{ruling.role_id}>"
        case Source.SERVER:
            whose = "set for everyone here"
        case Source.BOT:
            whose = "what the bot gives by default"
    if ruling.decided is not None:
        return f"{amount_of(ruling.allowance)}, the most that this bot allows anybody"
    return f"{amount_of(ruling.allowance)}, {whose}"


def _title(standing: Standing) -> str:
    if standing.left is None:
        return f"No limit {_WHEN[standing.ruling.allowance.kind]}"
    amount = count(standing.ruling.allowance.amount or 0, "credit")
    granted = f" and {count(standing.granted, 'granted credit')}" if standing.granted else ""
    return f"{standing.in_window} of {amount}{granted} left {_WHEN[standing.ruling.allowance.kind]}"


def _blocked(block: Block) -> str:
    why = f": {escape(block.reason, 200)}" if block.reason else ""
    return f"{f'until {full(block.until)}' if block.until else 'until a moderator allows it again'}{why}"


def _granted(grant: Grant) -> str:
    end = f", until {full(grant.expires_at)}" if grant.expires_at else ""
    why = f": {escape(grant.reason, 100)}" if grant.reason else ""
    return f"{grant.left} of {count(grant.amount, 'credit')}{end}{why}"


def _running(job: Job) -> str:
    words = escape(job.request.prompt, 40)
    link = jump(job)
    return f"{job.state.value}: [{words}]({link})" if link else f"{job.state.value}: {words}"


def _over(job: Job, provider: str) -> str:
    if job.state is JobState.DELIVERED:
        return f"{count(job.charged, 'credit')}: {escape(job.request.prompt, 60)}"
    why = ending(job, provider).partition(". ")[0]  # a provider's own dots are escaped
    return f"not charged: {escape(job.request.prompt, 40)}\n-# {why}"


async def setup(bot: Stillmotion) -> None:
    await bot.add_cog(Quota(bot))
