"""Who waits for whom while files come and are decoded."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from bot.errors import NotNow
from bot.intake import PREPARED, Attached, Intake, Order
from providers.child import Children
from providers.child_wire import Answer
from providers.options import Choice, ImageLimits
from providers.specs import Mode, ModelSpec
from tests.helpers import eventually

LARGEST = 1000
SPEC = ModelSpec(
    id="m",
    name="M",
    mode=Mode.IMAGE_TO_VIDEO,
    duration=Choice[int](values=(3,), default=3),
    image=ImageLimits(),
)


class Decoders(Children):
    """Decodes when it is told to; tells whose pictures are being worked on."""

    def __init__(self) -> None:
        super().__init__()
        self.working: list[bytes] = []
        self.done = asyncio.Event()

    async def run(self, task: str, data: bytes | None = None, **_: object) -> Answer:
        self.working.append(data or b"")
        await self.done.wait()
        return Answer({"media_type": "image/jpeg", "width": 64, "height": 64}, (b"picture", b"thumbnail"))


@pytest.fixture
async def decoders(monkeypatch: pytest.MonkeyPatch) -> Decoders:
    monkeypatch.setattr("bot.intake.DECODED_AT_ONCE", 4)
    return Decoders()


@pytest.fixture
async def intake(decoders: Decoders) -> AsyncIterator[Intake]:
    yield Intake(decoders, LARGEST)
    decoders.done.set()


def order(server: int, member: int, *, size: int = 10, comes: asyncio.Event | None = None) -> Order:
    async def read() -> bytes:
        if comes is not None:
            await comes.wait()
        return f"{server}/{member}".encode()

    files = {"image": Attached(size, read)}
    return Order(id=1, guild_id=server, channel_id=1, user_id=member, role_ids=(), prompt="zoom", files=files)


def ask(intake: Intake, orders: Sequence[Order]) -> "list[asyncio.Task[None]]":
    async def one(order: Order) -> None:
        async with intake.place(order):
            await intake.read(order, SPEC, order.wish())

    return [asyncio.create_task(one(order)) for order in orders]


async def settled() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


async def test_a_server_never_keeps_another_waiting(intake: Intake, decoders: Decoders) -> None:
    ask(intake, [order(1, member) for member in range(12)])
    await settled()
    assert len(decoders.working) == 2
    ask(intake, [order(2, 100)])
    await eventually(lambda: b"2/100" in decoders.working)


async def test_a_member_has_one_picture_decoded_at_a_time_in_all_servers(
    intake: Intake, decoders: Decoders
) -> None:
    ask(intake, [order(server, 7) for server in (1, 2, 3)])
    await settled()
    assert decoders.working == [b"1/7"]
    decoders.done.set()
    await eventually(lambda: len(decoders.working) == 3)


async def test_files_that_do_not_come_leave_room_for_those_of_other_servers(
    intake: Intake, decoders: Decoders
) -> None:
    never = asyncio.Event()
    ask(intake, [order(1, member, size=LARGEST, comes=never) for member in range(20)])
    ask(intake, [order(2, 100, size=LARGEST)])
    await eventually(lambda: decoders.working == [b"2/100"])


async def test_who_asks_again_and_again_is_told_to_wait(intake: Intake, decoders: Decoders) -> None:
    waiting = ask(intake, [order(1, 7)] * PREPARED)
    await settled()
    with pytest.raises(NotNow, match=r"still preparing 5 pictures of yours.*Nothing was charged"):
        async with intake.place(order(1, 7)):
            pass
    decoders.done.set()
    await asyncio.gather(*waiting)
    async with intake.place(order(1, 7)):
        assert len(decoders.working) == PREPARED
    assert not intake._prepared


async def test_orders_without_files_wait_for_nothing(intake: Intake) -> None:
    bare = Order(id=1, guild_id=1, channel_id=1, user_id=7, role_ids=(), prompt="zoom")
    ask(intake, [order(1, 7)] * PREPARED)
    await settled()
    async with intake.place(bare):
        pass
