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
from bot.media.job_files import JobFiles
from bot.posting import Posters
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
        limits = UploadLimits(client, store, clock, upload_limit)
        self.logs = ModeratorLog(rest, store, clock, self._limiter)
        ending = Notifications(rest, store, clock, self._limiter, self.logs)
        self.cards = Cards(rest, store, files, clock, self._limiter, ending, card_seconds)
        self.videos = Videos(client, rest, store, files, clock, self._limiter, limits)
        self.posters = Posters(self.cards, self.videos)

    async def start(self) -> None:
        """Before anything is shown. Raises StoreError."""
        await self.cards.start()
        await self.logs.start()

    async def close(self) -> None:
        await self.cards.close()
        await self.logs.close()
        await self._limiter.close()
