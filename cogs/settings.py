"""`/settings`: what moderators decide for the whole server, and how things stand."""

from collections.abc import Callable
from typing import Literal, TypeAlias
from zoneinfo import available_timezones

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Stillmotion
from bot.delivery.owner import owner_of
from bot.errors import NotAllowed
from bot.moderation import UNCHANGED, Moderator
from bot.quota.amounts import DEFAULT
from bot.quota.decisions import Decision, SetElsewhere, SetFallback, SetLog
from bot.quota.limits import LONGEST_REASON
from bot.quota.rules import Elsewhere, ServerRules
from cogs import _rules
from cogs._answer import Interaction, deciding, suggesting
from cogs._moderators import Reason, TextOnly, done, may_log_in, moderator, reasoned
from cogs._overview import overview
from cogs._suggestions import Suggestions, matching

Typed: TypeAlias = app_commands.Range[str, 1, 50]
_ALLOWED = {"on": True, "off": False, DEFAULT: None}


@app_commands.guild_only()
@app_commands.default_permissions(manage_guild=True)
class ServerSettings(commands.GroupCog, group_name="settings"):
    """The bot in this server. Without a value, a command shows the present one."""

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
        until: Typed | None = None,
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

    @app_commands.command()
    @app_commands.describe(provider="One of the list, or `default` for the bot's own choice")
    @reasoned
    @deciding
    async def provider(
        self, interaction: Interaction, provider: Typed | None = None, reason: Reason | None = None
    ) -> str:
        """Choose the provider for members who name none."""
        by = moderator(interaction, reason)
        if provider is None:
            return await self._present(by, "Provider", lambda rules: _rules.provider(rules, self._label))
        return await self._done(interaction, await self.bot.moderation.default_provider(by, provider))

    @app_commands.command()
    @app_commands.describe(allowed="`default` is what the bot's operator has set")
    @reasoned
    @deciding
    async def fallback(
        self,
        interaction: Interaction,
        allowed: Literal["on", "off", "default"] | None = None,
        reason: Reason | None = None,
    ) -> str:
        """May another provider make a video that the chosen one does not accept?"""
        by = moderator(interaction, reason)
        if allowed is None:
            return await self._present(by, "Fallback to another provider", _rules.fallback)
        change = SetFallback(allowed=_ALLOWED[allowed])
        return await self._done(interaction, await self.bot.moderation.decide(by, change))

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
    async def delivery(
        self, interaction: Interaction, where: str | None = None, reason: Reason | None = None
    ) -> str:
        """Choose where a video goes if its channel does not take it, before its member gets it directly."""
        by = moderator(interaction, reason)
        if where is None:
            return await self._present(by, "Videos that their channel does not take", _rules.elsewhere)
        change = SetElsewhere(where=Elsewhere(where))
        return await self._done(interaction, await self.bot.moderation.decide(by, change))

    @app_commands.command()
    @app_commands.describe(
        member="Videos of one member at once: a number, or `default`",
        server="Videos of the whole server at once: a number, or `default`",
    )
    @reasoned
    @deciding
    async def caps(
        self,
        interaction: Interaction,
        member: Typed | None = None,
        server: Typed | None = None,
        reason: Reason | None = None,
    ) -> str:
        """Set how many videos may be under way at once."""
        by = moderator(interaction, reason)
        if member is None and server is None:
            return await self._present(by, "Videos at once", _rules.caps)
        return await self._done(interaction, await self.bot.moderation.caps(by, member, server))

    @app_commands.command()
    @app_commands.describe(zone="Such as Europe/Berlin")
    @reasoned
    @deciding
    async def timezone(
        self, interaction: Interaction, zone: Typed | None = None, reason: Reason | None = None
    ) -> str:
        """Set the time zone in which days, weeks and months begin."""
        by = moderator(interaction, reason)
        if zone is None:
            return await self._present(by, "Time zone", _rules.timezone)
        return await self._done(interaction, await self.bot.moderation.timezone(by, zone))

    @app_commands.command()
    @app_commands.describe(channel="Where every decision of moderators is posted", turn="`off` for no log")
    @reasoned
    @deciding
    async def log(
        self,
        interaction: Interaction,
        channel: app_commands.Transform[app_commands.AppCommandChannel, TextOnly] | None = None,
        turn: Literal["off"] | None = None,
        reason: Reason | None = None,
    ) -> str:
        """Choose the channel in which every decision of moderators is posted."""
        by = moderator(interaction, reason)
        if channel is None and turn is None:
            return await self._present(by, "Log", _rules.log)
        if channel is not None and not may_log_in(interaction, channel):
            raise NotAllowed(f"I may not post in {channel.mention}. {UNCHANGED}")
        before = (await self.bot.moderation.rules(by.guild_id)).log_channel_id
        change = SetLog(channel_id=channel.id if channel and turn is None else None)
        # Who watches the old channel has to know that it says no more.
        return await done(self.bot, interaction, await self.bot.moderation.decide(by, change), also=before)

    @provider.autocomplete("provider")
    @suggesting
    async def _providers(self, _: Interaction, typed: str) -> Suggestions:
        names = ((name, self._label(name)) for name in self.bot.booking.catalogue.providers)
        return matching([*names, (DEFAULT, "Default")], typed)

    @timezone.autocomplete("zone")
    @suggesting
    async def _zones(self, _: Interaction, typed: str) -> Suggestions:
        return matching(((zone, zone) for zone in sorted(available_timezones())), typed)

    def _label(self, provider: str) -> str:
        return self.bot.booking.catalogue.label(provider)

    async def _present(self, by: Moderator, name: str, words: Callable[[ServerRules], str]) -> str:
        return f"{name}: {words(await self.bot.moderation.rules(by.guild_id))}."

    async def _done(self, interaction: Interaction, decision: Decision) -> str:
        return await done(self.bot, interaction, decision)


async def setup(bot: Stillmotion) -> None:
    await bot.add_cog(ServerSettings(bot))
