"""All rules of a server on one card."""

from collections.abc import Iterable

import discord

from bot.client import Stillmotion
from bot.moderation import MOST_LISTED
from bot.quota.decisions import Elsewhere, ServerRules
from bot.words import code, count, dollars, escape, fitting, full
from cogs._answer import Document, Page
from cogs.quota_admin._sentences import amount_of, tariff_words

_ROOM = 800
"""Characters for each list: there are four, and 6000 in all."""
_ELSEWHERE = {
    Elsewhere.NOWHERE: "go to their members directly",
    Elsewhere.PARENT: "go from public threads to their channels, else to their members directly",
    Elsewhere.SYSTEM: "go from public threads to their channels, else to the system channel",
}


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
    embed.add_field(name="Budget", value=await _budget(bot, rules, guild_id))
    embed.add_field(name="At once", value=_caps(rules))
    embed.add_field(name="Provider", value=_provider(bot, rules))
    embed.add_field(name="Videos that their channel does not take", value=_ELSEWHERE[rules.elsewhere])
    embed.add_field(name="Time zone", value=f"`{rules.zone.key}`")
    embed.add_field(name="Log", value=f"<#{rules.log_channel_id}>" if rules.log_channel_id else "none")
    return Page(embed, file=Document("rules.txt", "\n".join(cut).encode()) if cut else None)


def _list(embed: discord.Embed, name: str, entries: Iterable[str]) -> list[str]:
    """Add a field, and return all of its lines if they do not fit into it."""
    lines = list(entries)
    if lines:
        embed.add_field(name=name, value=fitting(lines, _ROOM), inline=False)
    return [f"{name}:", *lines, ""] if len("\n".join(lines)) > _ROOM else []


async def _budget(bot: Stillmotion, rules: ServerRules, guild_id: int) -> str:
    spent = await bot.reports.spent(guild_id)
    limit = "no limit" if rules.budget is None else f"{dollars(rules.budget)} a month"
    return f"{limit}; {dollars(spent)} spent or reserved"


def _provider(bot: Stillmotion, rules: ServerRules) -> str:
    name = rules.default_provider
    default = escape(bot.booking.catalogue.label(name)) if name else "the default"
    fallback = {True: "on", False: "off", None: "as by default"}
    return f"{default}; fallback to another provider {fallback[rules.fallback]}"


def _caps(rules: ServerRules) -> str:
    member = count(rules.member_jobs, "video") if rules.member_jobs else "the default"
    server = count(rules.server_jobs, "video") if rules.server_jobs else "the default"
    return f"{member} a member, {server} in all"
