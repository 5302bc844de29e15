"""`/provider-admin`: which provider a server's members get who name none, and what if it cannot."""

from discord import app_commands
from discord.ext import commands

from bot.client import Stillmotion
from bot.quota.decisions import SetFallback
from bot.words import plain
from cogs._answer import Interaction, deciding, suggesting
from cogs._moderators import Reason, done, moderator, reasoned


@app_commands.guild_only()
@app_commands.default_permissions(manage_guild=True)
class ProviderAdmin(commands.GroupCog, group_name="provider-admin"):
    """Which provider makes the videos of those who name none."""

    def __init__(self, bot: Stillmotion) -> None:
        self.bot = bot

    @app_commands.command()
    @app_commands.describe(provider="Leave it out for what the bot has by default")
    @reasoned
    @deciding
    async def default(
        self, interaction: Interaction, provider: str | None = None, reason: Reason | None = None
    ) -> str:
        """Choose who makes the video when nobody is named."""
        decision = await self.bot.moderation.default_provider(moderator(interaction, reason), provider)
        return await done(self.bot, interaction, decision)

    @default.autocomplete("provider")
    @suggesting
    async def _providers(self, _: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        found = self.bot.booking.catalogue
        names = ((name, found.label(name)) for name in found.providers)
        return [
            app_commands.Choice(name=plain(label), value=name)
            for name, label in names
            if typed.casefold() in label.casefold() or typed.casefold() in name
        ][:25]

    @app_commands.command(name="fall-over")
    @app_commands.describe(allowed="Leave it out for what the bot has by default")
    @reasoned
    @deciding
    async def fallback(
        self, interaction: Interaction, *, allowed: bool | None = None, reason: Reason | None = None
    ) -> str:
        """May a job that no provider has accepted go to another one that can do exactly the same?"""
        by = moderator(interaction, reason)
        decision = await self.bot.moderation.decide(by, SetFallback(allowed=allowed))
        return await done(self.bot, interaction, decision)


async def setup(bot: Stillmotion) -> None:
    await bot.add_cog(ProviderAdmin(bot))
