"""The history of a server's decisions, a page at a time; its buttons know all they need by their id."""

from typing import Any

import discord

from bot.client import Stillmotion, stillmotion
from bot.quota.decisions import Decision
from bot.words import full
from cogs._answer import Interaction, Page, acknowledge, guarded, show
from cogs._decisions import told
from cogs._ids import ID, FromCustomId, known
from cogs._moderators import moderator

_PAGE = 8
"""So many decisions with long reasons fit into an embed."""


class HistoryButton(
    FromCustomId,
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=rf"history:(?P<member_id>{ID}):(?P<towards>older|newer):(?P<decision_id>{ID})",
):
    """Turns the page of a history; member 0 is the whole server."""

    def __init__(self, member_id: int, towards: str, decision_id: int) -> None:
        super().__init__(
            discord.ui.Button(label=towards.title(), custom_id=f"history:{member_id}:{towards}:{decision_id}")
        )
        self.member_id = member_id
        self.towards = towards
        self.decision_id = decision_id

    async def callback(self, interaction: Interaction) -> None:
        async with guarded(interaction):
            await self._turn(interaction)

    async def _turn(self, interaction: Interaction) -> None:
        by = moderator(interaction)
        known(self.member_id or self.decision_id, self.decision_id)
        if not await acknowledge(interaction, interaction.response.defer):
            return
        place = {"before" if self.towards == "older" else "after": self.decision_id}
        page = await history(stillmotion(interaction), by.guild_id, self.member_id or None, **place)
        await show(interaction, page)


async def history(
    bot: Stillmotion,
    guild_id: int,
    member_id: int | None,
    *,
    before: int | None = None,
    after: int | None = None,
) -> Page:
    """The latest decisions, or those next to another one, with buttons where there are more."""
    fetch = bot.moderation.history
    decisions = await fetch(guild_id, member_id, _PAGE, before=before, after=after)
    whose = f"about <@{member_id}>" if member_id else "in this server"
    embed = discord.Embed(
        title="History",
        description=f"What moderators have decided {whose}.\n\n"
        + ("\n".join(_line(decision, bot) for decision in decisions) or "Nothing yet."),
        colour=discord.Colour.blurple(),
    )
    view = discord.ui.View(timeout=None)
    if decisions and await fetch(guild_id, member_id, 1, after=decisions[0].id):
        view.add_item(HistoryButton(member_id or 0, "newer", decisions[0].id))
    if decisions and await fetch(guild_id, member_id, 1, before=decisions[-1].id):
        view.add_item(HistoryButton(member_id or 0, "older", decisions[-1].id))
    return Page(embed, view if view.children else None)


def _line(decision: Decision, bot: Stillmotion) -> str:
    return f"{full(decision.at)} <@{decision.by_id}> {told(decision, bot.booking.catalogue.label)}"
