"""What `/animate` and `/video` share: their options, each written down once, and what becomes of them."""

import contextlib
import functools
import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

import discord
from discord import app_commands

from bot.catalogue import Catalogue
from bot.delivery.calls import call
from bot.errors import DeliveryFault, NotNow
from bot.intake import Attached, Order
from cogs._answer import Interaction, suggesting
from cogs._permissions import check_bot, check_member, is_public, role_ids
from cogs._suggestions import Suggestions, Value, matching
from providers import specs
from providers.options import Limits

log = logging.getLogger(__name__)

PROMPT = app_commands.Range[str, 1, specs.LONGEST_PROMPT]
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
_READ: Mapping[discord.AppCommandOptionType, Callable[[str], Value]] = {
    discord.AppCommandOptionType.string: str.strip,
    discord.AppCommandOptionType.integer: int,
    discord.AppCommandOptionType.number: float,
}
"""What of it people type, so that it can be completed; Discord itself offers the rest."""
READ_TIMEOUT = 30.0
"""Seconds for one attached file."""


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


async def order(
    interaction: Interaction, prompt: str, options: Mapping[str, Any], image: discord.Attachment | None
) -> Order:
    """What a command asks for. Raises UserFault if the video may not be posted where it was asked for."""
    check_member(interaction)
    await check_bot(interaction)
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
        role_ids=role_ids(interaction.user),
        parent_id=_parent(interaction.channel),
        is_public=is_public(interaction),
        prompt=prompt,
        provider=given.pop("provider", None),
        model=given.pop("model", None),
        options=given,
        files={name: _attached(file) for name, file in files.items() if file is not None},
    )


def _attached(file: discord.Attachment) -> Attached:
    return Attached(file.size, lambda: _read(file))


async def _read(file: discord.Attachment) -> bytes:
    """An attached file, in time. Raises NotNow."""
    try:
        return await call(file.read(), READ_TIMEOUT)
    except DeliveryFault as fault:
        log.warning("an attached file of %d bytes could not be read: %s", file.size, fault)
        raise NotNow(
            "Discord did not hand over your file just now. Try again in a minute; nothing was charged."
        ) from fault


def _parent(channel: object) -> int | None:
    """The channel of a public thread: a private one's members are fewer, and a forum takes no messages."""
    if not isinstance(channel, discord.Thread) or isinstance(channel.parent, discord.ForumChannel):
        return None
    return None if channel.is_private() else channel.parent_id


def suggest_from(command: Any, catalogue: Callable[[], Catalogue]) -> None:  # noqa: ANN401 - discord.py's
    """Let a command's options be completed from what the enabled models take."""
    mode = command.extras["mode"]

    def providers(_: Interaction, typed: str) -> Suggestions:
        found = catalogue()
        return matching(((name, found.label(name)) for name in found.offers(mode)), typed)

    def models(interaction: Interaction, typed: str) -> Suggestions:
        found = catalogue().candidates(mode, interaction.namespace.provider, None)
        return matching(((spec.id, spec.name) for _, spec in found), typed)

    def values_of(option: str, read: Callable[[str], Value]) -> Callable[[Interaction, str], Suggestions]:
        def values(interaction: Interaction, typed: str) -> Suggestions:
            chosen = interaction.namespace
            found = catalogue().candidates(mode, chosen.provider, chosen.model)
            taken = [limits for _, spec in found if (limits := spec.limits(option)) is not None]
            return matching(_values(taken, typed, read), typed)

        return values

    command.autocomplete("provider")(_always(providers))
    command.autocomplete("model")(_always(models))
    for option in command.parameters:
        if option.name in specs.OPTIONS and option.type in _READ:
            command.autocomplete(option.name)(_always(values_of(option.name, _READ[option.type])))


def _always(
    suggestions: Callable[[Interaction, str], Suggestions],
) -> Callable[[Interaction, str], Awaitable[Suggestions]]:
    @suggesting
    async def suggested(interaction: Interaction, typed: str | float) -> Suggestions:
        # discord.py makes NaN of a number of which nothing has been typed yet.
        nothing = isinstance(typed, float) and math.isnan(typed)
        return suggestions(interaction, "" if nothing else str(typed))

    return suggested


def _values(taken: Iterable[Limits], typed: str, read: Callable[[str], Value]) -> Iterator[tuple[Value, str]]:
    """What was typed, if any of these allow it, and then what they suggest; each with its words."""
    with contextlib.suppress(ValueError):
        own = read(typed)
        if any(limits.allows(own) for limits in taken):
            yield own, typed
    for limits in taken:
        for value in limits.suggestions:
            yield value, f"{value:g}" if isinstance(value, float) else str(value)
