"""The moderators' log: every post is there once, in order, whatever Discord and this process do meanwhile."""

import asyncio

import pytest

from bot.delivery import Delivery
from bot.delivery.log import Logged, nonce_of
from bot.store import Store
from bot.store.log_posts import LogPost
from tests.bot.delivery.conftest import MakeDelivery
from tests.clock import NOON
from tests.discord_server.faults import after_accepting, cut, refusal
from tests.discord_server.places import Fate
from tests.discord_server.server import DiscordServer
from tests.discord_server.world import CHANNEL, GUILD, OTHER_CHANNEL
from tests.helpers import eventually
from tests.vendors.faults import Fault


def told(server: DiscordServer, channel: int = CHANNEL) -> list[str]:
    return [m["content"] for m in server.world.messages.values() if m["channel_id"] == str(channel)]


async def post(messenger: Delivery, number: int, text: str = "", channel: int = CHANNEL) -> Logged:
    return await messenger.logs.post(
        "decision", number, GUILD, channel, text or f"decision {number}", patience=100
    )


async def test_every_decision_is_posted_in_every_channel(server: DiscordServer, messenger: Delivery) -> None:
    for number in range(1, 4):
        assert await post(messenger, number) is Logged.POSTED
    assert await post(messenger, 3, channel=OTHER_CHANNEL) is Logged.POSTED

    assert told(server) == ["decision 1", "decision 2", "decision 3"]
    assert told(server, OTHER_CHANNEL) == ["decision 3"]
    nonces = [asked.json["nonce"] for asked in server.seen("create")]
    assert len(set(nonces)) == 4
    assert all(len(nonce) <= 25 for nonce in nonces)


async def test_what_is_told_twice_is_posted_once(server: DiscordServer, messenger: Delivery) -> None:
    server.world.nonce_seconds = 0
    for _ in range(2):
        assert await post(messenger, 1) is Logged.POSTED
    assert told(server) == ["decision 1"]


@pytest.mark.parametrize("fault", [refusal(503), cut, after_accepting(cut)])
async def test_what_failed_is_repeated_and_nothing_overtakes_it(
    server: DiscordServer, messenger: Delivery, fault: Fault
) -> None:
    server.world.nonce_seconds = 0
    server.next("create", *[fault] * 2)
    await asyncio.gather(*(post(messenger, number) for number in range(1, 4)))
    assert told(server) == ["decision 1", "decision 2", "decision 3"]


async def test_two_decisions_that_read_the_same_are_two_posts(
    server: DiscordServer, messenger: Delivery
) -> None:
    server.world.nonce_seconds = 0
    server.next(
        "create", after_accepting(cut), refusal(503), when=lambda asked: asked.json["content"] == "same"
    )
    await asyncio.gather(*(post(messenger, number, "same") for number in (1, 2)))
    assert told(server) == ["same", "same"]


@pytest.mark.parametrize("fault", [refusal(503), after_accepting(cut)])
async def test_after_a_restart_the_log_goes_on(
    server: DiscordServer,
    messenger: Delivery,
    make_delivery: MakeDelivery,
    store: Store,
    fault: Fault,
) -> None:
    server.world.nonce_seconds = 0
    server.next("create", *[fault] * 9)
    await messenger.logs.add("decision", 1, GUILD, CHANNEL, "decision 1")
    assert await messenger.logs.post("decision", 2, GUILD, CHANNEL, "decision 2", patience=0) is Logged.LATER
    await eventually(lambda: server.seen("create"))
    await messenger.close()
    server._faults.clear()
    await make_delivery().start()
    await eventually(lambda: nothing_left(store))
    assert told(server) == ["decision 1", "decision 2"]


async def nothing_left(store: Store) -> bool:
    return not await store.log_posts.channels()


@pytest.mark.parametrize("became", ["another", "deleted"])
async def test_a_nonce_that_brings_back_something_else_is_not_taken_for_the_post(
    server: DiscordServer, messenger: Delivery, became: str
) -> None:
    await post(messenger, 1)
    (older,) = server.world.messages
    nonce = nonce_of(LogPost("decision", 2, OTHER_CHANNEL, GUILD, "", NOON))
    server.world._nonces[nonce] = (older, next(iter(server.world._nonces.values()))[1])
    if became == "deleted":
        server.world.delete(CHANNEL, older)

    assert await post(messenger, 2, channel=OTHER_CHANNEL) is Logged.POSTED
    assert told(server, OTHER_CHANNEL) == ["decision 2"]


async def test_what_can_never_be_posted_is_said_and_holds_up_nothing(
    server: DiscordServer, messenger: Delivery
) -> None:
    server.world.fates[CHANNEL] = Fate.MUTE
    assert await post(messenger, 1) is Logged.REFUSED
    server.world.fates.clear()
    assert await post(messenger, 2) is Logged.POSTED
    assert told(server) == ["decision 2"]
