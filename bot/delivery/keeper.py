"""What is known of one card while somebody looks after it."""

import asyncio

from bot.cards import Card
from bot.delivery.turns import Rank


class Keeper:
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
