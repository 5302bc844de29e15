"""Status cards: the latest state, at the pace of their channel, and the end in any case."""

import asyncio
import io
import logging
import random
from contextlib import suppress

import discord
from pydantic import TypeAdapter

from bot.clock import Clock
from bot.delivery.calls import CALL_TIMEOUT
from bot.delivery.look import render
from bot.delivery.notifications import Notifications
from bot.delivery.rate_limit import CallKind, ChannelRateLimiter, Rank
from bot.delivery.rest import Rest
from bot.delivery.videos import is_old
from bot.engine.retry import Failures
from bot.errors import Archived, DeliveryFault, Gone, MessageGone, Undeliverable, Undelivered
from bot.jobs import JobState
from bot.media.job_files import JobFiles
from bot.posting import Card
from bot.store import Store
from bot.store.db import StoreError
from bot.tasks import Tasks

log = logging.getLogger(__name__)

THUMBNAIL = "picture.jpg"
FLUSH = 5.0
"""Seconds that cards get to show their latest state when the bot stops."""
_SHOWN = "what the cards show"
_DIGESTS = TypeAdapter(dict[int, str])


class CardState:
    """The latest state of one card, and what is known of its message."""

    card: Card

    def __init__(self, message_id: int | None, shown: str | None, *, may_be_there: bool = True) -> None:
        self.message_id = message_id
        self.shown = shown
        """The digest of what the message shows; None if nobody knows."""
        self.may_be_there = may_be_there
        """Somebody may have posted the message already, although its id is not known."""
        self.was_deleted = False
        """What was posted under its first nonce is deleted."""
        self.picture: bytes | None = None
        self.has_ended = False
        self.changed = asyncio.Event()
        self.over = asyncio.Event()
        """Set when the latest state is the last one, or the bot is being stopped: it does not wait longer."""
        self.began = asyncio.Event()
        """Set when its first turn has come."""
        self.settled = asyncio.Event()
        """Set when the card has been shown once, or never will be."""

    @property
    def rank(self) -> Rank:
        if self.message_id is None:
            return Rank.FIRST
        if not self.card.job.state.is_open:
            return Rank.END
        return Rank.NEWS

    def take(self, card: Card) -> None:
        if card.job.state.is_open and self.has_ended:
            return  # the end is the end, whatever was still on its way
        self.card = card
        self.changed.set()
        if not card.job.state.is_open:
            self.has_ended = True
            self.over.set()

    def settle(self) -> None:
        self.began.set()
        self.settled.set()

    def hurry(self) -> None:
        """Show what is there to be shown without waiting for a turn."""
        self.over.set()
        self.changed.set()


class Cards:
    def __init__(
        self,
        rest: Rest,
        store: Store,
        files: JobFiles,
        clock: Clock,
        limiter: ChannelRateLimiter,
        ending: Notifications,
        card_seconds: float,
    ) -> None:
        self._rest = rest
        self._store = store
        self._files = files
        self._clock = clock
        self._limiter = limiter
        self._card_seconds = card_seconds
        self._ending = ending
        self._states: dict[int, CardState] = {}
        self._left: dict[int, str] = {}
        """What cards showed when they were last looked after, by job."""
        self._closing = False
        self._tasks = Tasks()

    async def start(self) -> None:
        """Remember what the cards showed when the bot was stopped: what is still true needs no edit."""
        noted = await self._store.notes.get(_SHOWN)
        self._left = _DIGESTS.validate_json(noted) if noted else {}
        # After a crash nobody would know.
        await self._store.notes.set(_SHOWN, "{}")

    def show(self, card: Card) -> None:
        self._show(card)

    async def open(self, card: Card) -> int | None:
        """Show a card for the first time, and wait until it is there; None if Discord does not take it.

        Its turn may take as long as the others before it need, and only then Discord's time begins.
        """
        state = self._show(card, is_new=True)
        await state.began.wait()
        while True:
            was_braked = self._rest.is_braked
            is_settled = await self._clock.wait(state.settled, CALL_TIMEOUT)
            if is_settled or not (was_braked or self._rest.is_braked):
                return state.message_id

    async def close(self) -> None:
        """Let every card show its latest state, if that goes quickly, and stop."""
        self._closing = True
        for state in self._states.values():
            state.hurry()
        await self._tasks.close(patience=FLUSH)
        with suppress(StoreError):
            await self._store.notes.set(_SHOWN, _DIGESTS.dump_json(self._left).decode())

    def _show(self, card: Card, *, is_new: bool = False) -> CardState:
        state = self._states.get(card.job.id)
        if state is None:
            shown = self._left.pop(card.job.id, None)
            state = self._states[card.job.id] = CardState(card.job.card_id, shown, may_be_there=not is_new)
            self._tasks.spawn(self._keep(card.job.id, state), f"card of job {card.job.id}")
        state.take(card)
        return state

    async def _keep(self, job_id: int, state: CardState) -> None:
        """Look after one card until it shows the end."""
        try:
            state.picture = await self._files.thumbnail(job_id)
            try:
                await self._follow(state)
            except DeliveryFault as error:
                log.info("card of job %d is no longer shown: %s", job_id, error)
                state.settle()
                # Known as gone until the job is over, or every new state would ask Discord for it again.
                await state.over.wait()
                await self._end_without_card(state, is_gone=isinstance(error, Gone))
            if state.has_ended:
                job = state.card.job
                if job.overdue_at is not None and job.state is JobState.FAILED and state.shown is not None:
                    # After hours of waiting nobody looks at the card any more.
                    await self._ending.retry(lambda: self._ending.tell(state.card))
                await self._ending.note(state.card)
                await self._store.jobs.close_card(job_id)
        except StoreError as error:
            log.warning("card of job %d is shown again within minutes: %s", job_id, error)
        finally:
            state.settle()
            self._states.pop(job_id, None)
            if state.shown is not None and not state.has_ended:
                self._left[job_id] = state.shown

    async def _end_without_card(self, state: CardState, *, is_gone: bool) -> None:
        """Say how it ended where the card could not follow; perhaps it can again by now."""
        if state.message_id is not None and not is_gone:
            await self._ending.retry(lambda: self._refresh(state))
        if state.shown is None or is_gone:
            await self._ending.retry(lambda: self._ending.retract(state.card))
            if state.card.job.state is JobState.FAILED:
                await self._ending.retry(lambda: self._ending.tell(state.card))

    async def _follow(self, state: "CardState") -> None:
        """Show each state that is still the latest when its turn comes."""
        failures = Failures(random.random)
        while True:
            await state.changed.wait()
            state.changed.clear()
            try:
                await self._refresh(state)
            except Undelivered as error:
                log.info("card of job %d: %s", state.card.job.id, error)
                state.changed.set()
                # The end waits, too: Discord may be down, and asking on and on does not help it.
                await self._clock.wait(asyncio.Event(), failures.next_wait())
                continue
            failures.clear()
            state.settle()
            if (self._closing or not state.card.job.state.is_open) and not state.changed.is_set():
                return
            await self._clock.wait(state.over, self._pace(state.card))

    async def _refresh(self, state: CardState) -> None:
        """Bring the message up to date, if it is not."""
        if render(state.card).digest != state.shown:
            try:
                await self._show_latest(state)
            except Archived:
                if not state.has_ended:
                    return
                # A message wakes the thread up, and then the card can be edited.
                await self._ending.tell(state.card)
                await self._show_latest(state)
        await self._ending.retract(state.card)

    async def _show_latest(self, state: CardState) -> None:
        """Wait for a turn, and show what is true by then; without the picture where none may be attached."""
        kind = CallKind.CREATE if state.message_id is None else CallKind.EDIT
        async with self._limiter.acquire(
            state.card.job.channel_id, kind, lambda: state.rank, old=self._is_old(state.card)
        ):
            state.changed.clear()
            state.began.set()
            try:
                await self._put(state, state.card)
            except Undeliverable as error:
                if state.picture is None or isinstance(error, Gone | Archived):
                    raise
                state.picture = None
                await self._put(state, state.card)

    async def _put(self, state: "CardState", card: Card) -> None:
        # The picture goes along each time: an edit that only refers to it shows it a second time, outside.
        look, state.shown = render(card), None
        embed = look.embed.copy()
        files: list[discord.File] = []
        if state.picture is not None:
            embed.set_thumbnail(url=f"attachment://{THUMBNAIL}")
            files.append(discord.File(io.BytesIO(state.picture), filename=THUMBNAIL))
        if state.message_id is None:
            await self._adopt(state, card)
        if state.message_id is not None:
            await self._rest.edit(
                card.job.channel_id, state.message_id, embed=embed, view=look.view, files=files
            )
            state.shown = look.digest
            return
        nonce = f"card {card.job.id}" if not state.was_deleted else f"again {card.job.id}"
        try:
            posted = await self._rest.create(
                card.job.channel_id, nonce=nonce, embed=embed, view=look.view, files=files
            )
        except MessageGone:
            # An earlier try was posted and deleted, before anybody could know its id.
            if state.was_deleted:
                raise
            state.was_deleted = True
            await self._put(state, card)
            return
        await self._record(state, card, posted.id)
        if posted.descriptions != (embed.description,):
            # The nonce has found an earlier post, whose answer was lost: it shows how things stood then.
            await self._put(state, card)
        state.shown = look.digest

    async def _adopt(self, state: "CardState", card: Card) -> None:
        """Find the message that an earlier try has posted, perhaps of a bot that died right after it."""
        was_tried, state.may_be_there = state.may_be_there, True
        if was_tried:
            button = f"cancel:{card.job.id}"
            found = await self._rest.own_message(
                card.job.channel_id,
                card.job.created_at,
                card.job.id,
                lambda message: button in message.custom_ids,
            )
            if found is not None:
                await self._record(state, card, found.id)

    async def _record(self, state: "CardState", card: Card, message_id: int) -> None:
        state.message_id = message_id
        await self._store.jobs.record_card(card.job.id, message_id)

    def _pace(self, card: Card) -> float:
        """Seconds between two edits of one card: all cards of a channel share its limit."""
        neighbours = sum(state.card.job.channel_id == card.job.channel_id for state in self._states.values())
        # Two seconds for each card at the usual five for one.
        pace = max(self._card_seconds, 0.4 * self._card_seconds * neighbours)
        return max(pace, 4.0 * neighbours) if self._is_old(card) else pace

    def _is_old(self, card: Card) -> bool:
        return is_old(card.job.created_at, self._clock.now())
