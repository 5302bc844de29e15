"""The commands as Discord is told about them: discord.py's own form, and what it does not know of yet."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import discord
from discord import app_commands

Payload: TypeAlias = dict[str, Any]

_FILE_TYPES: Mapping[str, Sequence[str]] = {
    "image": ("image",),
    "end_image": ("image",),
    "audio_file": ("audio",),
}
"""What people are offered for an attachment option. Discord looks at the file's name only."""


def command_payload(tree: app_commands.CommandTree[Any]) -> list[Payload]:
    """Every global command, as it is sent to Discord."""
    payload: list[Payload] = [command.to_dict(tree) for command in tree.get_commands()]
    for command in payload:
        _filter_files(command)
    return payload


def _filter_files(entry: Payload) -> None:
    """Say which files fit into the attachment options of a command or of its subcommands."""
    for option in entry.get("options") or ():
        if option["type"] == discord.AppCommandOptionType.attachment.value and option["name"] in _FILE_TYPES:
            option["file_types"] = list(_FILE_TYPES[option["name"]])
        _filter_files(option)
