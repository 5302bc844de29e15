import asyncio

import pytest

from bot.fair import FairShare
from tests.clock import moment


class Desk:
    """Who has a place, in the order in which places were given."""

    def __init__(self, size: int) -> None:
        self.share = FairShare(size)
        self.given: list[str] = []
        self._done: dict[str, asyncio.Event] = {}

    async def ask(self, name: str, *, amount: int = 1) -> "asyncio.Task[None]":
        """`a1` is a member of the server `a`."""
        self._done[name] = asyncio.Event()
        task = asyncio.create_task(self._hold(name, amount))
        await moment()
        return task

    async def _hold(self, name: str, amount: int) -> None:
        member, server = (int.from_bytes(text.encode(), "big") for text in (name[:2], name[:1]))
        async with self.share.take(member, server, amount):
            self.given.append(name)
            await self._done[name].wait()

    async def end(self, name: str) -> None:
        self._done[name].set()
        await moment()


async def test_a_member_has_one_place_at_a_time() -> None:
    desk = Desk(8)
    for name in ("a1", "a1 again", "a2"):
        await desk.ask(name)
    assert desk.given == ["a1", "a2"]
    await desk.end("a1")
    assert desk.given == ["a1", "a2", "a1 again"]


async def test_a_server_has_half_of_the_places_even_if_nobody_else_wants_them() -> None:
    desk = Desk(4)
    for name in ("a1", "a2", "a3", "b1"):
        await desk.ask(name)
    assert desk.given == ["a1", "a2", "b1"]


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_few_places_are_still_places(size: int) -> None:
    desk = Desk(size)
    await desk.ask("a1")
    await desk.ask("a2")
    assert desk.given == ["a1"]


async def test_servers_take_turns_however_many_wait_in_one() -> None:
    desk = Desk(1)
    for name in ("a1", "a2", "a3", "a4", "b1", "c1", "b2"):
        await desk.ask(name)
    for _ in range(6):
        await desk.end(desk.given[-1])
    assert desk.given == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


async def test_a_server_with_fewer_places_goes_first() -> None:
    desk = Desk(4)
    for name in ("a1", "a2", "b1", "b2"):
        await desk.ask(name)
    for name in ("a3", "c1", "b3"):
        await desk.ask(name)
    await desk.end("a1")
    assert desk.given[4:] == ["c1"]
    await desk.end("b1")
    assert desk.given[4:] == ["c1", "a3"]


async def test_what_takes_much_is_not_passed_by_for_ever() -> None:
    desk = Desk(10)
    await desk.ask("a1", amount=5)
    await desk.ask("b1", amount=4)
    await desk.ask("c1", amount=4)
    await desk.ask("d1", amount=1)
    assert desk.given == ["a1", "b1"]
    await desk.end("a1")
    assert desk.given == ["a1", "b1", "c1", "d1"]


async def test_who_needs_more_than_a_share_gets_a_share() -> None:
    desk = Desk(10)
    await desk.ask("a1", amount=1000)
    await desk.ask("b1", amount=5)
    assert desk.given == ["a1", "b1"]


async def test_who_gives_up_waiting_keeps_nobody_waiting() -> None:
    desk = Desk(1)
    await desk.ask("a1")
    gone = await desk.ask("b1")
    await desk.ask("c1")
    gone.cancel()
    await desk.end("a1")
    assert desk.given == ["a1", "c1"]


async def test_who_gives_up_at_the_moment_of_getting_a_place_gives_it_back() -> None:
    desk = Desk(1)
    await desk.ask("a1")
    gone = await desk.ask("b1")
    await desk.ask("c1")
    waiting = desk.share._waiting[0]
    desk._done["a1"].set()
    for _ in range(10):
        if not waiting.place.done():
            await asyncio.sleep(0)
    gone.cancel()
    await moment()
    assert desk.given == ["a1", "c1"]
    assert gone.cancelled()


async def test_nothing_is_remembered_of_those_who_are_done() -> None:
    desk = Desk(2)
    for name in ("a1", "b1"):
        await desk.ask(name)
    for name in ("a1", "b1"):
        await desk.end(name)
    assert not desk.share._used
    assert not desk.share._members
    assert not desk.share._last_places
