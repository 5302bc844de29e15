"""Which providers are fit to be asked now: what their answers of late tell. Pure: time is a parameter."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.engine.retry import ONE_OUTAGE, OUTAGES_UNTIL_REST, PAUSE, rest
from bot.jobs import Failure
from providers.errors import OutOfFunds, Overloaded, ProviderError, Unauthorized, Uncertain, Unreachable

_SLACK = timedelta(seconds=10)
"""By less than this, clocks are put back all the time; by more, and what was to end then ends at once."""
MEMBERS = 3
"""When a provider has refused videos of so many members, and taken none since, its account has no money."""


@dataclass
class Funds:
    """The account at one provider, as far as its answers show it."""

    refused: set[int] = field(default_factory=set[int])
    """The members whose videos were refused since one was taken."""
    cost: int | None = None
    """That of the dearest video that was refused, until one as dear is taken."""
    is_empty: bool = False

    def refuse(self, user_id: int, cost: int) -> None:
        """One dear video says nothing of others; those of several members do."""
        self.refused.add(user_id)
        self.cost = max(cost, self.cost or 0)
        self.is_empty = self.is_empty or len(self.refused) >= MEMBERS

    def take(self, cost: int) -> None:
        """A video was accepted."""
        self.refused.clear()
        self.is_empty = False
        if self.cost is not None and cost >= self.cost:
            self.cost = None


@dataclass
class ProviderHealth:
    """One provider, as its latest answers show it."""

    outages: int = 0
    """In a row."""
    counted_at: datetime | None = None
    """When the latest of them was met."""
    failed_jobs: set[int] = field(default_factory=set[int])
    """The jobs that met them while they were looked at."""
    rest_count: int = 0
    """In a row; each is twice as long as the one before."""
    resting_from: datetime | None = None
    resting_until: datetime | None = None
    funds: Funds = field(default_factory=Funds)
    paused: Failure | None = None
    """Why nobody is sent there: the operator has to see to its key or to its balance."""
    paused_until: datetime | None = None

    def is_available(self, now: datetime) -> bool:
        return self.paused is None and not self._is_resting(now)

    def record_answer(self) -> None:
        """It has answered: that ends outages and their rest, but says nothing of keys and money."""
        self._begin_count()
        self.rest_count = 0
        self.resting_from = self.resting_until = None

    def record_success(self) -> None:
        """Its key was tried and works: that ends a pause, too."""
        self.record_answer()
        self.paused = self.paused_until = None

    def record_failure(self, error: ProviderError, now: datetime, job_id: int | None = None) -> None:
        """It has not answered as it should; what follows depends on how.

        An error of its own, or of a firewall before it, counts once for each job: it may be that job's alone.
        A refusal counts for nothing, even one of the key: `confirmed` tells what that is about.
        """
        match error:
            # A full house or our own limiter asks for patience: others may well be served.
            case Overloaded(status=None | 409):
                pass
            case Uncertain(status=int()) | Unreachable(status=int()) if job_id in self.failed_jobs:
                pass
            case Overloaded() | Unreachable() | Uncertain():
                self._count(now, job_id)
            case _:
                self.record_answer()

    def record_refusal(self, error: Unauthorized | OutOfFunds, now: datetime) -> None:
        """The call that costs nothing was refused: it is the key or the balance, and no one request."""
        why = Failure.UNAUTHORIZED if isinstance(error, Unauthorized) else Failure.OUT_OF_FUNDS
        self._pause(why, now)

    def record_unpaid(self, user_id: int, cost: int, now: datetime) -> None:
        """It has refused a member's video for lack of money; after those of several, nobody is sent there."""
        self.funds.refuse(user_id, cost)
        if self.funds.is_empty and self.paused is None:
            self._pause(Failure.OUT_OF_FUNDS, now)

    def restore_pause(self, why: Failure, now: datetime) -> None:
        """It was paused when the bot was stopped: its key is tried at once, and before any job is sent."""
        self.paused, self.paused_until = why, now
        self.funds.is_empty = why is Failure.OUT_OF_FUNDS

    def is_check_due(self, now: datetime) -> bool:
        """Whether a paused provider's key should be tried again."""
        return self.paused_until is not None and not now < self.paused_until <= now + PAUSE + _SLACK

    def extend_pause(self, now: datetime) -> None:
        """Its key was tried and still does not work."""
        self.paused_until = now + PAUSE

    def _pause(self, why: Failure, now: datetime) -> None:
        """Send nobody there; a pause that goes on already does not begin again with each refusal."""
        self.paused = why
        self.paused_until = self.paused_until or now + PAUSE

    def _count(self, now: datetime, job_id: int | None) -> None:
        """Count an outage, once, and not while it rests for those before."""
        if self._is_resting(now) or (
            self.counted_at and self.counted_at <= now < self.counted_at + ONE_OUTAGE
        ):
            return
        self.outages += 1
        self.counted_at = now
        if job_id is not None:
            self.failed_jobs.add(job_id)
        if self.outages >= OUTAGES_UNTIL_REST:
            self._begin_count()
            self.resting_from = now
            self.rest_count += 1
            self.resting_until = now + rest(self.rest_count)

    def _begin_count(self) -> None:
        self.outages = 0
        self.counted_at = None
        self.failed_jobs.clear()

    def _is_resting(self, now: datetime) -> bool:
        if self.resting_until is None or now >= self.resting_until:
            return False
        return self.resting_from is None or now > self.resting_from - _SLACK
