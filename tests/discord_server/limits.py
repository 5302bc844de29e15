"""How often Discord lets things be done in one channel: requests of one route, and edits of old messages."""

import math
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

from tests.clock import passed

PLENTY = 1000, 1.0
"""Requests and seconds, where nothing is enforced."""
_TOO_OLD = {
    "code": 30046,
    "message": "Maximum number of edits to messages older than 1 hour reached. Try again later.",
}


@dataclass
class _Bucket:
    limit: int
    window: float
    used: deque[float] = field(default_factory=deque[float])

    def take(self) -> float:
        """Use a permit; the seconds to wait where there was none."""
        now = passed()
        while self.used and self.used[0] <= now - self.window:
            self.used.popleft()
        if len(self.used) >= self.limit:
            return self.reset()
        self.used.append(now)
        return 0.0

    def reset(self) -> float:
        return max(0.0, self.used[0] + self.window - passed()) if self.used else self.window


class Limits:
    """As observed: 5 creates and 5 edits in 5 seconds of a channel, 3 edits of old messages in 6."""

    def __init__(self) -> None:
        self._window: float | None = None
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._old: defaultdict[str, _Bucket] = defaultdict(self._old_edits)

    def enforce(self, window: float) -> None:
        """From now on, with this in place of Discord's 5 seconds; what was done before does not count."""
        self._window = window
        self._buckets.clear()
        self._old.clear()

    def take(self, route: str, place: str, *, old: bool) -> tuple[dict[str, str], dict[str, Any] | None]:
        """The headers on what is left of a route's permits, and the body of the 429 where there was none."""
        bucket = self._buckets.setdefault((route, place), self._bucket(route))
        wait, words = bucket.take(), {"message": "You are being rate limited."}
        if not wait and old and self._window is not None:
            # The headers say nothing of this one: they go on counting the ordinary permits.
            wait, words = self._old[place].take(), _TOO_OLD
        headers = _headers(route, bucket)
        if not wait:
            return headers, None
        scope = "shared" if words is _TOO_OLD else "user"
        headers |= {"Retry-After": str(wait), "X-RateLimit-Scope": scope}
        return headers, {**words, "retry_after": wait, "global": False}

    def _bucket(self, route: str) -> _Bucket:
        enforced = self._window is not None and route in {"create", "edit"}
        return _Bucket(5, self._window) if enforced and self._window else _Bucket(*PLENTY)

    def _old_edits(self) -> _Bucket:
        return _Bucket(3, 1.2 * (self._window or 0.0))


def _headers(route: str, bucket: _Bucket) -> dict[str, str]:
    reset = math.ceil(bucket.reset() * 1000) / 1000  # whoever waits so long waits long enough
    return {
        "X-RateLimit-Limit": str(bucket.limit),
        "X-RateLimit-Remaining": str(bucket.limit - len(bucket.used)),
        "X-RateLimit-Reset": f"{time.time() + reset:.3f}",
        "X-RateLimit-Reset-After": f"{reset:.3f}",
        "X-RateLimit-Bucket": f"bucket-{route}",
    }
