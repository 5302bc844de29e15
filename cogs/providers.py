"""`/providers`: who makes videos here, what each takes, what it costs, and whether it is well now."""

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Stillmotion
from bot.notices import reason
from bot.studio import Offer
from cogs._answer import Interaction, privately
from cogs._cards import dollars, span
from providers.options import ImageLimits
from providers.specs import OPTIONS, Mode, ModelSpec

_MOST = 20
"""Models that fit into one reply."""
_MODES = {Mode.IMAGE_TO_VIDEO: "`/animate`", Mode.TEXT_TO_VIDEO: "`/video`"}


class Providers(commands.Cog):
    def __init__(self, bot: Stillmotion) -> None:
        self.bot = bot

    @app_commands.command()
    @privately
    async def providers(self, interaction: Interaction) -> discord.Embed:  # noqa: ARG002 - the same for everybody
        """Who makes videos here, what they take and cost, and whether they are well."""
        offers = await self.bot.studio.offers()
        embed = discord.Embed(title="Video providers", colour=discord.Colour.blurple())
        for offer in offers[:_MOST]:
            embed.add_field(
                name=f"{offer.provider}, {offer.spec.name}"[:256], value=_about(offer)[:1024], inline=False
            )
        if len(offers) > _MOST:
            embed.set_footer(text=f"And {len(offers) - _MOST} more models, suggested while you type.")
        if not offers:
            embed.description = "None is available right now."
        return embed


def _about(offer: Offer) -> str:
    spec = offer.spec
    lines = [f"{_health(offer)} {_MODES[spec.mode]} `{spec.id}`", _takes(spec)]
    if spec.price is not None:
        lines.append(f"{dollars(spec.price.usd_micros)} a {spec.price.per}")
    if offer.typical_seconds is not None:
        measured = "measured here" if offer.measured else "by its maker's word"
        lines.append(f"usually {span(offer.typical_seconds)}, {measured}")
    return "\n".join(line for line in lines if line)


def _health(offer: Offer) -> str:
    if offer.fitness.paused is not None:
        return f"🔴 {reason(offer.fitness.paused, offer.provider)}\n"
    return "🟢" if offer.fit else "🟠 has trouble right now and is left alone for a moment\n"


def _takes(spec: ModelSpec) -> str:
    taken = ((words, spec.limits(name)) for name, words in OPTIONS.items())
    return "takes " + (
        "; ".join(
            words if isinstance(limits, ImageLimits) else f"{words}: {str(limits)[:80]}"
            for words, limits in taken
            if limits is not None
        )
        or ("a prompt" if spec.mode is Mode.TEXT_TO_VIDEO else "a picture and a prompt")
    )


async def setup(bot: Stillmotion) -> None:
    await bot.add_cog(Providers(bot))
