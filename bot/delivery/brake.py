"""A brake on calls: Discord shuts out an address that is refused ten thousand times in ten minutes."""

import asyncio
import logging
import re
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from http import HTTPStatus
from types import SimpleNamespace

import aiohttp

from bot.clock import Clock

log = logging.getLogger(__name__)

WINDOW = timedelta(minutes=10)
MOST = 1000
"""Refusals in that time at which the brake comes on; half of them are few enough to let it go.

Other programs may share the address.
"""
_REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
_API = "/api/"
_BY_INTERACTION = re.compile(r"/(webhooks|interactions)/")
"""Calls with a token of their own."""
_LONGEST_LOOK = 60.0
"""Seconds between two looks at the clock, which may be set meanwhile."""


class Refusals:
    """Counts what Discord refused lately. Pure: the time is a parameter."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._times: deque[datetime] = deque(maxlen=most)
        self.is_braked = False

    def __len__(self) -> int:
        return len(self._times)

    def add(self, now: datetime) -> None:
        self._times.append(now)

    def pause(self, now: datetime, under_way: int = 0) -> float:
        """Seconds until another call may be made, which may be refused like those that are under way."""
        # A clock that was put back would let the future count for long.
        while self._times and abs(now - self._times[0]) >= WINDOW:
            self._times.popleft()
        count = len(self._times) + under_way
        if count >= self._most:
            self.is_braked = True
        elif count <= self._most // 2:
            self.is_braked = False
        if not self.is_braked:
            return 0.0
        return (WINDOW - abs(now - self._times[0])).total_seconds() if self._times else _LONGEST_LOOK


class Brake:
    """What all calls by bot token pass; `trace` lets it see every answer of the process."""

    def __init__(self, clock: Clock, most: int = MOST) -> None:
        self._clock = clock
        self.refusals = Refusals(most)
        self._under_way = 0
        self._never = asyncio.Event()
        self.token_refused = asyncio.Event()
        """Set by a 401 to a call by bot token; whoever waits for it clears it."""
        self.trace = aiohttp.TraceConfig()
        self.trace.on_request_end.append(self._answered)

    @property
    def is_on(self) -> bool:
        return self.refusals.is_braked

    @asynccontextmanager
    async def passed(self) -> AsyncGenerator[None]:
        """Wait while the brake is on, and make one call."""
        while pause := self._pause():
            await self._clock.wait(self._never, min(pause, _LONGEST_LOOK))
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def _pause(self) -> float:
        was_on = self.is_on
        pause = self.refusals.pause(self._clock.now(), self._under_way)
        if self.is_on and not was_on:
            log.error("Discord has refused very many calls (401, 403, 429): cards and videos wait for it")
        elif was_on and not self.is_on:
            log.warning("Discord has refused few calls lately: cards and videos go on")
        return pause

    async def _answered(
        self, _: aiohttp.ClientSession, __: SimpleNamespace, answer: aiohttp.TraceRequestEndParams
    ) -> None:
        response = answer.response
        is_shared = response.headers.get("X-RateLimit-Scope") == "shared"
        if response.status in _REFUSED and not is_shared and answer.url.path.startswith(_API):
            self.refusals.add(self._clock.now())
            if response.status == HTTPStatus.UNAUTHORIZED and not _BY_INTERACTION.search(answer.url.path):
                self.token_refused.set()
