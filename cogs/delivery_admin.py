"""`/delivery-admin`: where a video goes that its channel does not take."""

from discord import app_commands
from discord.ext import commands

from bot.client import Stillmotion
from bot.quota.decisions import Elsewhere, SetElsewhere
from cogs._answer import Interaction, deciding
from cogs._moderators import Reason, done, moderator, reasoned


@app_commands.guild_only()
@app_commands.default_permissions(manage_guild=True)
class DeliveryAdmin(commands.GroupCog, group_name="delivery-admin"):
    """Where videos go."""

    def __init__(self, bot: Stillmotion) -> None:
        self.bot = bot

    @app_commands.command()
    @app_commands.choices(
        where=[
            app_commands.Choice(name="a public thread's channel (the default)", value=Elsewhere.PARENT.value),
            app_commands.Choice(
                name="a public thread's channel, else the system channel", value=Elsewhere.SYSTEM.value
            ),
            app_commands.Choice(name="nowhere else in this server", value=Elsewhere.NOWHERE.value),
        ]
    )
    @reasoned
    @deciding
    async def elsewhere(self, interaction: Interaction, where: str, reason: Reason | None = None) -> str:
        """Where a video may go that its channel does not take, before its member gets it directly."""
        by = moderator(interaction, reason)
        decision = await self.bot.moderation.decide(by, SetElsewhere(where=Elsewhere(where)))
        return await done(self.bot, interaction, decision)


async def setup(bot: Stillmotion) -> None:
    await bot.add_cog(DeliveryAdmin(bot))
