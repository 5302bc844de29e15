"""The history of a server's decisions, a page at a time; its buttons know all they need by their id."""

import re
from typing import Any, Self

import discord

from bot.client import Stillmotion, stillmotion
from bot.rules import Act
from bot.words import full
from cogs._acts import told
from cogs._answer import Interaction, Page, acknowledge, guarded, show
from cogs._ids import ID, known
from cogs._moderators import moderator

_PAGE = 8
"""So many decisions with long reasons fit into an embed."""


class HistoryButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=rf"history:(?P<member_id>{ID}):(?P<towards>older|newer):(?P<act_id>{ID})",
):
    """Turns the page of a history; member 0 is the whole server."""

    def __init__(self, member_id: int, towards: str, act_id: int) -> None:
        super().__init__(
            discord.ui.Button(label=towards.title(), custom_id=f"history:{member_id}:{towards}:{act_id}")
        )
        self.member_id = member_id
        self.towards = towards
        self.act_id = act_id

    @classmethod
    async def from_custom_id(
        cls,
        interaction: Interaction,  # noqa: ARG003 - the signature is discord.py's
        item: discord.ui.Item[Any],  # noqa: ARG003 - the same
        match: re.Match[str],
        /,
    ) -> Self:
        return cls(int(match["member_id"]), match["towards"], int(match["act_id"]))

    async def callback(self, interaction: Interaction) -> None:
        async with guarded(interaction):
            await self._turn(interaction)

    async def _turn(self, interaction: Interaction) -> None:
        by = moderator(interaction)
        known(self.member_id or self.act_id, self.act_id)
        if not await acknowledge(interaction, interaction.response.defer):
            return
        place = {"before" if self.towards == "older" else "after": self.act_id}
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
    acts = await fetch(guild_id, member_id, _PAGE, before=before, after=after)
    whose = f"about <@{member_id}>" if member_id else "in this server"
    embed = discord.Embed(
        title="History",
        description=f"What moderators have decided {whose}.\n\n"
        + ("\n".join(_line(act, bot) for act in acts) or "Nothing yet."),
        colour=discord.Colour.blurple(),
    )
    view = discord.ui.View(timeout=None)
    if acts and await fetch(guild_id, member_id, 1, after=acts[0].id):
        view.add_item(HistoryButton(member_id or 0, "newer", acts[0].id))
    if acts and await fetch(guild_id, member_id, 1, before=acts[-1].id):
        view.add_item(HistoryButton(member_id or 0, "older", acts[-1].id))
    return Page(embed, view if view.children else None)


def _line(act: Act, bot: Stillmotion) -> str:
    return f"{full(act.at)} <@{act.by_id}> {told(act, bot.studio.catalogue.label)}"
