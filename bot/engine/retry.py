"""When a call that failed is made again, and when that is given up. Pure: time and jitter are parameters.

Every wait after a failure is decided here: those of the engine, of deliveries, and of a provider that rests.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bot.engine.uptime import GRACE
from providers.errors import NotFound, Overloaded, ProviderError

LONGEST_BACKOFF = 3600.0
"""Seconds; no vendor is believed that asks for more."""
SHORT_WAIT, LONG_WAIT = 60.0, 300.0
"""The longest waits in seconds between two tries, while a job is in its time and when it is overdue."""
AFTER_DRIVE, LONGEST_AFTER_DRIVE = 5.0, 300.0
"""Seconds until a drive that failed for a reason of ours is taken up again, longer each time."""
LONGEST_IN_QUEUE = 7200.0
"""Seconds; whatever a vendor asks for, a job does not stay in the queue for longer."""
OUTAGES_UNTIL_REST = 5
"""How many outages in a row make a provider rest."""
ONE_OUTAGE = timedelta(seconds=10)
"""Failures this close together are one outage, however many jobs meet it."""
PAUSE = timedelta(minutes=10)
"""How long a provider that refuses our key or our money is paused before its key is tried again."""
REST, LONGEST_REST = timedelta(minutes=1), timedelta(minutes=15)
"""How long a provider rests after outages in a row: twice as long each time."""
UNKNOWN_ANSWERS = 3
"""How often in a row a vendor must say that it does not know an operation before that is believed."""
JUST_SUBMITTED = timedelta(seconds=60)
"""Some vendors do not know an operation for a while after they have accepted it."""
BAD_DOWNLOADS = 5
"""How often what is downloaded must be no video before that is believed."""
BELIEVED_AFTER = timedelta(minutes=3)
"""And for how long: a page of errors may stand in for a file for a while."""
SMALLER_VIDEOS = 3
"""How often a video is made smaller because Discord refused it."""
NOTIFICATIONS = 8
"""How often a message about an end is tried in an outage of Discord."""
_DOUBLINGS = 12
"""More than enough for the longest wait."""


def backoff(
    failures: int, jitter: float, retry_after: float | None = None, longest: float = SHORT_WAIT
) -> float:
    """Seconds to wait after the n-th failure in a row, n from 1; `jitter` (0 to 1) spreads retries."""
    wait = min(longest, 2.0 ** min(failures, _DOUBLINGS)) * (0.5 + jitter / 2)
    return max(wait, min(retry_after or 0.0, LONGEST_BACKOFF))


def after_call(error: Exception | None, failures: int, jitter: float, *, is_overdue: bool) -> float:
    """Seconds until a poll, a download or a delivery that failed is tried again."""
    asked = error.retry_after if isinstance(error, Overloaded) else None
    return backoff(failures, jitter, asked, LONG_WAIT if is_overdue else SHORT_WAIT)


def after_drive(failures: int, jitter: float) -> float:
    """Seconds until a drive that failed for a reason of ours is taken up again."""
    return AFTER_DRIVE + backoff(failures, jitter, longest=LONGEST_AFTER_DRIVE)


def in_queue(age: float, error: ProviderError) -> float:
    """Seconds that a job stays in the queue that nobody has accepted; `age` is its own, in seconds."""
    asked = error.retry_after if isinstance(error, Overloaded) else None
    # The age is negative where the clock was put back.
    return min(LONGEST_IN_QUEUE, max(asked or 0.0, min(120.0, 5.0 + max(0.0, age) / 4)))


def rest(number: int) -> timedelta:
    """How long a provider rests, for the n-th time in a row, n from 1."""
    return min(LONGEST_REST, REST * 2 ** min(number - 1, _DOUBLINGS))


def is_time_up(now: datetime, deadline: datetime, since: datetime, awake_since: datetime) -> bool:
    """Whether a time is up: past its deadline, and GRACE after `since` and after any pause of the bot."""
    return now >= max(deadline, max(since, awake_since) + GRACE)


def is_forgotten(failures: Sequence[ProviderError], submitted_at: datetime, now: datetime) -> bool:
    """Whether the vendor keeps saying that it does not know the operation."""
    latest = failures[-UNKNOWN_ANSWERS:]
    is_unknown = len(latest) == UNKNOWN_ANSWERS and all(isinstance(error, NotFound) for error in latest)
    return is_unknown and now > submitted_at + JUST_SUBMITTED


def is_hopeless(
    broken_since: datetime | None, after: float | None, awake_since: datetime, now: datetime
) -> bool:
    """Whether a vendor has answered with errors alone for so many seconds that it means a failed video."""
    if broken_since is None or after is None:
        return False
    return (now - max(broken_since, awake_since)).total_seconds() >= after


def is_no_video(bad: int, began: datetime, awake_since: datetime, now: datetime) -> bool:
    """Whether so many bad downloads mean that there is nothing better to come."""
    return bad >= BAD_DOWNLOADS and now >= max(began, awake_since) + BELIEVED_AFTER


class Failures:
    """Failures in a row of one call; each makes the wait for the next try longer."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self.count = 0

    def next_wait(self) -> float:
        """Count one more failure; seconds until the next try."""
        self.count += 1
        return backoff(self.count, self._jitter())

    def clear(self) -> None:
        self.count = 0


class DriveFailures:
    """What failed in a row while one job was driven."""

    def __init__(self, now: datetime) -> None:
        self.count = 0
        self.tried_at = now
        self.since: datetime | None = None
        self._is_database = False
        self.lasts = False
        """It went on for a while, and the database was not away meanwhile."""

    def add(self, now: datetime, *, is_database: bool) -> None:
        if is_database and now - self.tried_at > GRACE:
            # It had gone well for a while.
            self.count, self.since = 0, None
        if is_database is not self._is_database:
            # After an outage one waits for long: two failures would be enough.
            self.since = None
        self._is_database = is_database
        self.count += 1
        self.since = self.since or now
        self.lasts = now - self.since >= GRACE
