"""Posts in the channel that moderators chose for it: in order, each once, through outages and restarts."""

import asyncio
import hashlib
import logging
import random
import re
from datetime import timedelta
from enum import Enum, auto
from typing import TypeAlias

import discord

from bot.clock import Clock
from bot.delivery.answers import Message
from bot.delivery.rate_limit import CallKind, ChannelRateLimiter, Rank
from bot.delivery.rest import Rest
from bot.engine.retry import Failures
from bot.errors import DeliveryFault, MessageGone, NonceTaken, Undelivered
from bot.store import Store
from bot.store.db import StoreError
from bot.store.log_posts import LogPost
from bot.tasks import Tasks

log = logging.getLogger(__name__)

REMEMBERED = timedelta(days=7)
"""How long a post that is closed is known: it is not made again when somebody asks for it again."""
_ATTEMPTS = 3
"""Nonces for one post. If none brings back what was sent, Discord shows it in other words."""
_LONGEST = 2000
_Key: TypeAlias = tuple[str, int, int]
"""What is told, and in which channel."""


class Logged(Enum):
    POSTED = auto()
    LATER = auto()
    """It is written down, and posted when Discord takes it."""
    LOST = auto()
    """The database did not take it."""
    REFUSED = auto()
    """The channel is gone, or the bot may not post there."""


class ModeratorLog:
    def __init__(self, rest: Rest, store: Store, clock: Clock, limiter: ChannelRateLimiter) -> None:
        self._rest = rest
        self._posts = store.log_posts
        self._clock = clock
        self._limiter = limiter
        self._workers: dict[int, asyncio.Event] = {}
        """By channel; set when there is something new to post."""
        self._waiting: dict[_Key, asyncio.Event] = {}
        self._untried: set[_Key] = set()
        """Posts that nobody has tried yet: no look is needed for those."""
        self._tasks = Tasks()

    async def start(self) -> None:
        """Go on with what was left. Raises StoreError."""
        await self._posts.forget(self._clock.now() - REMEMBERED)
        for channel_id in await self._posts.channels():
            self._work(channel_id)

    async def close(self) -> None:
        await self._tasks.close()

    async def post(
        self, kind: str, about_id: int, guild_id: int, channel_id: int, text: str, *, patience: float
    ) -> Logged:
        """As `add`, and wait for the post for so many seconds."""
        key = kind, about_id, channel_id
        closed = self._waiting.setdefault(key, asyncio.Event())
        try:
            await self.add(kind, about_id, guild_id, channel_id, text)
            await self._clock.wait(closed, patience)
            post = await self._posts.get(*key)
        except StoreError as error:
            log.warning("%s was not written down for the log channel: %s", key, error)
            return Logged.LOST
        finally:
            self._waiting.pop(key, None)
        if post is None or not post.is_closed:
            return Logged.LATER
        return Logged.REFUSED if post.message_id is None else Logged.POSTED

    async def add(self, kind: str, about_id: int, guild_id: int, channel_id: int, text: str) -> None:
        """Have it told in a channel what `kind` of thing has happened: once, and it pings nobody.

        Raises StoreError.
        """
        post = LogPost(kind, about_id, channel_id, guild_id, text.strip()[:_LONGEST], self._clock.now())
        self._untried.add(_key(post))
        try:
            if not await self._posts.add(post):
                self._untried.discard(_key(post))
        finally:
            # Also where the database has not answered: it may have taken it.
            self._work(channel_id)

    def _work(self, channel_id: int) -> None:
        if channel_id not in self._workers:
            self._workers[channel_id] = asyncio.Event()
            self._tasks.spawn(self._post_all(channel_id), f"log channel {channel_id}")
        self._workers[channel_id].set()

    async def _post_all(self, channel_id: int) -> None:
        """Post what there is for a channel, the oldest first, until nothing is left."""
        failures, news = Failures(random.random), self._workers[channel_id]
        try:
            while True:
                news.clear()
                try:
                    post = await self._posts.first(channel_id)
                    if post is None:
                        if news.is_set():
                            continue
                        return
                    await self._post(post)
                    failures.clear()
                except (Undelivered, StoreError) as error:
                    log.warning("the log channel %d has to wait: %s", channel_id, error)
                    await self._clock.wait(asyncio.Event(), failures.next_wait())
        finally:
            del self._workers[channel_id]

    async def _post(self, post: LogPost) -> None:
        """Make one post, or find out that it never will be. Raises Undelivered or StoreError."""
        message_id = None
        try:
            message_id = await self._posted(post)
        except (NonceTaken, MessageGone) as error:
            if post.attempt + 1 < _ATTEMPTS:
                log.warning("%s: %s; another nonce is tried", _key(post), error)
                await self._posts.repeat(post)
                return
            log.warning("%s was not posted: %s", _key(post), error)
        except Undelivered:
            raise
        except DeliveryFault as error:
            log.warning("the log channel %d of server %d: %s", post.channel_id, post.guild_id, error)
        await self._posts.close(post, self._clock.now(), message_id)
        if (closed := self._waiting.get(_key(post))) is not None:
            closed.set()

    async def _posted(self, post: LogPost) -> int:
        """The id of its message: one of an earlier try, or a new one. Raises DeliveryFault."""
        if _key(post) not in self._untried:
            taken = await self._posts.messages(post.channel_id)
            found = await self._rest.own_message(
                post.channel_id,
                post.created_at,
                post.about_id,
                lambda message: message.id not in taken and _says(message, post.text),
            )
            if found is not None:
                return found.id
        async with self._limiter.acquire(post.channel_id, CallKind.CREATE, lambda: Rank.NEWS):
            self._untried.discard(_key(post))
            message = await self._rest.create(
                post.channel_id,
                nonce=nonce_of(post),
                content=post.text,
                mentions=discord.AllowedMentions.none(),
            )
        if not _says(message, post.text):
            raise NonceTaken(f"message {message.id} says something else")
        return message.id


def nonce_of(post: LogPost) -> str:
    """Of its own for what is told, where it is told, and each attempt; Discord takes 25 characters."""
    told = f"{_key(post)} {post.attempt}"
    return f"log {hashlib.sha256(told.encode()).hexdigest()[:20]}"


def _key(post: LogPost) -> _Key:
    return post.kind, post.about_id, post.channel_id


def _says(message: Message, text: str) -> bool:
    """Whether it is this text; Discord may show its spaces and signs otherwise."""
    return re.sub(r"\W", "", message.content) == re.sub(r"\W", "", text)
