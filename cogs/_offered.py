"""What clients send with commands, buttons and forms, held against what Discord was told that they take.

Discord checks that, too. A client of somebody's own making, or one that loaded the commands before they were
changed, may send anything: each value that does not fit gets a sentence here, before anything reads it.
"""

import logging
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, cast

import discord
from discord import AppCommandOptionType as Type
from discord import app_commands

from bot.client import Stillmotion, stillmotion
from bot.delivery.calls import call
from bot.errors import DeliveryFault
from cogs._answer import DECISION, VIDEO, Interaction
from cogs._ids import UNKNOWN_BUTTON, read_id

log = logging.getLogger(__name__)

CHANGED = "This command has changed since your Discord loaded it. Type it anew in a minute."
OLD_FORM = f"I can't use this form any more. Open it again. {DECISION.undone}"
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


def objection(
    interaction: Interaction,
    buttons: Iterable[re.Pattern[str]],
    form_of: Callable[[str], discord.ui.Modal | None],
) -> str | None:
    """Why discord.py may not read an interaction, as a sentence for whoever sent it; None if it may."""
    kind, data = interaction.type, cast("Payload", interaction.data)
    try:
        match kind:
            case discord.InteractionType.component:
                return None if _is_shown(interaction, buttons) else UNKNOWN_BUTTON
            case discord.InteractionType.modal_submit:
                return None if _is_filled_in(interaction, form_of) else OLD_FORM
            case _:
                is_typing = kind is discord.InteractionType.autocomplete
                return _objection(stillmotion(interaction), data, is_typing=is_typing)
    except Exception as error:  # noqa: BLE001 - whatever they have sent
        log.warning("an interaction came in a form that nobody knows: %r", error)
        unknown = {
            discord.InteractionType.component: UNKNOWN_BUTTON,
            discord.InteractionType.modal_submit: OLD_FORM,
        }
        return unknown.get(kind, f"{CHANGED} {VIDEO.undone}")


async def suggest_nothing(interaction: Interaction) -> None:
    try:
        await call(interaction.response.autocomplete([]))
    except DeliveryFault as fault:
        log.warning("nothing could be suggested: %s", fault)


def _objection(bot: Stillmotion, data: Payload, *, is_typing: bool) -> str | None:
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
            return _is_text(value, low, high)
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


def _is_text(value: object, low: float | None, high: float | None) -> bool:
    """Whether it is a text of such a length, and one that a database takes."""
    if not isinstance(value, str) or not (low or 0) <= len(value) <= (high or _LONGEST):
        return False
    return not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value)


def _is_shown(interaction: Interaction, buttons: Iterable[re.Pattern[str]]) -> bool:
    """Whether it is a button of ours, and stands in its message: discord.py looks for both."""
    data: Any = interaction.data
    custom_id, kind = data["custom_id"], data["component_type"]
    lines = interaction.message.components if interaction.message else []
    shown = [item for line in lines if isinstance(line, discord.ActionRow) for item in line.children]
    stands = any(item.custom_id == custom_id and item.type.value == kind for item in shown)
    return stands and any(ours.fullmatch(custom_id) for ours in buttons)


def _is_filled_in(interaction: Interaction, form_of: Callable[[str], discord.ui.Modal | None]) -> bool:
    """Whether it is a form of ours, and each of its fields has what that takes."""
    data: Any = interaction.data
    form = form_of(data["custom_id"])
    if form is None or data.get("resolved"):
        return False
    texts = cast("list[discord.ui.TextInput[Any]]", form.children)
    fields = {field.custom_id: field for field in texts}
    given = [entry for line in data["components"] for entry in line["components"]]
    names = [entry["custom_id"] for entry in given]
    missing = {name for name, field in fields.items() if field.required}.difference(names)
    return (
        all(line["type"] == discord.ComponentType.action_row.value for line in data["components"])
        and all(entry["type"] == discord.ComponentType.text_input.value for entry in given)
        and len(names) == len(set(names))
        and not missing
        and all(_fills(fields[entry["custom_id"]], entry["value"]) for entry in given)
    )


def _fills(field: discord.ui.TextInput[Any], value: object) -> bool:
    if not field.required and value == "":
        return True
    return _is_text(value, field.min_length or int(field.required), field.max_length)
