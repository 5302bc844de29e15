"""`/providers`: who makes videos here, what each takes, what it costs, and whether it is well now."""

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Stillmotion
from bot.notices import reason
from bot.offers import ModelOffer, ProviderOffer
from bot.words import code, count, dollars, escape, span
from cogs._answer import Interaction, privately
from cogs._decisions import tariff_words
from providers.options import ImageLimits
from providers.specs import OPTIONS, Mode, ModelSpec

_FIELD, _EMBED = 1000, 5000
"""Characters that fit into one field and into all of them, with some to spare."""
_REST = 60
"""Characters for saying that there are more."""
_MODES = {Mode.IMAGE_TO_VIDEO: "`/animate`", Mode.TEXT_TO_VIDEO: "`/video`"}


class Providers(commands.Cog):
    def __init__(self, bot: Stillmotion) -> None:
        self.bot = bot

    @app_commands.command()
    @privately
    async def providers(self, interaction: Interaction) -> discord.Embed:
        """Who makes videos here, what they take and cost, and whether they are well."""
        makers = await self.bot.booking.providers(interaction.guild_id or 0)
        embed = discord.Embed(title="Video providers", colour=discord.Colour.blurple())
        if not makers:
            embed.description = "None is available right now."
        # Each gets its share of what Discord takes, so that the health of every one is shown.
        room = min(_FIELD, _EMBED // max(1, len(makers)))
        for maker in makers:
            embed.add_field(name=escape(maker.label), value=_about(maker, room), inline=False)
        return embed


def _about(maker: ProviderOffer, room: int) -> str:
    """A provider's health and as many of its models as there is room for, in characters."""
    text = _health(maker)
    if not maker.offers:
        return f"{text}\nIts model list hasn't loaded yet. Try again in a minute."
    for shown, offer in enumerate(maker.offers):
        line = f"\n{_model(offer)}"
        if len(text) + len(line) > room - _REST:
            return f"{text}\nand {count(len(maker.offers) - shown, 'more model')}, suggested while you type"
        text += line
    return text


def _model(offer: ModelOffer) -> str:
    spec = offer.spec
    parts = [f"{_MODES[spec.mode]} **{escape(spec.name, 60)}** {code(spec.id)}", _takes(spec)]
    if spec.price is not None:
        price = dollars(spec.price.usd_micros, at_least=spec.price.at_least)
        parts.append(f"{price} a {spec.price.per}")
    if offer.tariff is not None:
        parts.append(f"here {tariff_words(offer.tariff)}")
    if offer.typical_seconds is not None:
        measured = "measured here" if offer.measured else "by its maker's word"
        parts.append(f"usually {span(offer.typical_seconds)}, {measured}")
    return "; ".join(parts)


def _health(maker: ProviderOffer) -> str:
    if maker.health.paused is not None:
        return f"🔴 {reason(maker.health.paused, maker.label)}"
    return "🟢 ready" if maker.fit else "🟠 has trouble right now and is left alone for a moment"


def _takes(spec: ModelSpec) -> str:
    taken = ((words, spec.limits(name)) for name, words in OPTIONS.items())
    return "takes " + (
        "; ".join(
            words if isinstance(limits, ImageLimits) else f"{words}: {escape(str(limits), 80)}"
            for words, limits in taken
            if limits is not None
        )
        or ("a prompt" if spec.mode is Mode.TEXT_TO_VIDEO else "a picture and a prompt")
    )


async def setup(bot: Stillmotion) -> None:
    await bot.add_cog(Providers(bot))
