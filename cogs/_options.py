"""What `/animate` and `/video` share: their options, each written down once, and what becomes of them."""

import functools
import inspect
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import discord
from discord import app_commands

from bot.catalogue import Catalogue
from bot.errors import NotAllowed
from bot.studio import Attached, Order
from cogs._answer import Interaction
from providers.specs import Mode

PROMPT = app_commands.Range[str, 1, 2000]
NAME = app_commands.Range[str, 1, 100]
OPTIONS: Mapping[str, tuple[Any, str]] = {
    "provider": (NAME, "Who makes the video"),
    "model": (NAME, "Which of the provider's models"),
    "duration": (int, "Length in seconds"),
    "resolution": (NAME, "Size of the video"),
    "aspect_ratio": (NAME, "Shape of the video"),
    "negative_prompt": (PROMPT, "What must not be seen"),
    "audio": (bool, "Whether the model makes sound as well"),
    "effect": (NAME, "An effect of the provider's"),
    "enhance_prompt": (bool, "Whether the provider may rewrite your prompt"),
    "fast": (bool, "Sooner, and not as good"),
    "seed": (int, "The same seed and prompt give a similar video again"),
    "steps": (int, "More steps take longer and show more detail"),
    "guidance": (float, "How closely the model keeps to the prompt"),
    "end_image": (discord.Attachment, "The picture that the video ends on"),
    "audio_file": (discord.Attachment, "MP3 or WAV: what is heard, or what moves the picture"),
}
"""Every option by its name: what Discord lets people type, and what it tells them."""
SUGGESTED = ("duration", "resolution", "aspect_ratio", "effect", "steps")
"""Options whose values derive from the chosen model while people type."""
_NEEDED = ("view_channel", "embed_links", "attach_files", "read_message_history")
_SHOWN = 25
"""Discord shows so many suggestions."""


def with_options(command: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    """Give a command that takes `**options` all of OPTIONS, as Discord has to be told about them."""

    @functools.wraps(command)
    async def taking(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it only hands on
        return await command(*args, **kwargs)

    own = [
        parameter
        for parameter in inspect.signature(command).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    shared = [
        inspect.Parameter(
            name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation | None
        )
        for name, (annotation, _) in OPTIONS.items()
    ]
    taking.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined] # what inspect looks for
    return app_commands.describe(**{name: words for name, (_, words) in OPTIONS.items()})(taking)


def order(
    interaction: Interaction, prompt: str, options: Mapping[str, Any], image: discord.Attachment | None
) -> Order:
    """What a command asks for. Raises NotAllowed if the bot may not post the video where it was asked for."""
    _check_permissions(interaction)
    given = {name: value for name, value in options.items() if value is not None}
    files = {
        "image": image,
        "end_image": given.pop("end_image", None),
        "audio_file": given.pop("audio_file", None),
    }
    return Order(
        id=interaction.id,
        guild_id=interaction.guild_id or 0,
        channel_id=interaction.channel_id or 0,
        user_id=interaction.user.id,
        prompt=prompt,
        provider=given.pop("provider", None),
        model=given.pop("model", None),
        options=given,
        files={name: Attached(file.size, file.read) for name, file in files.items() if file is not None},
    )


def suggest_from(command: Any, mode: Mode, catalogue: Callable[[], Catalogue]) -> None:  # noqa: ANN401 - discord.py's
    """Let a command's options be completed from what the enabled models take."""

    async def providers(_: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        found = catalogue()
        return _suggest(((name, found.label(name)) for name in found.offers(mode)), typed)

    async def models(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        found = catalogue().candidates(mode, interaction.namespace.provider, None)
        return _suggest(((spec.id, spec.name) for _, spec in found), typed)

    def values_of(option: str) -> Callable[[Interaction, str], Awaitable[list[app_commands.Choice[Any]]]]:
        async def values(interaction: Interaction, typed: str) -> list[app_commands.Choice[Any]]:
            chosen = interaction.namespace
            for _, spec in catalogue().candidates(mode, chosen.provider, chosen.model):
                limits = spec.limits(option)
                return _suggest(
                    ((value, str(value)) for value in limits.suggestions) if limits else (), typed
                )
            return []

        return values

    command.autocomplete("provider")(providers)
    command.autocomplete("model")(models)
    for option in SUGGESTED:
        command.autocomplete(option)(values_of(option))


def _suggest(values: Iterable[tuple[Any, str]], typed: int | str) -> list[app_commands.Choice[Any]]:
    wanted = str(typed).casefold()
    fitting = (
        app_commands.Choice(name=words[:100], value=value)
        for value, words in values
        if wanted in words.casefold() or wanted in str(value).casefold()
    )
    return list(itertools.islice(fitting, _SHOWN))


def _check_permissions(interaction: Interaction) -> None:
    """Everything that posting the video will need, before anything is charged."""
    in_thread = isinstance(interaction.channel, discord.Thread)
    needed = (*_NEEDED, "send_messages_in_threads" if in_thread else "send_messages")
    missing = [name for name in needed if not getattr(interaction.app_permissions, name)]
    if missing:
        names = ", ".join(name.replace("_", " ").title() for name in missing)
        raise NotAllowed(
            f"I may not post videos in this channel. A moderator has to give me: {names}. "
            "Nothing was charged."
        )
