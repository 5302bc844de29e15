"""Videos in two moves: a message that announces one, then an edit that attaches it; repeated, still one."""

import asyncio
import functools
from contextlib import suppress
from weakref import WeakValueDictionary

import discord

from bot.cards import Posted
from bot.clock import Clock
from bot.delivery.calls import call
from bot.delivery.limits import UploadLimits
from bot.delivery.recent import NONCE_LIVES, own_message
from bot.delivery.turns import Kind, Rank, Turns
from bot.errors import NoReplies, TooLarge, Undeliverable
from bot.jobs import Job, Place
from bot.media.jobfiles import JobFiles
from bot.notices import announcement, number
from bot.rules import Elsewhere
from bot.store import Store

UPLOAD_TIMEOUT = 600.0
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

    async def announce(self, job: Job) -> Posted:
        await self._check_size(job)
        channel = await self._channel(job)
        # As long as Discord knows the nonce, a second call returns the first call's message.
        is_fresh = self._clock.now() - job.state_at < NONCE_LIVES
        found = (
            None
            if is_fresh
            else await own_message(self._client, channel, job.state_at, functools.partial(_announces, job))
        )
        message = found or await self._create(job, channel)
        return Posted(channel.id, message.id)

    async def attach(self, job: Job) -> None:
        await self._check_size(job)
        channel, path = await self._channel(job), self._files.outgoing(job.id)
        async with (
            self._uploads.setdefault(channel.id, asyncio.Semaphore(UPLOADS)),
            self._turns.take(channel.id, Kind.EDIT, lambda: Rank.END),
        ):
            video = await asyncio.to_thread(
                discord.File, path, filename=NAME, description=job.request.prompt[:1024]
            )
            message = channel.get_partial_message(job.message_id or 0)
            editing = message.edit(
                content=self._words(job), attachments=[video], allowed_mentions=requester(job)
            )
            try:
                await call(editing, UPLOAD_TIMEOUT)
            except TooLarge:
                await self._limits.learn(job, path.stat().st_size)
                raise

    async def withdraw(self, job: Job) -> bool:
        if job.message_id is None:
            return False
        if await self.is_there(job):
            return True
        message = (await self._channel(job)).get_partial_message(job.message_id)
        with suppress(Undeliverable):
            await call(message.delete())
        return False

    async def is_there(self, job: Job) -> bool:
        try:
            message = (await self._channel(job)).get_partial_message(job.message_id or 0)
            found = await call(message.fetch())
        except Undeliverable:  # it is gone, or out of sight
            return False
        return any(attached.filename == NAME for attached in found.attachments)

    async def next_place(self, job: Job) -> tuple[Place, int | None] | None:
        if job.place is Place.DIRECT:
            return None
        if job.place is Place.CHANNEL:
            rules = await self._store.acts.rules(job.guild_id)
            other = self._elsewhere(job, rules.elsewhere)
            if other not in {None, job.channel_id}:
                return Place.SERVER, other
        return Place.DIRECT, None

    def _elsewhere(self, job: Job, rule: Elsewhere) -> int | None:
        """The other channel in the server that may have the video, if there is any."""
        if rule is Elsewhere.NOWHERE:
            return None
        if job.parent_id is not None or rule is Elsewhere.PARENT:
            return job.parent_id
        guild = self._client.get_guild(job.guild_id)
        return guild.system_channel.id if guild is not None and guild.system_channel else None

    async def _create(self, job: Job, channel: discord.PartialMessageable) -> discord.Message:
        # Discord may compare nonces over all channels: each place has its own.
        nonce = str(job.id) if job.place is Place.CHANNEL else f"{job.id} {job.place[:1]}"
        send = functools.partial(channel.send, self._words(job), nonce=nonce, allowed_mentions=requester(job))
        card = job.card_id if job.place is Place.CHANNEL else None
        async with self._turns.take(channel.id, Kind.CREATE, lambda: Rank.END):
            if card is not None:
                with suppress(NoReplies):
                    return await call(send(reference=_answering(card, channel)))
            return await call(send())

    async def _channel(self, job: Job) -> discord.PartialMessageable:
        if job.place is Place.DIRECT:
            direct_id = job.place_id or (await call(self._client.create_dm(discord.Object(job.user_id)))).id
            return self._client.get_partial_messageable(direct_id)
        return self._client.get_partial_messageable(job.place_id or job.channel_id, guild_id=job.guild_id)

    def _words(self, job: Job) -> str:
        return announcement(job, smaller=self._files.fitted(job.id).exists())

    async def _check_size(self, job: Job) -> None:
        size = (await asyncio.to_thread(self._files.outgoing(job.id).stat)).st_size
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


def _announces(job: Job, message: discord.Message) -> bool:
    """Whether a message of the bot's is the one that announces this job's video."""
    answers = message.reference.message_id if message.reference else None
    is_reply = answers is not None and answers == job.card_id
    return (is_reply and not message.embeds) or message.content.endswith(number(job))
