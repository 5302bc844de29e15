"""Videos in two moves: a message that announces one, then an edit that attaches it; repeated, still one."""

import asyncio
import functools
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

import discord

from bot.clock import Clock
from bot.delivery.answers import Message
from bot.delivery.rate_limit import CallKind, ChannelRateLimiter, Rank
from bot.delivery.rest import Rest
from bot.delivery.upload_limits import UploadLimits
from bot.errors import Gone, NoReplies, TooLarge, Undeliverable, Undelivered
from bot.jobs import Job, Place
from bot.media.job_files import JobFiles
from bot.notices import above, announcement, number
from bot.posting import Posted
from bot.quota.rules import Elsewhere
from bot.store import Store
from bot.words import plain

UPLOAD_TIMEOUT = 300.0
"""Seconds; aiohttp gives discord.py no more."""
OLD = timedelta(hours=1)
"""After which Discord allows a message fewer edits."""
UPLOADS = 3
"""At once in one channel. Each takes one of its five edits until it is through, and cards need some, too."""
NAME = "stillmotion.mp4"


class Videos:
    def __init__(
        self,
        client: discord.Client,
        rest: Rest,
        store: Store,
        files: JobFiles,
        clock: Clock,
        limiter: ChannelRateLimiter,
        limits: UploadLimits,
    ) -> None:
        self._client = client
        self._rest = rest
        self._store = store
        self._files = files
        self._clock = clock
        self._limiter = limiter
        self._limits = limits
        self._uploads: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()
        self._empty: set[int] = set()
        """Messages that have no video yet; of all others, only a look can tell."""

    def may_post(self, job: Job) -> bool | None:
        guild = self._client.get_guild(job.guild_id)
        if guild is None or guild.unavailable or self._client.user is None:
            return None
        channel, me = guild.get_channel_or_thread(job.channel_id), guild.get_member(self._client.user.id)
        is_thread = isinstance(channel, discord.Thread)
        if channel is None or me is None or (is_thread and channel.parent is None):
            return None
        mine = channel.permissions_for(me)
        may_send = mine.send_messages_in_threads if is_thread else mine.send_messages
        return mine.view_channel and may_send and mine.attach_files

    async def limit(self, job: Job) -> int:
        """How many bytes a file may have at the job's place."""
        return await self._limits.of(job)

    async def announce(self, job: Job, *, again: bool) -> Posted:
        await self._check_size(job)
        channel_id = await self._channel(job)
        # For some minutes Discord itself finds the first message by its nonce; we look however long it is.
        found = await self._find(job, channel_id) if again else None
        message = found or await self._create(job, channel_id)
        self._empty.add(message.id)
        return Posted(channel_id, message.id)

    async def attach(self, job: Job) -> None:
        await self._check_size(job)
        channel_id, message_id = await self._channel(job), job.message_id or 0
        async with (
            self._uploads.setdefault(channel_id, asyncio.Semaphore(UPLOADS)),
            self._limiter.acquire(channel_id, CallKind.EDIT, lambda: Rank.END, old=self._is_old(job)),
        ):
            if message_id not in self._empty and await self._has_arrived(channel_id, message_id):
                return
            video, words, size = await asyncio.to_thread(self._load, job)
            self._empty.discard(message_id)
            try:
                await self._rest.edit(
                    channel_id,
                    message_id,
                    content=words,
                    files=[video],
                    mentions=requester(job),
                    seconds=UPLOAD_TIMEOUT,
                )
            except TooLarge:
                self._empty.add(message_id)
                await self._limits.learn(job, size)
                raise

    async def withdraw(self, job: Job) -> bool | None:
        try:
            channel_id = await self._channel(job)
        except Undeliverable:  # direct messages that cannot even be opened hold none of ours
            return False
        message_id = job.message_id
        if message_id is None:
            found = await self._find(job, channel_id) if job.announcing_at else None
            if found is None:
                return False
            message_id = found.id
        try:
            if await self.is_there(replace(job, message_id=message_id)):
                return True
        except Undeliverable:
            is_gone = await self._delete(channel_id, message_id)
            return False if is_gone else None
        await self._delete(channel_id, message_id)
        return False

    async def is_there(self, job: Job) -> bool:
        try:
            return await self._rest.carries(await self._channel(job), job.message_id or 0, NAME)
        except Gone:
            return False

    async def next_place(self, job: Job, *, unwanted: bool) -> tuple[Place, int | None] | None:
        if job.place is Place.DIRECT:
            return None
        if job.place is Place.CHANNEL and not unwanted:
            rules = await self._store.decisions.rules(job.guild_id)
            other = self._elsewhere(job, rules.elsewhere)
            if other not in {None, job.channel_id}:
                return Place.SERVER, other
        return Place.DIRECT, None

    def _elsewhere(self, job: Job, rule: Elsewhere) -> int | None:
        """The other channel in the server that may have the video: one where nobody sees more than before."""
        if rule is Elsewhere.NOWHERE:
            return None
        guild = self._client.get_guild(job.guild_id)
        parent = guild.get_channel(job.parent_id) if guild and job.parent_id else None
        # A forum takes no messages. One that is not known as such says so itself.
        if job.parent_id is not None and not isinstance(parent, discord.ForumChannel):
            return job.parent_id
        if rule is Elsewhere.PARENT or not job.is_public:
            return None
        if (guild is None and not self._client.is_ready()) or (guild is not None and guild.unavailable):
            raise Undelivered("the server is not known now")
        return guild.system_channel.id if guild is not None and guild.system_channel else None

    async def _find(self, job: Job, channel_id: int) -> Message | None:
        line = number(job)
        began = job.announcing_at or job.state_at
        return await self._rest.own_message(
            channel_id, began, job.id, lambda message: message.content.endswith(line)
        )

    async def _create(self, job: Job, channel_id: int) -> Message:
        # Discord compares nonces over all channels: each place has its own.
        nonce = str(job.id) if job.place is Place.CHANNEL else f"{job.id} {job.place[:1]}"
        create = functools.partial(
            self._rest.create, channel_id, nonce=nonce, content=announcement(job), mentions=requester(job)
        )
        card = job.card_id if job.place is Place.CHANNEL else None
        async with self._limiter.acquire(channel_id, CallKind.CREATE, lambda: Rank.END):
            if card is not None:
                with suppress(NoReplies):
                    return await create(answering=card)
            return await create()

    async def _has_arrived(self, channel_id: int, message_id: int) -> bool:
        """Whether an earlier upload came through, although its answer did not: one is enough."""
        try:
            return await self._rest.carries(channel_id, message_id, NAME)
        except Undeliverable:
            return False

    async def _delete(self, channel_id: int, message_id: int) -> bool:
        """Whether the message is gone now."""
        try:
            await self._rest.delete(channel_id, message_id)
        except Undeliverable as error:
            return isinstance(error, Gone)
        return True

    async def _channel(self, job: Job) -> int:
        if job.place is Place.DIRECT:
            return job.place_id or await self._rest.open_direct(job.user_id)
        return job.place_id or job.channel_id

    def _load(self, job: Job) -> tuple[discord.File, str, int]:
        """The file that is posted, the words above it, and its size."""
        path = self._files.outgoing(job.id)
        size, original = path.stat().st_size, self._files.video(job.id)
        # What could only be copied is no smaller, and what is not kept cannot be sent again.
        smaller = path != original and bool(self._files.kept_for) and size != original.stat().st_size
        file = discord.File(path, filename=NAME, description=plain(job.request.prompt)[:1024])
        return file, above(job, smaller=smaller), size

    def _is_old(self, job: Job) -> bool:
        return is_old(job.announcing_at or job.state_at, self._clock.now())

    async def _check_size(self, job: Job) -> None:
        size = await asyncio.to_thread(lambda: self._files.outgoing(job.id).stat().st_size)
        if size > await self._limits.of(job):
            raise TooLarge(f"{size} bytes")


def is_old(since: datetime, now: datetime) -> bool:
    """Whether Discord may count an edit of a message from then as one of an old message."""
    # A clock that was set meanwhile tells nothing: then the slower pace is the safe one.
    return abs(now - since) > OLD


def requester(job: Job) -> discord.AllowedMentions:
    """The one person that a message about the job may ping."""
    return discord.AllowedMentions(
        everyone=False, roles=False, replied_user=False, users=[discord.Object(job.user_id)]
    )
