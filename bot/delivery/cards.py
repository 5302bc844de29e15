"""Status cards: the latest state, at the pace of their channel, and the end in any case."""

import asyncio
import hashlib
import io
import json
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import discord
from pydantic import TypeAdapter

from bot.cadence import backoff
from bot.cards import Card
from bot.clock import Clock
from bot.delivery.calls import CALL_TIMEOUT
from bot.delivery.ending import Ending
from bot.delivery.keeper import Keeper
from bot.delivery.rest import Rest
from bot.delivery.turns import Kind, Turns
from bot.delivery.videos import is_old
from bot.errors import Archived, DeliveryFault, Gone, MessageGone, Undeliverable, Undelivered
from bot.jobs import JobState
from bot.media.jobfiles import JobFiles
from bot.store import Store
from bot.store.db import StoreError
from bot.tasks import Tasks

log = logging.getLogger(__name__)

THUMBNAIL = "picture.jpg"
FLUSH = 5.0
"""Seconds that cards get to show their latest state when the bot stops."""
_SHOWN = "what the cards show"
_DIGESTS = TypeAdapter(dict[int, str])


@dataclass(frozen=True)
class Face:
    """A card as Discord shows it."""

    embed: discord.Embed
    view: discord.ui.View | None

    @property
    def digest(self) -> str:
        """Equal for what looks equal; a card's buttons follow from what it says."""
        return hashlib.sha256(json.dumps(self.embed.to_dict(), sort_keys=True).encode()).hexdigest()[:16]


class Cards:
    def __init__(
        self,
        rest: Rest,
        store: Store,
        files: JobFiles,
        clock: Clock,
        turns: Turns,
        ending: Ending,
        render: Callable[[Card], Face],
        card_seconds: float,
    ) -> None:
        self._rest = rest
        self._store = store
        self._files = files
        self._clock = clock
        self._turns = turns
        self._render = render
        self._card_seconds = card_seconds
        self._ending = ending
        self._keepers: dict[int, Keeper] = {}
        self._left: dict[int, str] = {}
        """What cards showed when they were last looked after, by job."""
        self._closing = False
        self._chance = random.Random()  # noqa: S311 - spreads retries, guards nothing
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
        keeper = self._show(card, is_new=True)
        await keeper.began.wait()
        while True:
            was_braked = self._rest.is_braked
            is_settled = await self._clock.wait(keeper.settled, CALL_TIMEOUT)
            if is_settled or not (was_braked or self._rest.is_braked):
                return keeper.message_id

    async def close(self) -> None:
        """Let every card show its latest state, if that goes quickly, and stop."""
        self._closing = True
        for keeper in self._keepers.values():
            keeper.hurry()
        await self._tasks.close(patience=FLUSH)
        with suppress(StoreError):
            await self._store.notes.set(_SHOWN, _DIGESTS.dump_json(self._left).decode())

    def _show(self, card: Card, *, is_new: bool = False) -> Keeper:
        keeper = self._keepers.get(card.job.id)
        if keeper is None:
            shown = self._left.pop(card.job.id, None)
            keeper = self._keepers[card.job.id] = Keeper(card.job.card_id, shown, may_be_there=not is_new)
            self._tasks.spawn(self._keep(card.job.id, keeper), f"card of job {card.job.id}")
        keeper.take(card)
        return keeper

    async def _keep(self, job_id: int, keeper: Keeper) -> None:
        """Look after one card until it shows the end."""
        try:
            keeper.picture = await self._files.thumbnail(job_id)
            try:
                await self._follow(keeper)
            except DeliveryFault as error:
                log.info("card of job %d is no longer shown: %s", job_id, error)
                keeper.settle()
                # Known as gone until the job is over, or every new state would ask Discord for it again.
                await keeper.over.wait()
                await self._end_without_card(keeper, is_gone=isinstance(error, Gone))
            if keeper.has_ended:
                job = keeper.card.job
                if job.overdue_at is not None and job.state is JobState.FAILED and keeper.shown is not None:
                    # After hours of waiting nobody looks at the card any more.
                    await self._ending.insist(lambda: self._ending.tell(keeper.card))
                await self._ending.note(keeper.card)
                await self._store.jobs.close_card(job_id)
        except StoreError as error:
            log.warning("card of job %d is shown again within minutes: %s", job_id, error)
        finally:
            keeper.settle()
            self._keepers.pop(job_id, None)
            if keeper.shown is not None and not keeper.has_ended:
                self._left[job_id] = keeper.shown

    async def _end_without_card(self, keeper: Keeper, *, is_gone: bool) -> None:
        """Say how it ended where the card could not follow; perhaps it can again by now."""
        if keeper.message_id is not None and not is_gone:
            await self._ending.insist(lambda: self._refresh(keeper))
        if keeper.shown is None or is_gone:
            await self._ending.insist(lambda: self._ending.retract(keeper.card))
            if keeper.card.job.state is JobState.FAILED:
                await self._ending.insist(lambda: self._ending.tell(keeper.card))

    async def _follow(self, keeper: "Keeper") -> None:
        """Show each state that is still the latest when its turn comes."""
        outages = 0
        while True:
            await keeper.changed.wait()
            keeper.changed.clear()
            try:
                await self._refresh(keeper)
            except Undelivered as error:
                outages += 1
                log.info("card of job %d: %s", keeper.card.job.id, error)
                keeper.changed.set()
                # The end waits, too: Discord may be down, and asking on and on does not help it.
                await self._clock.wait(asyncio.Event(), backoff(outages, None, self._chance.random()))
                continue
            outages = 0
            keeper.settle()
            if (self._closing or not keeper.card.job.state.is_open) and not keeper.changed.is_set():
                return
            await self._clock.wait(keeper.over, self._pace(keeper.card))

    async def _refresh(self, keeper: Keeper) -> None:
        """Bring the message up to date, if it is not."""
        if self._render(keeper.card).digest != keeper.shown:
            try:
                await self._show_latest(keeper)
            except Archived:
                if not keeper.has_ended:
                    return
                # A message wakes the thread up, and then the card can be edited.
                await self._ending.tell(keeper.card)
                await self._show_latest(keeper)
        await self._ending.retract(keeper.card)

    async def _show_latest(self, keeper: Keeper) -> None:
        """Wait for a turn, and show what is true by then; without the picture where none may be attached."""
        kind = Kind.CREATE if keeper.message_id is None else Kind.EDIT
        async with self._turns.take(
            keeper.card.job.channel_id, kind, lambda: keeper.rank, old=self._is_old(keeper.card)
        ):
            keeper.changed.clear()
            keeper.began.set()
            try:
                await self._put(keeper, keeper.card)
            except Undeliverable as error:
                if keeper.picture is None or isinstance(error, Gone | Archived):
                    raise
                keeper.picture = None
                await self._put(keeper, keeper.card)

    async def _put(self, keeper: "Keeper", card: Card) -> None:
        # The picture goes along each time: an edit that only refers to it shows it a second time, outside.
        look, keeper.shown = self._render(card), None
        embed = look.embed.copy()
        files: list[discord.File] = []
        if keeper.picture is not None:
            embed.set_thumbnail(url=f"attachment://{THUMBNAIL}")
            files.append(discord.File(io.BytesIO(keeper.picture), filename=THUMBNAIL))
        if keeper.message_id is None:
            await self._adopt(keeper, card)
        if keeper.message_id is not None:
            await self._rest.edit(
                card.job.channel_id, keeper.message_id, embed=embed, view=look.view, files=files
            )
            keeper.shown = look.digest
            return
        nonce = f"card {card.job.id}" if not keeper.was_deleted else f"again {card.job.id}"
        try:
            posted = await self._rest.create(
                card.job.channel_id, nonce=nonce, embed=embed, view=look.view, files=files
            )
        except MessageGone:
            # An earlier try was posted and deleted, before anybody could know its id.
            if keeper.was_deleted:
                raise
            keeper.was_deleted = True
            await self._put(keeper, card)
            return
        await self._record(keeper, card, posted.id)
        if posted.descriptions != (embed.description,):
            # The nonce has found an earlier post, whose answer was lost: it shows how things stood then.
            await self._put(keeper, card)
        keeper.shown = look.digest

    async def _adopt(self, keeper: "Keeper", card: Card) -> None:
        """Find the message that an earlier try has posted, perhaps of a bot that died right after it."""
        was_tried, keeper.may_be_there = keeper.may_be_there, True
        if was_tried:
            button = f"cancel:{card.job.id}"
            found = await self._rest.own_message(
                card.job.channel_id,
                card.job.created_at,
                card.job.id,
                lambda message: button in message.custom_ids,
            )
            if found is not None:
                await self._record(keeper, card, found.id)

    async def _record(self, keeper: "Keeper", card: Card, message_id: int) -> None:
        keeper.message_id = message_id
        await self._store.jobs.record_card(card.job.id, message_id)

    def _pace(self, card: Card) -> float:
        """Seconds between two edits of one card: all cards of a channel share its limit."""
        neighbours = sum(
            keeper.card.job.channel_id == card.job.channel_id for keeper in self._keepers.values()
        )
        # Two seconds for each card at the usual five for one.
        pace = max(self._card_seconds, 0.4 * self._card_seconds * neighbours)
        return max(pace, 4.0 * neighbours) if self._is_old(card) else pace

    def _is_old(self, card: Card) -> bool:
        return is_old(card.job.created_at, self._clock.now())
