"""Cards and videos to Discord, by bot token: an interaction's own token dies before a long video is done."""

import asyncio
import functools
import io
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import discord

from bot.cadence import backoff
from bot.cards import Card
from bot.clock import Clock
from bot.delivery.calls import CALL_TIMEOUT, call
from bot.errors import DeliveryFault, TooLarge, Undelivered
from bot.jobs import Job, JobState
from bot.media.jobfiles import JobFiles
from bot.notices import ending
from bot.store import Store
from bot.store.db import StoreError
from bot.tasks import Tasks

log = logging.getLogger(__name__)

THUMBNAIL = "picture.jpg"
UPLOAD_TIMEOUT = 600.0
HIGHEST_TIER = 100 * 1024 * 1024
"""Bytes that the most boosted servers take."""
_LEARNED = "what server {} takes when it says {} bytes"
"""A server that is boosted says something else, and what was learned before counts no longer."""
_STEP = 0.8
FLUSH = 5.0
"""Seconds that cards get to show their latest state when the bot stops."""
OLD = 3600.0
"""Seconds after which Discord allows a message fewer edits."""


@dataclass(frozen=True)
class Face:
    """A card as Discord shows it."""

    embed: discord.Embed
    view: discord.ui.View | None


class Delivery:
    """The letter box: status cards at the pace of their channel, and videos in two moves."""

    def __init__(
        self,
        client: discord.Client,
        store: Store,
        files: JobFiles,
        clock: Clock,
        render: Callable[[Card], Face],
        *,
        card_seconds: float,
        upload_limit: int,
    ) -> None:
        self._client = client
        self._store = store
        self._files = files
        self._clock = clock
        self._card_seconds = card_seconds
        self._upload_limit = upload_limit
        self._keepers: dict[int, _Keeper] = {}
        self._closing = False
        self._chance = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._tasks = Tasks()
        self._render = render

    def show(self, card: Card) -> None:
        keeper = self._keepers.get(card.job.id)
        if keeper is None:
            keeper = self._keepers[card.job.id] = _Keeper(card.job.card_id)
            self._tasks.spawn(self._keep(card.job.id, keeper), f"card of job {card.job.id}")
        keeper.take(card)

    async def open(self, card: Card) -> int | None:
        """Show a card for the first time, and wait until it is there; None if Discord does not take it."""
        self.show(card)
        keeper = self._keepers[card.job.id]
        await self._clock.wait(keeper.settled, CALL_TIMEOUT)
        return keeper.message_id

    async def announce(self, job: Job) -> int:
        await self._check_size(job)
        # The nonce makes a second call within minutes return the first call's message.
        send = functools.partial(
            self._channel(job).send,
            _announcement(job),
            nonce=str(job.id),
            allowed_mentions=_requester(job),
        )
        if job.card_id is None:
            message = await call(send())
        else:
            message = await call(
                send(
                    reference=discord.MessageReference(
                        message_id=job.card_id, channel_id=job.channel_id, fail_if_not_exists=False
                    )
                )
            )
        return message.id

    async def attach(self, job: Job, message_id: int) -> None:
        await self._check_size(job)
        path = self._files.outgoing(job.id)
        video = await asyncio.to_thread(
            discord.File, path, filename="stillmotion.mp4", description=job.request.prompt[:1024]
        )
        message = self._channel(job).get_partial_message(message_id)
        editing = message.edit(
            content=_announcement(job), attachments=[video], allowed_mentions=_requester(job)
        )
        try:
            await call(editing, UPLOAD_TIMEOUT)
        except TooLarge:
            await self._learn(job.guild_id, path.stat().st_size)
            raise

    async def close(self) -> None:
        """Let every card show its latest state, if that goes quickly, and stop."""
        self._closing = True
        for keeper in self._keepers.values():
            keeper.hurry()
        await self._tasks.close(patience=FLUSH)

    async def _keep(self, job_id: int, keeper: "_Keeper") -> None:
        """Look after one card until it shows the end."""
        try:
            keeper.picture = await self._files.thumbnail(job_id)
            try:
                await self._follow(job_id, keeper)
            except DeliveryFault as error:
                log.info("card of job %d is no longer shown: %s", job_id, error)
                keeper.settled.set()
                # Known as gone until the job is over, or every new state would ask Discord for it again.
                await keeper.over.wait()
                with suppress(DeliveryFault):
                    await self._retract(keeper.card)
                    await self._tell(keeper.card)
            if not keeper.card.job.state.is_open:
                await self._store.jobs.close_card(job_id)
        except StoreError as error:
            log.warning("card of job %d is shown again at the next start: %s", job_id, error)
        finally:
            keeper.settled.set()
            self._keepers.pop(job_id, None)

    async def _follow(self, job_id: int, keeper: "_Keeper") -> None:
        """Show each state that is still the latest when its turn comes."""
        outages = 0
        shown: discord.Embed | None = None
        while True:
            await keeper.changed.wait()
            keeper.changed.clear()
            card = keeper.card
            look = self._render(card)
            if look.embed != shown:
                try:
                    await self._put(keeper, card, look)
                    await self._retract(card)
                except Undelivered as error:
                    outages += 1
                    log.info("card of job %d: %s", job_id, error)
                    keeper.changed.set()
                    # The end waits, too: Discord may be down, and asking on and on does not help it.
                    await self._clock.wait(asyncio.Event(), backoff(outages, None, self._chance.random()))
                    continue
                outages, shown = 0, look.embed
                keeper.settled.set()
            if (self._closing or not card.job.state.is_open) and not keeper.changed.is_set():
                return
            await self._clock.wait(keeper.over, self._pace(card))

    async def _put(self, keeper: "_Keeper", card: Card, look: Face) -> None:
        # The picture goes along each time: an edit that only refers to it shows it a second time, outside.
        embed = look.embed.copy()
        files: list[discord.File] = []
        if keeper.picture is not None:
            embed.set_thumbnail(url=f"attachment://{THUMBNAIL}")
            files.append(discord.File(io.BytesIO(keeper.picture), filename=THUMBNAIL))
        channel = self._channel(card.job)
        if keeper.message_id is not None:
            message = channel.get_partial_message(keeper.message_id)
            await call(message.edit(embed=embed, view=look.view, attachments=files))
            return
        view = look.view or discord.utils.MISSING
        nonce = f"card {card.job.id}"
        sent = await call(channel.send(embed=embed, view=view, files=files, nonce=nonce))
        keeper.message_id = sent.id
        await self._store.jobs.record_card(card.job.id, sent.id)
        if [found.description for found in sent.embeds] != [embed.description]:
            # The nonce has found an earlier post, whose answer was lost: it shows how things stood then.
            await self._put(keeper, card, look)

    async def _retract(self, card: Card) -> None:
        """Make the message that announced a video say that none came after all."""
        job = card.job
        if job.state is JobState.FAILED and job.message_id is not None:
            message = self._channel(job).get_partial_message(job.message_id)
            text = f"<@{job.user_id}> {ending(job, card.provider)}"
            await call(message.edit(content=text, allowed_mentions=_requester(job)))

    async def _tell(self, card: Card) -> None:
        """Where the card is gone, say in a message of its own that no video comes."""
        job = card.job
        if job.state is JobState.FAILED and job.message_id is None:
            text = f"<@{job.user_id}> {ending(job, card.provider)}"
            nonce = f"end {job.id}"
            await call(self._channel(job).send(text, nonce=nonce, allowed_mentions=_requester(job)))

    def _pace(self, card: Card) -> float:
        """Seconds between two edits of one card: all cards of a channel share its limit."""
        neighbours = sum(keeper.channel_id == card.job.channel_id for keeper in self._keepers.values())
        # Two seconds for each card at the usual five for one.
        pace = max(self._card_seconds, 0.4 * self._card_seconds * neighbours)
        old = (self._clock.now() - card.job.created_at).total_seconds() > OLD
        return max(pace, 4.0 * neighbours) if old else pace

    def _channel(self, job: Job) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(job.channel_id, guild_id=job.guild_id)

    async def _check_size(self, job: Job) -> None:
        size = (await asyncio.to_thread(self._files.outgoing(job.id).stat)).st_size
        if size > await self.limit(job):
            raise TooLarge(f"{size} bytes")

    async def limit(self, job: Job) -> int:
        stated = self._limit(job.guild_id)
        learned = await self._store.notes.get(_LEARNED.format(job.guild_id, stated))
        return min(stated, int(learned or stated))

    async def _learn(self, guild_id: int, refused: int) -> None:
        """Discord takes less there than was thought: remember a step below what it refused."""
        stated = self._limit(guild_id)
        log.warning("server %d takes %d bytes, it is said, but not %d", guild_id, stated, refused)
        lower = self._upload_limit if refused > self._upload_limit else int(refused * _STEP)
        with suppress(StoreError):
            await self._store.notes.set(_LEARNED.format(guild_id, stated), str(lower))

    def _limit(self, guild_id: int) -> int:
        """Bytes that Discord takes there. discord.py knows the boosted tiers; its base is out of date."""
        guild = self._client.get_guild(guild_id)
        # Not known yet at start, or not during an outage: then Discord itself has to say no.
        if guild is None or guild.unavailable:
            return HIGHEST_TIER
        return max(self._upload_limit, guild.filesize_limit)


class _Keeper:
    """The latest state of one card, and what is known of its message."""

    card: Card

    def __init__(self, message_id: int | None) -> None:
        self.message_id = message_id
        self.picture: bytes | None = None
        self.channel_id = 0
        self.hurried = False
        """The bot is being stopped."""
        self.changed = asyncio.Event()
        self.over = asyncio.Event()
        """Set when the latest state is the last one: it does not wait its turn."""
        self.settled = asyncio.Event()
        """Set when the card has been shown once, or never will be."""

    def take(self, card: Card) -> None:
        if card.job.state.is_open and self.over.is_set() and not self.hurried:
            return  # the end is the end, whatever was still on its way
        self.card = card
        self.channel_id = card.job.channel_id
        self.changed.set()
        if not card.job.state.is_open:
            self.over.set()

    def hurry(self) -> None:
        """Show what is there to be shown without waiting for a turn."""
        self.hurried = True
        self.over.set()
        self.changed.set()


def _announcement(job: Job) -> str:
    return f"<@{job.user_id}> Your video is ready."


def _requester(job: Job) -> discord.AllowedMentions:
    return discord.AllowedMentions(
        everyone=False, roles=False, replied_user=False, users=[discord.Object(job.user_id)]
    )
