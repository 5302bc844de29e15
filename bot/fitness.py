"""Which providers are fit to be asked now: what their answers of late tell. Pure: time is a parameter."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.funds import Funds
from bot.jobs import Failure
from providers.errors import OutOfFunds, Overloaded, ProviderError, Unauthorized, Uncertain, Unreachable

IN_A_ROW = 5
"""So many outages in a row, and a provider is left alone for a while."""
ONE_OUTAGE = timedelta(seconds=10)
"""Failures this close together are one outage, however many jobs meet it."""
REST = timedelta(minutes=1)
LONGEST_REST = timedelta(minutes=15)
PAUSE = timedelta(minutes=10)
"""How long a provider that refuses our key or our money is left alone before its key is tried again."""
_SLACK = timedelta(seconds=10)
"""By less than this, clocks are put back all the time; by more, and what was to end then ends at once."""
_DOUBLINGS = 10
"""More than enough for the longest rest."""


@dataclass
class Fitness:
    """One provider, as its latest answers show it."""

    outages: int = 0
    """In a row."""
    counted_at: datetime | None = None
    """When the latest of them was met."""
    broken: set[int] = field(default_factory=set[int])
    """The jobs that met them while they were looked at."""
    rests: int = 0
    """In a row; each is twice as long as the one before."""
    rests_from: datetime | None = None
    rests_until: datetime | None = None
    funds: Funds = field(default_factory=Funds)
    paused: Failure | None = None
    """Why nobody is sent there: the operator has to see to its key or to its balance."""
    paused_until: datetime | None = None

    def fit(self, now: datetime) -> bool:
        return self.paused is None and not self._rests(now)

    def seen(self) -> None:
        """It has answered: that ends outages and their rest, but says nothing of keys and money."""
        self._begin_count()
        self.rests = 0
        self.rests_from = self.rests_until = None

    def heard(self) -> None:
        """Its key was tried and works: that ends a pause, too."""
        self.seen()
        self.paused = self.paused_until = None

    def failed(self, error: ProviderError, now: datetime, job_id: int | None = None) -> None:
        """It has not answered as it should; what follows depends on how.

        An error of its own, or of a firewall before it, counts once for each job: it may be that job's alone.
        A refusal counts for nothing, even one of the key: `confirmed` tells what that is about.
        """
        match error:
            # A full house or our own limiter asks for patience: others may well be served.
            case Overloaded(status=None | 409):
                pass
            case Uncertain(status=int()) | Unreachable(status=int()) if job_id in self.broken:
                pass
            case Overloaded() | Unreachable() | Uncertain():
                self._count(now, job_id)
            case _:
                self.seen()

    def confirmed(self, error: Unauthorized | OutOfFunds, now: datetime) -> None:
        """The call that costs nothing was refused: it is the key or the balance, and no one request."""
        why = Failure.UNAUTHORIZED if isinstance(error, Unauthorized) else Failure.OUT_OF_FUNDS
        self._pause(why, now)

    def unpaid(self, user_id: int, cost: int, now: datetime) -> None:
        """It has refused a member's video for lack of money; after those of several, nobody is sent there."""
        self.funds.refuse(user_id, cost)
        if self.funds.is_empty and self.paused is None:
            self._pause(Failure.OUT_OF_FUNDS, now)

    def recall(self, why: Failure, now: datetime) -> None:
        """It was paused when the bot was stopped: its key is tried at once, and before any job is sent."""
        self.paused, self.paused_until = why, now
        self.funds.is_empty = why is Failure.OUT_OF_FUNDS

    def due(self, now: datetime) -> bool:
        """Whether a paused provider's key should be tried again."""
        return self.paused_until is not None and not now < self.paused_until <= now + PAUSE + _SLACK

    def wait(self, now: datetime) -> None:
        """Its key was tried and still does not work."""
        self.paused_until = now + PAUSE

    def _pause(self, why: Failure, now: datetime) -> None:
        """Send nobody there; a pause that goes on already does not begin again with each refusal."""
        self.paused = why
        self.paused_until = self.paused_until or now + PAUSE

    def _count(self, now: datetime, job_id: int | None) -> None:
        """Count an outage, once, and not while it rests for those before."""
        if self._rests(now) or (self.counted_at and self.counted_at <= now < self.counted_at + ONE_OUTAGE):
            return
        self.outages += 1
        self.counted_at = now
        if job_id is not None:
            self.broken.add(job_id)
        if self.outages >= IN_A_ROW:
            self._begin_count()
            self.rests_from = now
            self.rests_until = now + min(LONGEST_REST, REST * 2 ** min(self.rests, _DOUBLINGS))
            self.rests += 1

    def _begin_count(self) -> None:
        self.outages = 0
        self.counted_at = None
        self.broken.clear()

    def _rests(self, now: datetime) -> bool:
        if self.rests_until is None or now >= self.rests_until:
            return False
        return self.rests_from is None or now > self.rests_from - _SLACK


@dataclass
class Ward:
    """All providers' fitness by name."""

    _known: dict[str, Fitness] = field(default_factory=dict)

    def __getitem__(self, provider: str) -> Fitness:
        return self._known.setdefault(provider, Fitness())
