"""Replies that somebody waits for: after a kill, the next start says so in their place.

The only way to write there is the interaction's token, which Discord takes for fifteen minutes. It is kept in
the database for as long as its command runs.
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import cast

import discord

from bot.clock import Clock
from bot.delivery.calls import call
from bot.engine.retry import Failures
from bot.errors import DeliveryFault, Undelivered
from bot.outages import DOUBT
from bot.store import Store
from bot.store.db import StoreError

log = logging.getLogger(__name__)

RESTARTED = f"I was restarted in the middle of this. {DOUBT}"
_LIFE = timedelta(minutes=15)
_FIRST = 0.5
"""Seconds that an acknowledgement waits for the note of it; Discord waits three for the acknowledgement."""
_PREFIX = "open reply "
_ORIGINAL = cast("int", "@original")
"""What Discord calls the first reply to an interaction, whose own id we may not know."""


class OpenReplies:
    def __init__(self, client: discord.Client, store: Store, clock: Clock) -> None:
        self._client = client
        self._store = store
        self._clock = clock

    @asynccontextmanager
    async def keep(self, interaction_id: int, token: str) -> AsyncGenerator[None]:
        """Remember a reply until the block is left; the block begins once it is, or after half a second.

        It is for the acknowledgement, too: from then on Discord shows that the bot thinks.
        """
        name = f"{_PREFIX}{interaction_id}"
        value = json.dumps({"token": token, "until": (self._clock.now() + _LIFE).isoformat()})
        noted = asyncio.Event()
        noting = asyncio.ensure_future(self._note(name, value, noted))
        try:
            await self._clock.wait(noted, _FIRST)
            yield
        finally:
            await noting
            with suppress(StoreError):
                await self._store.notes.remove(name, value)

    async def _note(self, name: str, value: str, noted: asyncio.Event) -> None:
        # Without a database there is nothing to come back to.
        with suppress(StoreError):
            await self._store.notes.set(name, value)
        noted.set()

    async def left(self) -> Mapping[str, str]:
        """What the process before this one owes; read it before there can be new ones. Raises StoreError."""
        return await self._store.notes.named(_PREFIX)

    async def settle(self, left: Mapping[str, str]) -> None:
        """Tell everybody who still waits for one of these."""
        await asyncio.gather(*(self._settle(name, value) for name, value in left.items()))

    async def _settle(self, name: str, value: str) -> None:
        note, never, failures = json.loads(value), asyncio.Event(), Failures(random.random)
        until = datetime.fromisoformat(note["until"])
        while self._clock.now() < until and not await self._has_told(note["token"]):
            await self._clock.wait(never, failures.next_wait())
        with suppress(StoreError):
            await self._store.notes.remove(name, value)

    async def _has_told(self, token: str) -> bool:
        """Whether that is done with; False if it is worth another try."""
        webhook = discord.Webhook.partial(self._client.application_id or 0, token, client=self._client)
        try:
            await call(webhook.edit_message(_ORIGINAL, content=RESTARTED))
        except Undelivered:
            return False
        except DeliveryFault as fault:
            # It was never acknowledged, or its time is up.
            log.info("nobody waits for a reply of the process before this one: %s", fault)
        return True
