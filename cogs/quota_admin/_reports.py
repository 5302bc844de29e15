"""The part of `/quota-admin` that only looks: rules, reasons, history and usage."""

import asyncio
from typing import Literal

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Stillmotion
from bot.delivery.calls import call
from bot.errors import DeliveryFault, NotNow
from bot.usage import Period, UsageReport
from bot.words import count, dollars, plain
from cogs._answer import Document, Interaction, Page, deciding
from cogs._decisions import amount_of
from cogs._moderators import moderator, person
from cogs._permissions import role_ids
from cogs.quota_admin._explain import explain
from cogs.quota_admin._history import history
from cogs.quota_admin._member_card import member_card
from cogs.quota_admin._server_card import server_card

_PATIENCE = 5.0
"""Seconds for a member's name."""
_MEMBERS = 10
"""So many members are listed by what they have used."""
Typed = Literal["this week", "this month", "last month", "last 30 days", "last 90 days"]


class QuotaReports(commands.Cog):
    """Commands for the group `/quota-admin`."""

    bot: Stillmotion

    @app_commands.command()
    @app_commands.rename(who="target")
    @app_commands.describe(who="A member or a role; leave it out for the whole server")
    @deciding
    async def show(
        self, interaction: Interaction, who: discord.User | discord.Role | None = None
    ) -> discord.Embed | Page | str:
        """Show the rules of this server, of a role, or where a member stands."""
        by = moderator(interaction)
        if who is None or (isinstance(who, discord.Role) and who.is_default()):
            return await server_card(self.bot, by.guild_id)
        if not isinstance(who, discord.Role):
            return await member_card(self.bot, by.guild_id, person(who))
        rule = (await self.bot.moderation.rules(by.guild_id)).roles.get(who.id)
        if rule is None:
            return f"{who.mention} has no rule of its own: its members get what everyone gets."
        return f"{who.mention} has {amount_of(rule)}."

    @app_commands.command()
    @deciding
    async def why(self, interaction: Interaction, member: discord.User) -> discord.Embed:
        """Explain which rule counts for a member, with its numbers."""
        by, user = moderator(interaction), person(member)
        roles = role_ids(user)
        rules = await self.bot.moderation.rules(by.guild_id, user.id)
        standing = await self.bot.booking.standing(by.guild_id, user.id, roles)
        text = explain(user.id, roles, rules, standing, self.bot.moderation.default)
        return discord.Embed(title="Why", description=text, colour=discord.Colour.blurple())

    @app_commands.command()
    @app_commands.describe(member="Leave it out for the whole server")
    @deciding
    async def history(self, interaction: Interaction, member: discord.User | None = None) -> Page:
        """Show who changed what, when and why."""
        by = moderator(interaction)
        return await history(self.bot, by.guild_id, member.id if member else None)

    @app_commands.command()
    @deciding
    async def usage(self, interaction: Interaction, period: Typed = "last 30 days") -> Page:
        """Show who made how much, as a table and as a chart."""
        by = moderator(interaction)
        report = await self.bot.reports.usage(by.guild_id, Period(period))
        embed = _usage_embed(report, period)
        names = await asyncio.gather(
            *(_name(interaction, member.user_id) for member in report.members[:_MEMBERS])
        )
        try:
            chart = await self.bot.reports.chart(by.guild_id, by.user_id, report, f"Videos, {period}", names)
        except NotNow as fault:
            embed.set_footer(text=str(fault))
            return Page(embed)
        embed.set_image(url="attachment://usage.png")
        return Page(embed, file=Document("usage.png", chart))

    @app_commands.command()
    @deciding
    async def export(self, interaction: Interaction, period: Typed = "last 30 days") -> Page:
        """Get every video of a period as a CSV file."""
        by = moderator(interaction)
        found = await self.bot.reports.export(by.guild_id, Period(period))
        latest = f"The latest {found.rows:,} of {found.total:,}. " if found.rows < found.total else ""
        embed = discord.Embed(
            title=f"Videos, {period}",
            description=f"{latest}One line each, newest first. It holds prompts and ids: share it with care.",
        )
        return Page(embed, file=Document(f"videos-{period.replace(' ', '-')}.csv", found.data))


def _usage_embed(report: UsageReport, period: str) -> discord.Embed:
    lines = [
        f"{place}. <@{member.user_id}>: {count(member.credits, 'credit')}, {count(member.videos, 'video')}"
        + (f", {dollars(member.micros)}" if member.micros else "")
        + (f", {member.wasted} more paid for and not delivered" if member.wasted else "")
        for place, member in enumerate(report.members[:_MEMBERS], start=1)
    ]
    if more := len(report.members) - _MEMBERS:
        lines += [f"and {count(more, 'more member')}"] if more > 0 else []
    embed = discord.Embed(
        title=f"{count(report.total, 'credit')} for {count(report.videos, 'video')}, {period}",
        description="\n".join(lines) or "Nothing yet.",
        colour=discord.Colour.blurple(),
    )
    budget = f" of {dollars(report.budget.limit)}" if report.budget else ""
    embed.add_field(name="Spent this month", value=f"{dollars(report.spent)}{budget}")
    return embed


async def _name(interaction: Interaction, user_id: int) -> str:
    """A member's name for the chart, in which nothing is a mention."""
    guild = interaction.guild
    member = guild.get_member(user_id) if guild else None
    try:
        member = member or (await call(guild.fetch_member(user_id), _PATIENCE) if guild else None)
    except DeliveryFault:
        member = None
    return plain(member.display_name) if member else f"left ({user_id % 10_000:04})"
