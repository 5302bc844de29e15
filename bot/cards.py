"""What a status card has to say, free of how Discord shows it, and the letter box that takes it there."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from bot.jobs import Job, JobState


@dataclass(frozen=True)
class Card:
    """One job as its members see it now."""

    job: Job
    provider: str
    """The provider's name as people read it."""
    model: str
    position: int | None = None
    """Place in the queue, from 1."""
    progress: float | None = None
    """From 0 to 1, only where the provider reports it."""
    fell_from: str | None = None
    """The provider it was meant for first, as people read it."""
    price_at_least: bool = False
    """The job's price is the least that the provider asks for."""
    typical_seconds: float | None = None
    """How long this model usually takes, where anything is known."""

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


class Letterbox(Protocol):
    """Where cards and videos go."""

    def show(self, card: Card) -> None:
        """Bring the card up to date soon; a newer one replaces it on the way."""

    async def open(self, card: Card) -> int | None:
        """Show a card for the first time and wait for its message's id; None if it cannot be posted."""
        ...

    async def limit(self, job: Job) -> int:
        """How many bytes a file may have where the video goes."""
        ...

    async def announce(self, job: Job) -> int:
        """Create the message that will carry the video, and return its id. Raises DeliveryFault."""
        ...

    async def attach(self, job: Job, message_id: int) -> None:
        """Put the video into that message; doing it again changes nothing. Raises DeliveryFault."""
        ...
