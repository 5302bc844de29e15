"""The commands as Discord is told about them: discord.py's own form, and what it does not know of yet."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import discord
from discord import app_commands

from providers.specs import Mode

Payload: TypeAlias = dict[str, Any]
Unavailable: TypeAlias = frozenset[tuple[Mode, str]]
"""Options that are of no use now to commands that make videos in a mode (`extras["mode"]`)."""

_FILE_TYPES: Mapping[str, Sequence[str]] = {
    "image": ("image",),
    "end_image": ("image",),
    "audio_file": ("audio",),
}
"""What people are offered for an attachment option. Discord looks at the file's name only."""

_SETS = {"integration_types", "contexts", "channel_types", "file_types"}
"""Lists whose order means nothing."""
_MEANS_SOMETHING = {
    *_SETS,
    "options",
    "choices",
    "autocomplete",
    "required",
    "min_value",
    "max_value",
    "min_length",
    "max_length",
    "nsfw",
    "default_member_permissions",
}
"""What a command may still have of an earlier version, although we send no such key any more."""


def command_payload(tree: app_commands.CommandTree[Any], unavailable: Unavailable) -> list[Payload]:
    """Every global command, as it is sent to Discord: without the options that nobody takes now."""
    payload: list[Payload] = []
    for command in tree.get_commands():
        sent: Payload = command.to_dict(tree)
        if (mode := command.extras.get("mode")) is not None:
            options = sent["options"]
            sent["options"] = [option for option in options if (mode, option["name"]) not in unavailable]
        _filter_files(sent)
        payload.append(sent)
    return payload


def difference(sent: Sequence[Payload], known: Sequence[Payload]) -> str | None:
    """The first place in which the commands that Discord knows are not ours; None without one."""
    ours = {(command.get("type", 1), command["name"]): command for command in sent}
    theirs = {(command.get("type", 1), command["name"]): command for command in known}
    if ours.keys() != theirs.keys():
        return ", ".join(sorted(str(name) for _, name in ours.keys() ^ theirs.keys()))
    places = (_differs(name, ours[kind, name], theirs[kind, name]) for kind, name in sorted(ours))
    return next((place for place in places if place), None)


def _differs(place: str, sent: Payload, known: Payload) -> str | None:
    """Of what Discord adds, only what would change the command counts."""
    for name in sent.keys() | (_MEANS_SOMETHING & known.keys()):
        ours, theirs = sent.get(name), known.get(name)
        if name == "options":
            found = _options_differ(place, ours or [], theirs or [])
        else:
            found = None if _plain(name, ours) == _plain(name, theirs) else f"{place}: {name}"
        if found:
            return found
    return None


def _options_differ(place: str, sent: Sequence[Payload], known: Sequence[Payload]) -> str | None:
    if [option["name"] for option in sent] != [option["name"] for option in known]:
        return f"{place}: options"
    places = (_differs(f"{place} {a['name']}", a, b) for a, b in zip(sent, known, strict=True))
    return next((found for found in places if found), None)


def _plain(name: str, value: Any) -> Any:  # noqa: ANN401 - a value of JSON
    """What is not there, is empty or is off means the same to Discord."""
    if value is None or value is False or value in ("", [], {}):
        return None
    if name == "choices":
        return [(choice["name"], choice["value"]) for choice in value]
    if name in _SETS:
        return {str(item) for item in value}
    return str(value) if name == "default_member_permissions" else value


def _filter_files(entry: Payload) -> None:
    """Say which files fit into the attachment options of a command or of its subcommands."""
    for option in entry.get("options") or ():
        if option["type"] == discord.AppCommandOptionType.attachment.value and option["name"] in _FILE_TYPES:
            option["file_types"] = list(_FILE_TYPES[option["name"]])
        _filter_files(option)
