"""Servers that the bot does not work in: commands there say so, and it leaves."""

import discord
from discord.ext import commands

from bot.client import Stillmotion
from cogs._answer import Interaction, tell
from cogs._offered import is_offered, suggest_nothing


class Servers(commands.Cog):
    def __init__(self, bot: Stillmotion) -> None:
        self.bot = bot

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        self.bot.admission.look()

    @commands.Cog.listener()
    async def on_guild_join(self, _: discord.Guild) -> None:
        self.bot.admission.look()

    @commands.Cog.listener()
    async def on_guild_available(self, _: discord.Guild) -> None:
        self.bot.admission.look()

    async def admits(self, interaction: Interaction) -> bool:
        """Whether a command is answered where it was used and as it came; if not, the person is told why."""
        said = self.bot.admission.refusal(interaction.guild_id)
        if said is None:
            return await is_offered(interaction)
        if interaction.type is discord.InteractionType.autocomplete:
            await suggest_nothing(interaction)
        else:
            await tell(interaction, said)
        return False


async def setup(bot: Stillmotion) -> None:
    servers = Servers(bot)
    # discord.py asks it before each command, suggestions and menus included.
    bot.tree.interaction_check = servers.admits
    await bot.add_cog(servers)
