"""`/jobs`: a member's latest videos, and a way to have one sent again."""

import logging
from pathlib import Path

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Stillmotion
from bot.delivery.calls import call
from bot.delivery.look import jump
from bot.delivery.resend import Unsure
from bot.delivery.upload_limits import HIGHEST_TIER
from bot.delivery.videos import NAME, UPLOAD_TIMEOUT
from bot.errors import UserFault
from bot.jobs import Job, JobState
from bot.words import count, escape, plain
from cogs._answer import Interaction, making, privately, suggesting
from cogs._buttons import CancelButton
from cogs._ids import read_id
from cogs._permissions import check_member, moderates, role_ids

log = logging.getLogger(__name__)

_LISTED = 10
_FREE = "Nothing was charged for this."
_SIGNS = {JobState.DELIVERED: "✅", JobState.FAILED: "❌", JobState.CANCELLED: "⏹️", JobState.QUEUED: "🕒"}


@app_commands.guild_only()
class Jobs(commands.GroupCog, group_name="jobs"):
    """Your videos."""

    def __init__(self, bot: Stillmotion) -> None:
        self.bot = bot

    @app_commands.command(name="list")
    @privately
    async def list_(self, interaction: Interaction) -> discord.Embed:
        """Your latest videos in this server."""
        guild_id, user_id = interaction.guild_id or 0, interaction.user.id
        found = await self.bot.booking.recent(guild_id, user_id, _LISTED)
        kept = {job.id for job in await self.bot.resend.of(guild_id, user_id)}
        lines = [_line(job, kept=job.id in kept) for job in found]
        return discord.Embed(
            title="Your latest videos",
            description="\n".join(lines) or "None yet. `/animate` with a picture makes the first one.",
            colour=discord.Colour.blurple(),
        )

    @app_commands.command()
    @app_commands.describe(
        video="Which one; moderators may give the number of anybody's",
        show="Post it here for all to see; otherwise only you see it",
    )
    @making
    async def resend(
        self, interaction: Interaction, video: app_commands.Range[str, 1, 20], *, show: bool = False
    ) -> str:
        """Have a video sent again, in its original size where that is possible."""
        try:
            return await self._resend(interaction, read_id(video), show=show)
        except Unsure:
            raise
        except UserFault as fault:
            raise type(fault)(f"{fault} {_FREE}") from fault

    async def _resend(self, interaction: Interaction, job_id: int, *, show: bool) -> str:
        resend, user = self.bot.resend, interaction.user
        job = await resend.find(
            job_id, interaction.guild_id or 0, user.id, lambda place: moderates(interaction, place)
        )
        if show:
            check_member(interaction, "Leave out `show`, and you alone get it.")
        limit = min(interaction.filesize_limit, HIGHEST_TIER)
        sent = await resend.send(
            job,
            user.id,
            role_ids(user),
            limit,
            lambda path: _send(interaction, job, path, show=show),
            show=show,
        )
        said = "Here it is, as it was made." if sent.is_original else "Here it is, made to fit here."
        return f"{said} It took {count(job.price, 'credit')}." if sent.is_paid else said

    @resend.autocomplete("video")
    @suggesting
    async def _videos(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        kept = await self.bot.resend.of(interaction.guild_id or 0, interaction.user.id)
        wanted = typed.casefold()
        return [
            app_commands.Choice(name=_named(job), value=str(job.id))
            for job in kept
            if wanted in job.request.prompt.casefold() or wanted in str(job.id)
        ][:25]


async def _send(interaction: Interaction, job: Job, path: Path, *, show: bool) -> None:
    """Send the file with the reply, or beside it for all to see. Raises DeliveryFault."""
    file = discord.File(path, filename=NAME, description=plain(job.request.prompt)[:1024])
    if not show:
        await call(interaction.edit_original_response(attachments=[file]), UPLOAD_TIMEOUT)
        return
    # A reply that only the person sees stays so; what comes after it may be for everybody.
    await call(interaction.edit_original_response(content="Sending it ..."))
    words = f"A video of <@{job.user_id}>"
    await call(
        interaction.followup.send(words, file=file, allowed_mentions=discord.AllowedMentions.none()),
        UPLOAD_TIMEOUT,
    )


def _named(job: Job) -> str:
    """A suggestion in plain text; Discord shows 100 characters."""
    state = "" if job.state is JobState.DELIVERED else " (not posted)"
    return f"{job.created_at:%d %b %H:%M}{state}: {plain(job.request.prompt)}"[:100]


def _line(job: Job, *, kept: bool) -> str:
    words = f"{_SIGNS.get(job.state, '⏳')} {escape(job.request.prompt, 60)}"
    link = jump(job)
    shown = f"[{job.state.value}]({link})" if link else job.state.value
    charged = count(job.charged, "credit") if job.charged else "not charged"
    again = ", `/jobs resend` has it" if kept else ""
    return f"{words}\n-# {shown}, {discord.utils.format_dt(job.created_at, 'R')}, {charged}{again}"


async def setup(bot: Stillmotion) -> None:
    bot.add_dynamic_items(CancelButton)
    await bot.add_cog(Jobs(bot))
