"""Suggestions for what people type into an option."""

import itertools
from collections.abc import Iterable
from typing import TypeAlias

from discord import app_commands

from bot.words import plain

Value: TypeAlias = str | int | float
Suggestions: TypeAlias = list[app_commands.Choice[Value]]
_SHOWN = 25
_LONGEST = 100
"""Discord's limits for suggestions: how many, and their characters."""


def matching(values: Iterable[tuple[Value, str]], typed: str) -> Suggestions:
    """The values whose words contain what was typed, without doubles and what Discord would refuse."""
    wanted, found = typed.casefold(), dict[Value, str]()
    for value, words in values:
        fits = wanted in words.casefold() or wanted in str(value).casefold()
        if fits and 0 < len(str(value)) <= _LONGEST:
            found.setdefault(value, plain(words)[:_LONGEST].strip() or plain(str(value)) or "?")
    shown = itertools.islice(found.items(), _SHOWN)
    return [app_commands.Choice(name=words, value=value) for value, words in shown]
