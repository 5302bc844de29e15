"""The one clock, handed to whoever waits or stamps a time, so that tests can have their own."""

import asyncio
from datetime import UTC, datetime


class Clock:
    def now(self) -> datetime:
        """The present, aware and in UTC."""
        return datetime.now(UTC)

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until the event is set, at most so long; True if it was set."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                return await event.wait()
        except TimeoutError:
            return False
