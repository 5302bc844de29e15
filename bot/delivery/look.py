"""How a job looks in Discord. Pure: a Card in, an embed and its button out."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import discord

from bot.jobs import CANCELLABLE, Job, JobState, Place
from bot.notices import ending, overdue, phase
from bot.posting import Card
from bot.words import dollars, escape, span
from providers.specs import OPTIONS

_BAR = 12
_PROMPT = 600
_COLOURS = {
    JobState.DELIVERED: discord.Colour.green(),
    JobState.FAILED: discord.Colour.red(),
    JobState.CANCELLED: discord.Colour.light_grey(),
}
_TITLES = {
    JobState.QUEUED: "Video queued",
    JobState.DELIVERED: "Video ready",
    JobState.FAILED: "No video this time",
    JobState.CANCELLED: "Video cancelled",
}


@dataclass(frozen=True)
class CardLook:
    """A card as Discord shows it."""

    embed: discord.Embed
    view: discord.ui.View | None

    @property
    def digest(self) -> str:
        """Equal for what looks equal; a card's buttons follow from what it says."""
        return hashlib.sha256(json.dumps(self.embed.to_dict(), sort_keys=True).encode()).hexdigest()[:16]


def render(card: Card) -> CardLook:
    """A card's look: what was asked, how it stands, and a Cancel button while that is possible."""
    job = card.job
    embed = discord.Embed(
        title=_TITLES.get(job.state, "Making your video"),
        description=f"{_prompt_lines(job.request.prompt)}\n\n{_status(card)}",
        colour=_COLOURS.get(job.state, discord.Colour.blurple()),
    )
    embed.add_field(name="For", value=f"<@{job.user_id}>")
    instead = (
        f" (instead of {escape(card.fallback_from)}, which could not take it)" if card.fallback_from else ""
    )
    embed.add_field(name="Made by", value=f"{escape(card.provider)}, {escape(card.model)}{instead}")
    if chosen := _options(job):
        embed.add_field(name="With", value=chosen)
    if job.quoted_micros is not None:
        price = dollars(job.quoted_micros, at_least=card.price_at_least)
        embed.add_field(name="Price", value=price)
    return CardLook(embed, _buttons(job))


def cancel_button(job_id: int) -> discord.ui.Button[Any]:
    """What it does is in `cogs._buttons`."""
    return discord.ui.Button(label="Cancel", custom_id=f"cancel:{job_id}")


def jump(job: Job) -> str | None:
    """The address of the message that shows a job best: its video, else its card."""
    if job.state is JobState.DELIVERED:
        where = "@me" if job.place is Place.DIRECT else job.guild_id
        channel_id, message_id = job.place_id or job.channel_id, job.message_id
    else:
        where, channel_id, message_id = job.guild_id, job.channel_id, job.card_id
    return f"https://discord.com/channels/{where}/{channel_id}/{message_id}" if message_id else None


def _status(card: Card) -> str:
    job = card.job
    if not job.state.is_open:
        text = ending(job, card.provider)
        if job.advice is not None and job.advice.suggested_prompt:
            text += f"\nIt suggests this prompt instead:\n{_prompt_lines(job.advice.suggested_prompt)}"
        link = jump(job) if job.state is JobState.DELIVERED and job.place is not Place.DIRECT else None
        if job.state is not JobState.DELIVERED or job.message_id is None:
            return text
        took = f" It took {span((job.state_at - job.created_at).total_seconds())}."
        return f"{text}{took} [Watch it]({link})." if link else f"{text}{took}"
    if card.kept_until is not None:
        return overdue(job, card.provider, card.kept_until)
    is_told = card.progress is not None
    lines = [phase(job, card.provider, card.position, card.hold, fitting=is_told)]
    if card.progress is not None and job.state in {JobState.RUNNING, JobState.DELIVERING}:
        lines.append(_bar(card.progress))
    lines.append(f"Asked {_relative(job.created_at)}.{_estimate(card)}")
    return "\n".join(lines)


def _estimate(card: Card) -> str:
    if card.expected_at is not None:
        return f" Usual finish: {_relative(card.expected_at)}."
    if card.job.state is JobState.QUEUED and card.typical_seconds:
        return f" Once started, it usually takes about {span(card.typical_seconds)}."
    return ""


def _bar(progress: float) -> str:
    full = round(progress * _BAR)
    return f"`{'█' * full}{'░' * (_BAR - full)}` {progress:.0%}"


def _options(job: Job) -> str:
    chosen = ((name, words, getattr(job.request, name)) for name, words in OPTIONS.items())
    return ", ".join(f"{words} {_shown(name, value)}" for name, words, value in chosen if value is not None)


def _shown(option: str, value: object) -> str:
    match value:
        case bool():
            return "on" if value else "off"
        case int() if option == "duration":
            return f"{value} s"
        case int() | float():
            return f"{value:g}" if isinstance(value, float) else str(value)
        case str():
            return escape(value, 100)
        case _:
            return "attached"


def _prompt_lines(prompt: str) -> str:
    return f"> {escape(prompt, _PROMPT)}"


def _relative(moment: datetime) -> str:
    return discord.utils.format_dt(moment, "R")


def _buttons(job: Job) -> discord.ui.View | None:
    if job.state not in CANCELLABLE:
        return None
    view = discord.ui.View(timeout=None)
    view.add_item(cancel_button(job.id))
    return view
