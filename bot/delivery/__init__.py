"""Cards and videos to Discord, by bot token: an interaction's own token dies before a long video is done."""

from collections.abc import Callable

import discord

from bot.cards import Card, Posted
from bot.clock import Clock
from bot.delivery.brake import Brake
from bot.delivery.cards import Cards, Face
from bot.delivery.ending import Ending
from bot.delivery.limits import UploadLimits
from bot.delivery.logs import Logs
from bot.delivery.rest import Rest
from bot.delivery.turns import Turns
from bot.delivery.videos import Videos
from bot.jobs import Job, Place
from bot.media.jobfiles import JobFiles
from bot.store import Store

__all__ = ["Delivery", "Face"]


class Delivery:
    """The letter box: cards, videos, the moderators' log, and the turns that they share."""

    def __init__(
        self,
        client: discord.Client,
        store: Store,
        files: JobFiles,
        clock: Clock,
        render: Callable[[Card], Face],
        *,
        brake: Brake,
        card_seconds: float,
        upload_limit: int,
    ) -> None:
        rest = self.rest = Rest(client, brake)
        self._turns = Turns(clock)
        self._limits = UploadLimits(client, store, clock, upload_limit)
        self.logs = Logs(rest, store, clock, self._turns)
        ending = Ending(rest, store, clock, self._turns, self.logs)
        self._cards = Cards(rest, store, files, clock, self._turns, ending, render, card_seconds)
        self._videos = Videos(client, rest, store, files, clock, self._turns, self._limits)

    async def start(self) -> None:
        """Before anything is shown. Raises StoreError."""
        await self._cards.start()
        await self.logs.start()

    async def close(self) -> None:
        await self._cards.close()
        await self.logs.close()
        await self._turns.close()

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
