"""Replies that somebody waits for: after a kill, the next start says so in their place.

The only way to write there is the interaction's token, which Discord takes for fifteen minutes. It is kept in
the database for as long as its command runs.
"""

import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import cast

import discord

from bot.clock import Clock
from bot.delivery.calls import call
from bot.errors import DeliveryFault
from bot.outages import DOUBT
from bot.store import Store
from bot.store.db import StoreError

log = logging.getLogger(__name__)

RESTARTED = f"I was restarted in the middle of this. {DOUBT}"
_LIFE = timedelta(minutes=15)
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
        """Remember a reply until the block is left; without a database there is nothing to come back to."""
        name = f"{_PREFIX}{interaction_id}"
        value = json.dumps({"token": token, "until": (self._clock.now() + _LIFE).isoformat()})
        with suppress(StoreError):
            await self._store.notes.set(name, value)
        try:
            yield
        finally:
            with suppress(StoreError):
                await self._store.notes.remove(name, value)

    async def left(self) -> Mapping[str, str]:
        """What the process before this one owes; read it before there can be new ones. Raises StoreError."""
        return await self._store.notes.named(_PREFIX)

    async def settle(self, left: Mapping[str, str]) -> None:
        """Tell everybody who still waits for one of these."""
        with suppress(StoreError):
            for name, value in left.items():
                note = json.loads(value)
                if self._clock.now() < datetime.fromisoformat(note["until"]):
                    await self._tell(note["token"])
                await self._store.notes.remove(name, value)

    async def _tell(self, token: str) -> None:
        webhook = discord.Webhook.partial(self._client.application_id or 0, token, client=self._client)
        try:
            await call(webhook.edit_message(_ORIGINAL, content=RESTARTED))
        except DeliveryFault as fault:
            log.warning("somebody still waits for a reply of the process before this one: %s", fault)
