"""What a member who attaches hostile pictures costs everybody else: `python -m tests.bench.pictures`.

Twelve orders of one server with a progressive JPEG of 8 MB and 6,000 passes; a member of another server
attaches an ordinary picture a second later, and a finished video is to be verified.
"""
# ruff: noqa: T201 - it prints what it measured

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from bot.errors import UserFault
from bot.intake import DECODED_AT_ONCE, Attached, Intake, Order
from bot.media.videos import verify
from providers.child import Children
from tests.bot.media.bombs import encoded, many_scans
from tests.bot.test_intake import SPEC
from tests.vendors.faults import sample_video

ORDERS, SCANS, SIDES, PAD = 12, 6_000, (4000, 3000), 1_200


async def main() -> None:
    bomb = many_scans(SCANS, SIDES, pad=PAD)
    print(f"{ORDERS} pictures of {len(bomb) / 1e6:.1f} MB, {SCANS} passes, {SIDES[0]} x {SIDES[1]}")
    honest = encoded(Image.effect_noise((1600, 1200), 50).convert("RGB"), "JPEG")
    pictures, videos = Children(DECODED_AT_ONCE), Children()
    intake = Intake(pictures, 25_000_000)
    await timed("alone, the other server's member waits", one(intake, 2, 999, honest))
    attack = [asyncio.create_task(one(intake, 1, number, bomb)) for number in range(ORDERS)]
    await asyncio.sleep(1)
    with TemporaryDirectory() as folder:
        video = sample(Path(folder))
        await asyncio.gather(
            timed("in the attack, the other server's member waits", one(intake, 2, 999, honest)),
            timed("in the attack, a finished video waits", verify(videos, video)),
        )
    await timed("after that, the attack goes on for", asyncio.gather(*attack))
    await pictures.close()


def sample(folder: Path) -> Path:
    video = folder / "video.mp4"
    video.write_bytes(sample_video())
    return video


async def one(intake: Intake, server: int, member: int, data: bytes) -> None:
    async def read() -> bytes:
        return data

    files = {"image": Attached(len(data), read)}
    order = Order(member, server, 1, member, (), "zoom", files=files)
    try:
        async with intake.place(order):
            await intake.read(order, SPEC, order.wish())
    except UserFault:
        return


async def timed(what: str, work: Awaitable[object]) -> None:
    start = time.monotonic()
    await work
    print(f"{what}: {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    asyncio.run(main())
