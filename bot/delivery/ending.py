"""What is said of a job that ended without a video, beside its card."""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any

import discord

from bot.cadence import backoff
from bot.cards import Card
from bot.clock import Clock
from bot.delivery.calls import call
from bot.delivery.logs import post
from bot.delivery.turns import Kind, Rank, Turns
from bot.delivery.videos import requester
from bot.errors import DeliveryFault, Undelivered
from bot.jobs import JobState
from bot.notices import ending, note
from bot.store import Store

log = logging.getLogger(__name__)

INSISTS = 8
"""How often something is tried that is said once only."""


class Ending:
    def __init__(self, client: discord.Client, store: Store, clock: Clock, turns: Turns) -> None:
        self._client = client
        self._store = store
        self._clock = clock
        self._turns = turns
        self._chance = random.Random()  # noqa: S311 - spreads retries, guards nothing

    async def retract(self, card: Card) -> None:
        """Make the message that announced a video say that none came after all."""
        job = card.job
        if job.state is JobState.FAILED and job.message_id is not None:
            channel = self._client.get_partial_messageable(job.place_id or job.channel_id)
            message = channel.get_partial_message(job.message_id)
            text = f"<@{job.user_id}> {ending(job, card.provider)}"
            async with self._turns.take(channel.id, Kind.EDIT, lambda: Rank.END):
                await call(message.edit(content=text, allowed_mentions=requester(job)))

    async def tell(self, card: Card) -> None:
        """Where the card cannot say it, say in a message of its own that no video comes."""
        job = card.job
        if job.state in {JobState.FAILED, JobState.CANCELLED} and job.message_id is None:
            channel = self._client.get_partial_messageable(job.channel_id, guild_id=job.guild_id)
            text = f"<@{job.user_id}> {ending(job, card.provider)}"
            nonce = f"end {job.id}"
            async with self._turns.take(channel.id, Kind.CREATE, lambda: Rank.END):
                await call(channel.send(text, nonce=nonce, allowed_mentions=requester(job)))

    async def note(self, card: Card) -> None:
        """Tell the moderators what they may want to look into."""
        text = note(card.job, card.provider)
        channel_id = (await self._store.acts.rules(card.job.guild_id)).log_channel_id if text else None
        if text is not None and channel_id is not None:
            await post(self._client, card.job.guild_id, channel_id, text, nonce=f"log {card.job.id}")

    async def insist(self, say: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Say something that is said once only, through an outage, too; what can never be said is let go.

        False if it is still to be said.
        """
        for outages in range(1, INSISTS + 1):
            try:
                await say()
            except Undelivered as error:
                log.info("Discord does not take a message: %s", error)
                await self._clock.wait(asyncio.Event(), backoff(outages, None, self._chance.random()))
            except DeliveryFault as error:
                log.info("a message can no longer be shown: %s", error)
                return True
            else:
                return True
        return False
