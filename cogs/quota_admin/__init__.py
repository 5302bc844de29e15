"""`/quota-admin`: what moderators decide about allowances, grants, blocks, prices and budgets."""

from typing import Any, Literal, TypeAlias

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Stillmotion
from bot.quota.allowances import WindowKind
from bot.quota.decisions import Decision, ResetUsage
from cogs._answer import Interaction, deciding, suggesting
from cogs._moderators import Reason, done, moderator, person, reasoned, target
from cogs._suggestions import Suggestions, matching
from cogs.quota_admin._history import HistoryButton
from cogs.quota_admin._member_card import MemberButton, member_card
from cogs.quota_admin._reports import QuotaReports
from cogs.quota_admin._server_card import budget_words
from providers.specs import Per

Typed: TypeAlias = app_commands.Range[str, 1, 50]


@app_commands.guild_only()
@app_commands.default_permissions(manage_guild=True)
class QuotaAdmin(QuotaReports, commands.GroupCog, group_name="quota-admin"):
    """Who may make how many videos."""

    def __init__(self, bot: Stillmotion) -> None:
        self.bot = bot
        self._menu = app_commands.ContextMenu(name="Video quota", callback=self._show_card)
        self._menu.default_permissions = discord.Permissions(manage_guild=True)
        self._menu.guild_only = True

    async def cog_load(self) -> None:
        self.bot.tree.add_command(self._menu)

    async def cog_unload(self) -> None:
        self.bot.tree.remove_command(self._menu.name, type=self._menu.type)

    @app_commands.command(name="set")
    @app_commands.rename(who="target")
    @app_commands.describe(
        who="A member, a role, or @everyone",
        amount="Credits: 5, +2, -1, unlimited; default for no rule of its own; 0 for none",
        window="How often they renew; leave it out to keep it as it is",
    )
    @reasoned
    @deciding
    async def set_(
        self,
        interaction: Interaction,
        who: discord.User | discord.Role,
        amount: Typed,
        window: Literal["day", "week", "month"] | None = None,
        reason: Reason | None = None,
    ) -> str:
        """Set how many credits a member, a role or everyone gets."""
        by, kind = moderator(interaction, reason), WindowKind(window) if window else None
        whose = target(interaction, who)
        return await self._done(interaction, await self.bot.moderation.set_allowance(by, whose, amount, kind))

    @app_commands.command()
    @app_commands.describe(expires="3d, 2 weeks, 24 Dec or 2030-12-24; leave it out for never")
    @reasoned
    @deciding
    async def grant(
        self,
        interaction: Interaction,
        member: discord.User,
        amount: int,
        expires: Typed | None = None,
        reason: Reason | None = None,
    ) -> str:
        """Give a member extra credits, used when the allowance has none left."""
        by = moderator(interaction, reason)
        return await self._done(
            interaction, await self.bot.moderation.grant(by, person(member).id, amount, expires)
        )

    @app_commands.command()
    @reasoned
    @deciding
    async def revoke(
        self, interaction: Interaction, member: discord.User, reason: Reason | None = None
    ) -> str:
        """Take back what is left of the extra credits a member was given."""
        by = moderator(interaction, reason)
        return await self._done(interaction, await self.bot.moderation.revoke(by, member.id))

    @app_commands.command()
    @reasoned
    @deciding
    async def reset(
        self, interaction: Interaction, member: discord.User, reason: Reason | None = None
    ) -> str:
        """Let a member's allowance begin anew, as if nothing had been used yet."""
        change = ResetUsage(member_id=person(member).id)
        return await self._done(
            interaction, await self.bot.moderation.decide(moderator(interaction, reason), change)
        )

    @app_commands.command()
    @app_commands.describe(until="3d, 2 weeks, 24 Dec or 2030-12-24; leave it out for good")
    @reasoned
    @deciding
    async def block(
        self,
        interaction: Interaction,
        member: discord.User,
        until: Typed | None = None,
        reason: Reason | None = None,
    ) -> str:
        """Keep a member from making videos. What is under way goes on."""
        by = moderator(interaction, reason)
        return await self._done(interaction, await self.bot.moderation.block(by, person(member).id, until))

    @app_commands.command()
    @reasoned
    @deciding
    async def unblock(
        self, interaction: Interaction, member: discord.User, reason: Reason | None = None
    ) -> str:
        """Let a blocked member make videos again."""
        by = moderator(interaction, reason)
        return await self._done(interaction, await self.bot.moderation.unblock(by, member.id))

    @app_commands.command()
    @app_commands.describe(
        price="Credits, or default",
        model="Leave it out for all of the provider's models",
        per="Leave it out for the second where the provider charges by it, else the video",
    )
    @app_commands.rename(price="credits")
    @reasoned
    @deciding
    async def price(
        self,
        interaction: Interaction,
        provider: Typed,
        price: Typed,
        model: app_commands.Range[str, 1, 100] | None = None,
        per: Literal["video", "second"] | None = None,
        reason: Reason | None = None,
    ) -> str:
        """Set how many credits a video costs members here."""
        by, unit = moderator(interaction, reason), Per(per) if per else None
        return await self._done(
            interaction, await self.bot.moderation.price(by, provider, model, price, unit)
        )

    @app_commands.command()
    @app_commands.describe(amount="US dollars a month, such as 25 or 7.50, or unlimited")
    @reasoned
    @deciding
    async def budget(
        self, interaction: Interaction, amount: Typed | None = None, reason: Reason | None = None
    ) -> str:
        """Set what this server's videos may cost in a month; without an amount, show it."""
        by = moderator(interaction, reason)
        if amount is None:
            return f"Budget: {await budget_words(self.bot, by.guild_id)}."
        said = await self._done(interaction, await self.bot.moderation.budget(by, amount))
        return f"{said} Videos whose provider names no price do not count against it."

    @price.autocomplete("provider")
    @suggesting
    async def _providers(self, _: Interaction, typed: str) -> Suggestions:
        found = self.bot.booking.catalogue
        return matching(((name, found.label(name)) for name in found.providers), typed)

    @price.autocomplete("model")
    @suggesting
    async def _models(self, interaction: Interaction, typed: str) -> Suggestions:
        return matching(self.bot.booking.catalogue.models(interaction.namespace.provider), typed)

    async def _done(self, interaction: Interaction, decision: Decision) -> str:
        return await done(self.bot, interaction, decision)

    async def _show_card(self, interaction: Interaction, user: discord.User) -> None:
        await self._card(interaction, user)

    @deciding
    async def _card(self, interaction: Interaction, user: discord.User) -> Any:  # noqa: ANN401 - a Reply
        moderator(interaction)
        return await member_card(self.bot, interaction.guild_id or 0, person(user))


async def setup(bot: Stillmotion) -> None:
    bot.add_dynamic_items(MemberButton, HistoryButton)
    await bot.add_cog(QuotaAdmin(bot))
