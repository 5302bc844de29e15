"""What is said of a job that ended without a video, beside its card."""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any

from bot.clock import Clock
from bot.delivery.log import ModeratorLog
from bot.delivery.rate_limit import CallKind, ChannelRateLimiter, Rank
from bot.delivery.rest import Rest
from bot.delivery.videos import is_old, requester
from bot.engine.retry import NOTIFICATIONS, Failures
from bot.errors import DeliveryFault, Undelivered
from bot.jobs import Job, JobState
from bot.notices import ending, note
from bot.posting import Card
from bot.store import Store

log = logging.getLogger(__name__)


class Notifications:
    def __init__(
        self, rest: Rest, store: Store, clock: Clock, limiter: ChannelRateLimiter, logs: ModeratorLog
    ) -> None:
        self._rest = rest
        self._store = store
        self._clock = clock
        self._limiter = limiter
        self._logs = logs

    async def retract(self, card: Card) -> None:
        """Make the message that announced a video say that none came after all."""
        job = card.job
        if job.state is JobState.FAILED and job.message_id is not None:
            channel_id, text = (
                job.place_id or job.channel_id,
                f"<@{job.user_id}> {ending(job, card.provider)}",
            )
            async with self._limiter.acquire(
                channel_id, CallKind.EDIT, lambda: Rank.END, old=self._is_old(job)
            ):
                await self._rest.edit(channel_id, job.message_id, content=text, mentions=requester(job))

    async def tell(self, card: Card) -> None:
        """Where the card cannot say it, say in a message of its own that no video comes."""
        job = card.job
        if job.state in {JobState.FAILED, JobState.CANCELLED} and job.message_id is None:
            text = f"<@{job.user_id}> {ending(job, card.provider)}"
            async with self._limiter.acquire(job.channel_id, CallKind.CREATE, lambda: Rank.END):
                await self._rest.create(
                    job.channel_id, nonce=f"end {job.id}", content=text, mentions=requester(job)
                )

    async def note(self, card: Card) -> None:
        """Have the moderators told what they may want to look into. Raises StoreError."""
        text = note(card.job, card.provider)
        channel_id = (await self._store.decisions.rules(card.job.guild_id)).log_channel_id if text else None
        if text is not None and channel_id is not None:
            await self._logs.add("job", card.job.id, card.job.guild_id, channel_id, text)

    async def retry(self, say: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Say something that is said once only, through an outage, too; what can never be said is let go.

        False if it is still to be said.
        """
        failures = Failures(random.random)
        while failures.count < NOTIFICATIONS:
            try:
                await say()
            except Undelivered as error:
                log.info("Discord does not take a message: %s", error)
                await self._clock.wait(asyncio.Event(), failures.next_wait())
            except DeliveryFault as error:
                log.info("a message can no longer be shown: %s", error)
                return True
            else:
                return True
        return False

    def _is_old(self, job: Job) -> bool:
        return is_old(job.announcing_at or job.created_at, self._clock.now())
