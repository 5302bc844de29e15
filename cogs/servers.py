"""Servers that the bot does not work in: it leaves them."""

import discord
from discord.ext import commands

from bot.client import Stillmotion


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


async def setup(bot: Stillmotion) -> None:
    await bot.add_cog(Servers(bot))
