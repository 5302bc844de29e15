"""All rules of a server on one card."""

from collections.abc import Iterable

import discord

from bot.client import Stillmotion
from bot.rules import ServerRules
from bot.words import count, dollars, full
from cogs._acts import amount_of, tariff_words

_LISTED = 12
"""So many entries fit into a field of 1024 characters."""


async def server_card(bot: Stillmotion, guild_id: int) -> discord.Embed:
    """What holds here, for everybody and for those with a rule of their own."""
    rules = await bot.moderation.rules(guild_id)
    members = await bot.moderation.overrides(guild_id)
    label = bot.studio.catalogue.label
    embed = discord.Embed(title="Quotas in this server", colour=discord.Colour.blurple())
    everyone = rules.everyone or bot.moderation.default
    by_default = "" if rules.everyone else ", the bot's default"
    embed.add_field(name="Everyone", value=f"{amount_of(everyone)}{by_default}", inline=False)
    roles = (f"<@&{role_id}>: {amount_of(rule)}" for role_id, rule in rules.roles.items())
    _list(embed, "Roles", roles)
    own = (f"<@{member_id}>: {amount_of(rule)}" for member_id, rule in members.members.items())
    _list(embed, "Members with a rule of their own", own)
    blocks = (
        f"<@{member_id}>: {f'until {full(block.until)}' if block.until else 'for good'}"
        for member_id in members.blocks
        if (block := members.block(member_id, bot.moderation.now())) is not None
    )
    _list(embed, "Blocked", blocks)
    prices = (
        f"{label(provider)}{f' `{model}`' if model else ''}: {tariff_words(tariff)}"
        for (provider, model), tariff in rules.tariffs.items()
    )
    _list(embed, "Prices", prices)
    embed.add_field(name="Budget", value=await _budget(bot, rules, guild_id))
    embed.add_field(name="At once", value=_caps(rules))
    embed.add_field(name="Provider", value=_provider(bot, rules))
    embed.add_field(name="Time zone", value=f"`{rules.zone.key}`")
    embed.add_field(name="Log", value=f"<#{rules.log_channel_id}>" if rules.log_channel_id else "none")
    return embed


def _list(embed: discord.Embed, name: str, entries: Iterable[str]) -> None:
    lines = list(entries)
    if len(lines) > _LISTED:
        lines = [*lines[:_LISTED], f"and {len(lines) - _LISTED} more"]
    if lines:
        embed.add_field(name=name, value="\n".join(lines)[:1024], inline=False)


async def _budget(bot: Stillmotion, rules: ServerRules, guild_id: int) -> str:
    spent = await bot.reports.spent(guild_id)
    limit = "no limit" if rules.budget is None else f"{dollars(rules.budget)} a month"
    return f"{limit}; {dollars(spent)} spent or reserved"


def _provider(bot: Stillmotion, rules: ServerRules) -> str:
    name = rules.default_provider
    default = bot.studio.catalogue.label(name) if name else "the default"
    falls = {True: "may fall over", False: "do not fall over", None: "fall over as by default"}
    return f"{default}; jobs {falls[rules.fall_over]}"


def _caps(rules: ServerRules) -> str:
    member = count(rules.member_jobs, "video") if rules.member_jobs else "the default"
    server = count(rules.server_jobs, "video") if rules.server_jobs else "the default"
    return f"{member} a member, {server} in all"
