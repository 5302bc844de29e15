"""What is posted, free of Discord's types: what a status card says, and how cards and videos get there."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from bot.jobs import Job, JobState, Place


class Hold(StrEnum):
    """Why nothing is done about a queued job until that is over."""

    PAUSE = "pause"
    """Moderators have paused their server, or the operator the provider or everything."""
    BUDGET = "budget"
    """The bot has spent what it may in an hour."""


@dataclass(frozen=True)
class Card:
    """One job as its members see it now."""

    job: Job
    provider: str
    """The provider's name as people read it."""
    model: str
    position: int | None = None
    """Place in the queue, from 1."""
    hold: Hold | None = None
    progress: float | None = None
    """From 0 to 1, only where the provider reports it."""
    fallback_from: str | None = None
    """The provider it was meant for first, as people read it."""
    price_at_least: bool = False
    """The job's price is the least that the provider asks for."""
    typical_seconds: float | None = None
    """How long this model usually takes, where anything is known."""

    kept_until: datetime | None = None
    """Until when the provider keeps the video of a job that is overdue."""
    promised_at: datetime | None = None
    """When the provider itself expects to be finished, where it says."""

    @property
    def expected_at(self) -> datetime | None:
        """When the video is usually finished; None where nothing is known or nothing is running."""
        if self.job.state is JobState.RUNNING and self.promised_at is not None:
            return self.promised_at
        if self.job.state is not JobState.RUNNING or not self.job.submitted_at or not self.typical_seconds:
            return None
        return self.job.submitted_at + timedelta(seconds=self.typical_seconds)


@dataclass(frozen=True)
class Posted:
    """A message, and the channel it is in."""

    channel_id: int
    message_id: int


class CardPoster(Protocol):
    """Keeps the status cards true."""

    def show(self, card: Card) -> None:
        """Bring the card up to date soon; a newer one replaces it on the way."""

    async def open(self, card: Card) -> int | None:
        """Show a card for the first time and wait for its message's id; None if it cannot be posted."""
        ...


class VideoPoster(Protocol):
    """Brings a finished video to its place."""

    def may_post(self, job: Job) -> bool | None:
        """Whether the bot may post where the video was asked for; None where that is not known now."""
        ...

    async def limit(self, job: Job) -> int:
        """How many bytes a file may have at the job's place."""
        ...

    async def announce(self, job: Job, *, again: bool) -> Posted:
        """Create the message that will carry the video; `again` says that there may be one already.

        Raises DeliveryFault.
        """
        ...

    async def attach(self, job: Job) -> None:
        """Put the video into that message; doing it again changes nothing. Raises DeliveryFault."""
        ...

    async def withdraw(self, job: Job) -> bool | None:
        """Take that message back, and say whether the video is there after all; None if nobody can tell.

        Raises Undelivered.
        """
        ...

    async def is_there(self, job: Job) -> bool:
        """Whether the message with the video exists. Raises Undelivered, or Undeliverable out of sight."""
        ...

    async def next_place(self, job: Job, *, unwanted: bool) -> tuple[Place, int | None] | None:
        """Where a video goes that its place does not take, and the channel if that is known; None: none.

        `unwanted` says that its message was deleted where it was: then no other channel gets it. Raises
        Undelivered while nobody can tell.
        """
        ...


@dataclass(frozen=True)
class Posters:
    """Both, as the engine gets them."""

    cards: CardPoster
    videos: VideoPoster
