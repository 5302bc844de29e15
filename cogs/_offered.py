"""What clients send for a command's options, held against what Discord was told that they take.

Discord checks that, too. A client of somebody's own making, or one that loaded the commands before they were
changed, may send anything: each value that does not fit gets a sentence here, before anything reads it.
"""

import logging
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import discord
from discord import AppCommandOptionType as Type
from discord import app_commands

from bot.client import Stillmotion, stillmotion
from bot.delivery.calls import call
from bot.errors import DeliveryFault
from cogs._answer import DECISION, VIDEO, Interaction, tell
from cogs._ids import read_id

log = logging.getLogger(__name__)

CHANGED = "This command has changed since your Discord loaded it. Type it anew in a minute."
_LONGEST = 6000
"""Characters of a text without a limit of its own, and the largest number, as Discord has them."""
_LARGEST = 2**53
_RESOLVED: Mapping[Type, tuple[str, ...]] = {
    Type.user: ("users",),
    Type.channel: ("channels",),
    Type.role: ("roles",),
    Type.mentionable: ("users", "roles"),
    Type.attachment: ("attachments",),
}
"""Where Discord describes what an option names."""
Payload: TypeAlias = Mapping[str, Any]
Command: TypeAlias = app_commands.Command[Any, ..., Any]


async def is_offered(interaction: Interaction) -> bool:
    """Whether discord.py may read the interaction; if not, the person has been told why."""
    data: Any = interaction.data
    is_typing = interaction.type is discord.InteractionType.autocomplete
    try:
        why = objection(stillmotion(interaction), data, is_typing=is_typing)
    except Exception as error:  # noqa: BLE001 - whatever they have sent
        log.warning("a command came in a form that nobody knows: %r", error)
        why = f"{CHANGED} {VIDEO.undone}"
    if why is None:
        return True
    if is_typing:
        await suggest_nothing(interaction)
    else:
        await tell(interaction, why)
    return False


async def suggest_nothing(interaction: Interaction) -> None:
    try:
        await call(interaction.response.autocomplete([]))
    except DeliveryFault as fault:
        log.warning("nothing could be suggested: %s", fault)


def objection(bot: Stillmotion, data: Payload, *, is_typing: bool) -> str | None:
    """What is wrong with a command as it came, if anything is."""
    kind = discord.AppCommandType(data.get("type", 1))
    root = bot.tree.get_command(data["name"], type=kind)
    if root is None:
        return f"{CHANGED} {VIDEO.undone}"
    undone = DECISION.undone if root.default_permissions else VIDEO.undone
    resolved: Payload = data.get("resolved") or {}
    if isinstance(root, app_commands.ContextMenu):
        named = "users" if kind is discord.AppCommandType.user else "messages"
        is_there = data.get("target_id") in resolved.get(named, {})
        return None if is_there else f"Discord did not tell me whom you mean. Try again. {undone}"
    command, given = _subcommand(root, data)
    if command is None or not _has_shape(command, given, is_typing=is_typing):
        return f"{CHANGED} {undone}"
    options = {option.display_name: option for option in command.parameters}
    for entry in given:
        option, value = options[entry["name"]], entry["value"]
        # What has not been typed to its end fits nothing yet.
        if not (isinstance(value, str | int | float) if is_typing else _fits(option, value, resolved)):
            return f"{_wrong(option)} {undone}"
    return None


def _subcommand(
    found: app_commands.Command[Any, ..., Any] | app_commands.Group | None, data: Payload
) -> tuple[Command | None, list[Payload]]:
    """The command that is meant, and what is given to it."""
    given: list[Payload] = data.get("options") or []
    while isinstance(found, app_commands.Group):
        entry: Payload = given[0] if given else {}
        found, given = found.get_command(entry.get("name", "")), entry.get("options") or []
    return found, given


def _has_shape(command: Command, given: list[Payload], *, is_typing: bool) -> bool:
    """Whether these are its options, each of its type, and none is missing."""
    options = {option.display_name: option for option in command.parameters}
    if any(options.get(entry["name"]) is None or "value" not in entry for entry in given):
        return False
    if any(options[entry["name"]].type.value != entry["type"] for entry in given):
        return False
    if is_typing:
        focused = [options[entry["name"]] for entry in given if entry.get("focused")]
        return bool(focused) and focused[0].autocomplete
    names = {entry["name"] for entry in given}
    return all(option.display_name in names for option in command.parameters if option.required)


def _fits(option: app_commands.Parameter, value: object, resolved: Payload) -> bool:
    if option.choices and value not in [choice.value for choice in option.choices]:
        return False
    low, high = option.min_value, option.max_value
    match option.type:
        case Type.string:
            return isinstance(value, str) and (low or 0) <= len(value) <= (high or _LONGEST)
        case Type.boolean:
            return isinstance(value, bool)
        case Type.integer | Type.number:
            kinds = int if option.type is Type.integer else int | float
            if isinstance(value, bool) or not isinstance(value, kinds):
                return False
            number = float(value) if abs(value) <= _LARGEST else math.inf
            return (-_LARGEST if low is None else low) <= number <= (_LARGEST if high is None else high)
        case _:
            is_id = isinstance(value, str) and read_id(value) > 0
            return is_id and any(value in resolved.get(named, {}) for named in _RESOLVED[option.type])


def _wrong(option: app_commands.Parameter) -> str:
    if option.choices:
        return f"`{option.display_name}` is one of: {', '.join(choice.name for choice in option.choices)}."
    if option.type is Type.attachment:
        return "Discord did not hand over your file. Attach it again."
    return f"I can't use that for `{option.display_name}`. Choose what Discord offers you there."
