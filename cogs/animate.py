"""`/animate`: an attached picture and a prompt become a video in the channel."""

import itertools
from collections.abc import Iterable
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Stillmotion
from bot.errors import NotAllowed
from bot.studio import Options, Order
from cogs._answer import Interaction, privately
from providers.specs import Mode

_NEEDED = ("view_channel", "embed_links", "attach_files", "read_message_history")
_SHOWN = 25
"""Discord shows so many suggestions."""


class Animate(commands.Cog):
    def __init__(self, bot: Stillmotion) -> None:
        self.bot = bot

    @app_commands.command()
    @app_commands.describe(
        image="The picture to bring to life: JPEG, PNG or WebP",
        prompt="What should move and how; describe the motion rather than the picture",
        provider="Who makes the video",
        model="Which of the provider's models",
        duration="Length in seconds",
        resolution="Size of the video",
        aspect_ratio="Shape of the video",
        seed="The same seed and prompt give a similar video again",
        steps="More steps take longer and show more detail",
    )
    @privately
    async def animate(  # noqa: PLR0913, PLR0917 - one for each option that Discord shows
        self,
        interaction: Interaction,
        image: discord.Attachment,
        prompt: app_commands.Range[str, 1, 2000],
        provider: str | None = None,
        model: str | None = None,
        duration: int | None = None,
        resolution: str | None = None,
        aspect_ratio: str | None = None,
        seed: int | None = None,
        steps: int | None = None,
    ) -> str:
        """Turn a picture into a video."""
        _check_permissions(interaction)
        order = Order(
            id=interaction.id,
            guild_id=interaction.guild_id or 0,
            channel_id=interaction.channel_id or 0,
            user_id=interaction.user.id,
            prompt=prompt,
            provider=provider,
            model=model,
            options=Options(
                duration=duration,
                resolution=resolution,
                aspect_ratio=aspect_ratio,
                seed=seed,
                steps=steps,
            ),
            image_size=image.size,
            read_image=image.read,
        )
        job = await self.bot.tasks.detached(self.bot.studio.enqueue(order), f"order {order.id}")
        shown = "The card below shows how it goes" if job.card_id else "Its card could not be posted here"
        return f"Your video is in the queue. {shown}; `/jobs` lists all of yours."

    @animate.autocomplete("provider")
    async def _providers(self, _: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        catalogue = self.bot.studio.catalogue
        names = {name: catalogue.providers[name].label for name in catalogue.offers(Mode.IMAGE_TO_VIDEO)}
        return _suggest(names.items(), typed)

    @animate.autocomplete("model")
    async def _models(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        found = self.bot.studio.catalogue.candidates(
            Mode.IMAGE_TO_VIDEO, interaction.namespace.provider, None
        )
        return _suggest(((spec.id, spec.name) for _, spec in found), typed)

    @animate.autocomplete("resolution")
    async def _resolutions(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return self._values(interaction, "resolution", typed)

    @animate.autocomplete("aspect_ratio")
    async def _ratios(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return self._values(interaction, "aspect_ratio", typed)

    @animate.autocomplete("duration")
    async def _durations(self, interaction: Interaction, typed: int | str) -> list[app_commands.Choice[int]]:
        return self._values(interaction, "duration", typed)

    @animate.autocomplete("steps")
    async def _steps(self, interaction: Interaction, typed: int | str) -> list[app_commands.Choice[int]]:
        return self._values(interaction, "steps", typed)

    def _values(
        self, interaction: Interaction, option: str, typed: int | str
    ) -> list[app_commands.Choice[Any]]:
        """What the model that would be used now takes for an option."""
        chosen = interaction.namespace
        for _, spec in self.bot.studio.catalogue.candidates(
            Mode.IMAGE_TO_VIDEO, chosen.provider, chosen.model
        ):
            limits = spec.limits(option)
            return _suggest(((value, str(value)) for value in limits.suggestions) if limits else (), typed)
        return []


def _suggest(values: Iterable[tuple[Any, str]], typed: int | str) -> list[app_commands.Choice[Any]]:
    wanted = str(typed).casefold()
    fitting = (
        app_commands.Choice(name=words, value=value)
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


async def setup(bot: Stillmotion) -> None:
    await bot.add_cog(Animate(bot))
