"""Videos in two moves: a message that announces one, then an edit that attaches it; repeated, still one."""

import asyncio
import functools
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from weakref import WeakValueDictionary

import discord

from bot.cards import Posted
from bot.clock import Clock
from bot.delivery.calls import call
from bot.delivery.limits import UploadLimits
from bot.delivery.recent import own_message
from bot.delivery.turns import Kind, Rank, Turns
from bot.errors import Gone, NoReplies, TooLarge, Undeliverable, Undelivered
from bot.jobs import Job, Place
from bot.media.jobfiles import JobFiles
from bot.notices import above, announcement, number
from bot.rules import Elsewhere
from bot.store import Store

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
        store: Store,
        files: JobFiles,
        clock: Clock,
        turns: Turns,
        limits: UploadLimits,
    ) -> None:
        self._client = client
        self._store = store
        self._files = files
        self._clock = clock
        self._turns = turns
        self._limits = limits
        self._uploads: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()

    async def announce(self, job: Job, *, again: bool) -> Posted:
        await self._check_size(job)
        channel = await self._channel(job)
        # For some minutes Discord itself finds the first message by its nonce; we look however long it is.
        found = await self._find(job, channel) if again else None
        message = found or await self._create(job, channel)
        return Posted(channel.id, message.id)

    async def attach(self, job: Job) -> None:
        await self._check_size(job)
        channel = await self._channel(job)
        async with (
            self._uploads.setdefault(channel.id, asyncio.Semaphore(UPLOADS)),
            self._turns.take(channel.id, Kind.EDIT, lambda: Rank.END, old=self._is_old(job)),
        ):
            video, words, size = await asyncio.to_thread(self._load, job)
            message = channel.get_partial_message(job.message_id or 0)
            editing = message.edit(content=words, attachments=[video], allowed_mentions=requester(job))
            try:
                await call(editing, UPLOAD_TIMEOUT)
            except TooLarge:
                await self._limits.learn(job, size)
                raise

    async def withdraw(self, job: Job) -> bool | None:
        try:
            channel = await self._channel(job)
        except Undeliverable:  # direct messages that cannot even be opened hold none of ours
            return False
        message_id = job.message_id
        if message_id is None:
            found = await self._find(job, channel) if job.announcing_at else None
            if found is None:
                return False
            message_id = found.id
        message = channel.get_partial_message(message_id)
        try:
            if await self.is_there(replace(job, message_id=message_id)):
                return True
        except Undeliverable:
            is_gone = await self._delete(message)
            return False if is_gone else None
        await self._delete(message)
        return False

    async def is_there(self, job: Job) -> bool:
        try:
            message = (await self._channel(job)).get_partial_message(job.message_id or 0)
            found = await call(message.fetch())
        except Gone:
            return False
        return any(attached.filename == NAME for attached in found.attachments)

    async def next_place(self, job: Job, *, unwanted: bool) -> tuple[Place, int | None] | None:
        if job.place is Place.DIRECT:
            return None
        if job.place is Place.CHANNEL and not unwanted:
            rules = await self._store.acts.rules(job.guild_id)
            other = self._elsewhere(job, rules.elsewhere)
            if other not in {None, job.channel_id}:
                return Place.SERVER, other
        return Place.DIRECT, None

    def _elsewhere(self, job: Job, rule: Elsewhere) -> int | None:
        """The other channel in the server that may have the video: one where nobody sees more than before."""
        if rule is Elsewhere.NOWHERE:
            return None
        if job.parent_id is not None or rule is Elsewhere.PARENT:
            return job.parent_id
        if not job.is_public:
            return None
        guild = self._client.get_guild(job.guild_id)
        if (guild is None and not self._client.is_ready()) or (guild is not None and guild.unavailable):
            raise Undelivered("the server is not known now")
        return guild.system_channel.id if guild is not None and guild.system_channel else None

    async def _find(self, job: Job, channel: discord.PartialMessageable) -> discord.Message | None:
        line = number(job)
        began = job.announcing_at or job.state_at
        return await own_message(self._client, channel, began, lambda message: message.content.endswith(line))

    async def _create(self, job: Job, channel: discord.PartialMessageable) -> discord.Message:
        # Discord may compare nonces over all channels: each place has its own.
        nonce = str(job.id) if job.place is Place.CHANNEL else f"{job.id} {job.place[:1]}"
        send = functools.partial(
            channel.send, announcement(job), nonce=nonce, allowed_mentions=requester(job)
        )
        card = job.card_id if job.place is Place.CHANNEL else None
        async with self._turns.take(channel.id, Kind.CREATE, lambda: Rank.END):
            if card is not None:
                with suppress(NoReplies):
                    return await call(send(reference=_answering(card, channel)))
            return await call(send())

    async def _delete(self, message: discord.PartialMessage) -> bool:
        """Whether the message is gone now."""
        try:
            await call(message.delete())
        except Undeliverable as error:
            return isinstance(error, Gone)
        return True

    async def _channel(self, job: Job) -> discord.PartialMessageable:
        if job.place is Place.DIRECT:
            direct_id = job.place_id or (await call(self._client.create_dm(discord.Object(job.user_id)))).id
            return self._client.get_partial_messageable(direct_id)
        return self._client.get_partial_messageable(job.place_id or job.channel_id, guild_id=job.guild_id)

    def _load(self, job: Job) -> tuple[discord.File, str, int]:
        """The file that is posted, the words above it, and its size."""
        path = self._files.outgoing(job.id)
        size, original = path.stat().st_size, self._files.video(job.id)
        # What could only be copied is no smaller, and what is not kept cannot be sent again.
        smaller = path != original and bool(self._files.kept_for) and size != original.stat().st_size
        file = discord.File(path, filename=NAME, description=job.request.prompt[:1024])
        return file, above(job, smaller=smaller), size

    def _is_old(self, job: Job) -> bool:
        began = job.announcing_at or job.state_at
        return self._clock.now() - began > OLD

    async def _check_size(self, job: Job) -> None:
        size = await asyncio.to_thread(lambda: self._files.outgoing(job.id).stat().st_size)
        if size > await self._limits.of(job):
            raise TooLarge(f"{size} bytes")


def requester(job: Job) -> discord.AllowedMentions:
    """The one person that a message about the job may ping."""
    return discord.AllowedMentions(
        everyone=False, roles=False, replied_user=False, users=[discord.Object(job.user_id)]
    )


def _answering(message_id: int, channel: discord.PartialMessageable) -> discord.MessageReference:
    """What is answered; where it is gone, the answer stands alone."""
    return discord.MessageReference(message_id=message_id, channel_id=channel.id, fail_if_not_exists=False)
