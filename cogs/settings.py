"""`/settings`: what moderators decide about the bot as a whole in their server, and how things stand."""

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Stillmotion
from bot.delivery.owner import owner_of
from bot.quota.pauses import LONGEST_REASON
from cogs._answer import Interaction, deciding
from cogs._moderators import Reason, done, moderator, reasoned
from cogs._overview import overview

_UNTIL = app_commands.Range[str, 1, 50]


@app_commands.guild_only()
@app_commands.default_permissions(manage_guild=True)
class ServerSettings(commands.GroupCog, group_name="settings"):
    """The bot in this server."""

    def __init__(self, bot: Stillmotion) -> None:
        self.bot = bot

    @app_commands.command()
    @app_commands.describe(
        reason="Members read it when they ask for a video",
        until="3d, 2 weeks, 24 Dec or 2030-12-24; leave it out to end it yourself",
    )
    @deciding
    async def pause(
        self,
        interaction: Interaction,
        reason: app_commands.Range[str, 1, LONGEST_REASON],
        until: _UNTIL | None = None,
    ) -> str:
        """Stop new videos in this server at once. The queue waits; what is being made goes on."""
        decision = await self.bot.moderation.pause(moderator(interaction, reason), until)
        return await done(self.bot, interaction, decision)

    @app_commands.command()
    @reasoned
    @deciding
    async def resume(self, interaction: Interaction, reason: Reason | None = None) -> str:
        """Let videos be made in this server again."""
        decision = await self.bot.moderation.resume(moderator(interaction, reason))
        return await done(self.bot, interaction, decision)

    @app_commands.command()
    @deciding
    async def status(self, interaction: Interaction) -> discord.Embed:
        """What is paused, used and allowed here, how the providers are, and who runs the bot."""
        by = moderator(interaction)
        text = overview(await self.bot.overviews.of(by.guild_id), owner_of(self.bot))
        return discord.Embed(title="Status", description=text[:4096], colour=discord.Colour.blurple())


async def setup(bot: Stillmotion) -> None:
    await bot.add_cog(ServerSettings(bot))
