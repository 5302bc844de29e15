"""Places shared fairly: a member has one at a time, and a server at most half of them."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count


@dataclass(eq=False)
class _Waiting:
    member: int
    server: int
    amount: int
    place: asyncio.Future[None]


class FairShare:
    """So much of something for all. No server gets more than half, wanted by others or not.

    So whoever comes next from elsewhere finds room at once. Among those who wait, the server that has least
    goes first, then the one whose last turn is longest ago.
    """

    def __init__(self, size: int) -> None:
        self._left = size
        self._share = max(1, size // 2)
        self._waiting: list[_Waiting] = []
        self._used: Counter[int] = Counter()
        """By server."""
        self._members: set[int] = set()
        """Those who have a place."""
        self._last_places: dict[int, int] = {}
        """By server, the number of its last turn, for as long as it has or wants anything."""
        self._numbers = count(1)

    @asynccontextmanager
    async def take(self, member: int, server: int, amount: int = 1) -> AsyncGenerator[None]:
        """Wait for a turn and have so much until the end of the block; at most a server's share."""
        place = asyncio.get_running_loop().create_future()
        wanted = _Waiting(member, server, min(amount, self._share), place)
        self._waiting.append(wanted)
        self._give()
        try:
            await place
            yield
        finally:
            if wanted in self._waiting:
                self._waiting.remove(wanted)
            else:
                self._left += wanted.amount
                self._used[server] -= wanted.amount
                self._members.discard(member)
            self._forget(server)
            self._give()

    def _give(self) -> None:
        """Give out what there is. Who is first and needs more than is left is waited for."""
        while (first := min(filter(self._may, self._waiting), key=self._rank, default=None)) is not None:
            if first.amount > self._left:
                return
            self._waiting.remove(first)
            self._left -= first.amount
            self._used[first.server] += first.amount
            self._members.add(first.member)
            self._last_places[first.server] = next(self._numbers)
            first.place.set_result(None)

    def _may(self, wanted: _Waiting) -> bool:
        return (
            not wanted.place.done()  # cancelled, and about to leave
            and wanted.member not in self._members
            and self._used[wanted.server] + wanted.amount <= self._share
        )

    def _rank(self, wanted: _Waiting) -> tuple[int, int]:
        return self._used[wanted.server], self._last_places.get(wanted.server, 0)

    def _forget(self, server: int) -> None:
        if not self._used[server]:
            del self._used[server]
            if all(wanted.server != server for wanted in self._waiting):
                self._last_places.pop(server, None)
