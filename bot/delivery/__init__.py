"""Cards and videos to Discord, by bot token: an interaction's own token dies before a long video is done."""

import discord

from bot.clock import Clock
from bot.delivery.brake import Brake
from bot.delivery.cards import Cards
from bot.delivery.log import ModeratorLog
from bot.delivery.notifications import Notifications
from bot.delivery.rate_limit import ChannelRateLimiter
from bot.delivery.rest import Rest
from bot.delivery.upload_limits import UploadLimits
from bot.delivery.videos import Videos
from bot.jobs import Job, Place
from bot.media.job_files import JobFiles
from bot.messenger import Card, Posted
from bot.store import Store


class Delivery:
    """Everything that is sent to Discord by bot token, with one rate limiter for all of it."""

    def __init__(
        self,
        client: discord.Client,
        store: Store,
        files: JobFiles,
        clock: Clock,
        *,
        brake: Brake,
        card_seconds: float,
        upload_limit: int,
    ) -> None:
        rest = self.rest = Rest(client, brake)
        self._limiter = ChannelRateLimiter(clock)
        self._limits = UploadLimits(client, store, clock, upload_limit)
        self.logs = ModeratorLog(rest, store, clock, self._limiter)
        ending = Notifications(rest, store, clock, self._limiter, self.logs)
        self._cards = Cards(rest, store, files, clock, self._limiter, ending, card_seconds)
        self._videos = Videos(client, rest, store, files, clock, self._limiter, self._limits)

    async def start(self) -> None:
        """Before anything is shown. Raises StoreError."""
        await self._cards.start()
        await self.logs.start()

    async def close(self) -> None:
        await self._cards.close()
        await self.logs.close()
        await self._limiter.close()

    def show(self, card: Card) -> None:
        self._cards.show(card)

    async def open(self, card: Card) -> int | None:
        return await self._cards.open(card)

    def may_post(self, job: Job) -> bool | None:
        return self._videos.may_post(job)

    async def limit(self, job: Job) -> int:
        return await self._limits.of(job)

    async def announce(self, job: Job, *, again: bool) -> Posted:
        return await self._videos.announce(job, again=again)

    async def attach(self, job: Job) -> None:
        await self._videos.attach(job)

    async def withdraw(self, job: Job) -> bool | None:
        return await self._videos.withdraw(job)

    async def is_there(self, job: Job) -> bool:
        return await self._videos.is_there(job)

    async def next_place(self, job: Job, *, unwanted: bool) -> tuple[Place, int | None] | None:
        return await self._videos.next_place(job, unwanted=unwanted)
