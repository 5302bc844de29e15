"""All rules of a server on one card."""

from collections.abc import Iterable

import discord

from bot.client import Stillmotion
from bot.moderation import MOST_LISTED
from bot.words import code, dollars, escape, fitting, full
from cogs import _rules
from cogs._answer import Document, Page
from cogs._decisions import amount_of, tariff_words

_ROOM = 800
"""Characters for each list: there are four, and 6000 in all."""


async def server_card(bot: Stillmotion, guild_id: int) -> Page:
    """What holds here, for everybody and for those with a rule of their own; in a file if it is much."""
    rules = await bot.moderation.rules(guild_id)
    members = await bot.moderation.overrides(guild_id)
    label = bot.booking.catalogue.label
    embed = discord.Embed(title="Quotas in this server", colour=discord.Colour.blurple())
    everyone = rules.everyone or bot.moderation.default
    by_default = "" if rules.everyone else ", the bot's default"
    embed.add_field(name="Everyone", value=f"{amount_of(everyone)}{by_default}", inline=False)
    roles = (f"<@&{role_id}>: {amount_of(rule)}" for role_id, rule in rules.roles.items())
    cut = _list(embed, "Roles", roles)
    own = (f"<@{member_id}>: {amount_of(rule)}" for member_id, rule in members.members.items())
    cut += _list(embed, "Members with a rule of their own", own)
    blocks = (
        f"<@{member_id}>: {f'until {full(block.until)}' if block.until else 'for good'}"
        for member_id in members.blocks
        if (block := members.block(member_id, bot.moderation.now())) is not None
    )
    cut += _list(embed, "Blocked", blocks)
    prices = (
        f"{escape(label(provider))}{f' {code(model)}' if model else ''}: {tariff_words(tariff)}"
        for (provider, model), tariff in rules.tariffs.items()
    )
    cut += _list(embed, "Prices", prices)
    if len({*members.members, *members.blocks}) >= MOST_LISTED:
        embed.set_footer(text=f"Only {MOST_LISTED:,} members with a rule of their own are listed.")
    embed.add_field(name="Budget", value=await budget_words(bot, guild_id))
    embed.add_field(name="At once", value=_rules.caps(rules))
    embed.add_field(name="Provider", value=_rules.provider(rules, label))
    embed.add_field(name="Fallback to another provider", value=_rules.fallback(rules))
    embed.add_field(name="Videos that their channel does not take", value=_rules.elsewhere(rules))
    embed.add_field(name="Time zone", value=_rules.timezone(rules))
    embed.add_field(name="Log", value=_rules.log(rules))
    return Page(embed, file=Document("rules.txt", "\n".join(cut).encode()) if cut else None)


def _list(embed: discord.Embed, name: str, entries: Iterable[str]) -> list[str]:
    """Add a field, and return all of its lines if they do not fit into it."""
    lines = list(entries)
    if lines:
        embed.add_field(name=name, value=fitting(lines, _ROOM), inline=False)
    return [f"{name}:", *lines, ""] if len("\n".join(lines)) > _ROOM else []


async def budget_words(bot: Stillmotion, guild_id: int) -> str:
    rules, spent = await bot.moderation.rules(guild_id), await bot.reports.spent(guild_id)
    limit = "no limit" if rules.budget is None else f"{dollars(rules.budget)} a month"
    return f"{limit}; {dollars(spent)} spent or reserved"
