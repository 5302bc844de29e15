"""Since when the bot has been awake. Pure: time is a parameter."""

import logging
from datetime import datetime, timedelta

log = logging.getLogger(__name__)

LATE = timedelta(minutes=1)
"""A wait that ends so much later than it was to end was a pause of the bot."""
GRACE = timedelta(minutes=3)
"""What others get to answer after a pause, a restart or an outage of theirs, however late it is by then."""


class Uptime:
    """Notices pauses: a machine that slept, a stopped process, a clock that was put on or back."""

    def __init__(self, now: datetime) -> None:
        self._awake_since = self._noted = now
        self._expected: datetime | None = None

    def expect(self, at: datetime) -> None:
        """Somebody will ask again by then, as long as the bot lives."""
        self._expected = at

    def awake_since(self, now: datetime, due: datetime | None = None) -> datetime:
        """The end of the latest pause, or the start of the program; `due` was to end a wait that ends now."""
        dues = (moment for moment in (due, self._expected) if moment is not None)
        # A wait that a pause has kept is late for that one: it does not tell of another.
        if any(now - max(moment, self._awake_since) > LATE for moment in dues) or self._noted - now > LATE:
            log.warning("the bot was not there, or its clock was changed, from %s to %s", self._noted, now)
            # The next pause may come before anybody has said when to expect them again.
            self._awake_since = self._expected = now
        self._noted = now
        return self._awake_since
