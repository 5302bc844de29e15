"""Ids that come back from Discord in the custom ids of buttons, or that people type."""

import re
from typing import Any, Self

import discord

from bot.errors import BadRequest

ID = r"[0-9]{1,20}"
"""In the template of a custom id; `\\d` would take the digits of every script, and any number of them."""
UNKNOWN_BUTTON = "I don't know this button. Run the command again to get a new one."
_LARGEST = 2**63 - 1


def is_id(number: int) -> bool:
    """Whether Discord gives out such ids, and the database takes them."""
    return 0 < number <= _LARGEST


def known(*numbers: int) -> None:
    """Check the ids of a button. Raises BadRequest."""
    if not all(map(is_id, numbers)):
        raise BadRequest(UNKNOWN_BUTTON)


def read_id(typed: str) -> int:
    """The id that was typed; 0, which nothing has, for what is none."""
    is_plain = typed.isascii() and typed.isdecimal() and len(typed) <= len(str(_LARGEST))
    number = int(typed) if is_plain else 0
    return number if is_id(number) else 0


class FromCustomId:
    """A button that is made from its custom id: the groups of its template are what its class takes."""

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003 - the signature is discord.py's
        item: discord.ui.Item[Any],  # noqa: ARG003 - the same
        match: re.Match[str],
        /,
    ) -> Self:
        return cls(
            **{name: int(part) if part.isdecimal() else part for name, part in match.groupdict().items()}
        )
