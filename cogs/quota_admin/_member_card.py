"""A member's card for moderators: where the member stands, and the usual actions."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import discord

from bot.client import Stillmotion, stillmotion
from bot.errors import BadRequest
from bot.moderation import UNCHANGED
from bot.quota.allowances import Standing
from bot.quota.decisions import ResetUsage
from bot.quota.limits import LONGEST_REASON
from cogs._answer import DECISION, Interaction, Page, acknowledge, deciding, guarded, sentence, tell
from cogs._ids import ID, FromCustomId, is_id, known
from cogs._moderators import done, moderator
from cogs._permissions import role_ids
from cogs.quota import standing_embed
from cogs.quota_admin._history import history

_LABELS = {
    "grant": "Grant…",
    "reset": "Reset",
    "block": "Block…",
    "unblock": "Unblock",
    "history": "History",
}


async def member_card(bot: Stillmotion, guild_id: int, user: discord.User | discord.Member) -> Page:
    """Where a member stands, with buttons for what a moderator usually does about it."""
    standing = await bot.booking.standing(guild_id, user.id, role_ids(user))
    embed = standing_embed(standing)
    embed.description = f"For {user.mention}."
    return Page(embed, _actions(user.id, standing))


def _actions(member_id: int, standing: Standing) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    for action in ("grant", "reset", "unblock" if standing.block else "block", "history"):
        view.add_item(MemberButton(action, member_id))
    return view


class MemberButton(
    FromCustomId,
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=rf"quota:(?P<action>grant|reset|block|unblock|history):(?P<member_id>{ID})",
):
    """Does one of the usual things with a member's quota."""

    def __init__(self, action: str, member_id: int) -> None:
        style = discord.ButtonStyle.danger if action == "block" else discord.ButtonStyle.secondary
        label, custom_id = _LABELS[action], f"quota:{action}:{member_id}"
        super().__init__(discord.ui.Button(label=label, custom_id=custom_id, style=style))
        self.action = action
        self.member_id = member_id

    async def callback(self, interaction: Interaction) -> None:
        if self.action not in _FORMS:
            await self._apply(interaction)
            return
        async with guarded(interaction):
            moderator(interaction)
            known(self.member_id)
            form = _FORMS[self.action](self.member_id)
            # discord.py would keep each form that is shown for ever; all it knows is in its custom id.
            form.stop()
            await acknowledge(interaction, lambda: interaction.response.send_modal(form))

    @deciding
    async def _apply(self, interaction: Interaction) -> str | Page:
        bot, by = stillmotion(interaction), moderator(interaction)
        known(self.member_id)
        if self.action == "history":
            return await history(bot, by.guild_id, self.member_id)
        if self.action == "unblock":
            return await done(bot, interaction, await bot.moderation.unblock(by, self.member_id))
        change = ResetUsage(member_id=self.member_id)
        return await done(bot, interaction, await bot.moderation.decide(by, change))


class _Form(discord.ui.Modal):
    """A form about a member; its faults are told, which discord.py would only log."""

    action: ClassVar[str]

    def __init__(self, member_id: int) -> None:
        super().__init__(custom_id=f"quota-form:{self.action}:{member_id}")
        self.member_id = member_id

    async def on_error(self, interaction: Interaction, error: Exception, /) -> None:
        self.stop()
        await tell(interaction, sentence(interaction, error, DECISION))


class _GrantForm(_Form, title="Give extra credits"):
    action = "grant"
    amount: discord.ui.TextInput[Any] = discord.ui.TextInput(
        label="Credits", custom_id="amount", max_length=20
    )
    expires: discord.ui.TextInput[Any] = discord.ui.TextInput(
        label="Until, such as 3d or 24 Dec", custom_id="expires", required=False, max_length=40
    )
    reason: discord.ui.TextInput[Any] = discord.ui.TextInput(
        label="Reason", custom_id="reason", required=False, max_length=LONGEST_REASON
    )

    async def on_submit(self, interaction: Interaction, /) -> None:
        await self._give(interaction)

    @deciding
    async def _give(self, interaction: Interaction) -> str:
        by = moderator(interaction, self.reason.value or None)
        amount = self.amount.value.strip()
        if not (amount.isascii() and amount.isdigit()):
            raise BadRequest(f"Credits are a whole number, such as 3. {UNCHANGED}")
        bot = stillmotion(interaction)
        decision = await bot.moderation.grant(by, self.member_id, int(amount), self.expires.value or None)
        return await done(bot, interaction, decision)


class _BlockForm(_Form, title="Block from making videos"):
    action = "block"
    until: discord.ui.TextInput[Any] = discord.ui.TextInput(
        label="Until, such as 3d or 24 Dec; empty for good", custom_id="until", required=False, max_length=40
    )
    reason: discord.ui.TextInput[Any] = discord.ui.TextInput(
        label="Reason", custom_id="reason", required=False, max_length=LONGEST_REASON
    )

    async def on_submit(self, interaction: Interaction, /) -> None:
        await self._block(interaction)

    @deciding
    async def _block(self, interaction: Interaction) -> str:
        bot, by = stillmotion(interaction), moderator(interaction, self.reason.value or None)
        decision = await bot.moderation.block(by, self.member_id, self.until.value or None)
        return await done(bot, interaction, decision)


_FORMS: Mapping[str, type[_Form]] = {form.action: form for form in (_GrantForm, _BlockForm)}


def form_of(custom_id: str) -> discord.ui.Modal | None:
    """The form that was shown with this custom id, before a restart or after."""
    found = re.fullmatch(rf"quota-form:(?P<action>{'|'.join(_FORMS)}):(?P<member_id>{ID})", custom_id)
    member_id = int(found["member_id"]) if found else 0
    return _FORMS[found["action"]](member_id) if found and is_id(member_id) else None
