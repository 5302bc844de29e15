"""What a status card has to say, free of how Discord shows it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

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
    typical_seconds: float | None = None
    """How long this model usually takes, where anything is known."""

    @property
    def expected_at(self) -> datetime | None:
        """When the video is usually finished; None where nothing is known or nothing is running."""
        if self.job.state is not JobState.RUNNING or not self.job.submitted_at or not self.typical_seconds:
            return None
        return self.job.submitted_at + timedelta(seconds=self.typical_seconds)
