"""What a command costs in a server with much history, beside one with little, in the same run.

    make bench-growth

Each server has a database of its own, an SQLite file as it is used in earnest. The numbers are milliseconds:
the median of each call, and the longest time for which the event loop did nothing else meanwhile. It takes
a minute or two.
"""
# ruff: noqa: T201 - it prints what it measures

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bot.clock import Clock  # noqa: E402 - it is found from here on
from bot.jobs import Job, JobState  # noqa: E402
from bot.quota.allowances import Allowance, WindowKind, window_at  # noqa: E402
from bot.quota.decisions import (  # noqa: E402
    Change,
    Decision,
    GiveGrant,
    ResetUsage,
    SetAllowance,
    SetBudget,
    SetCaps,
    SetPrice,
)
from bot.store import Store, connect  # noqa: E402
from bot.store.db import Transaction, to_text  # noqa: E402
from bot.store.queue import Caps  # noqa: E402
from providers.specs import VideoRequest  # noqa: E402

LITTLE, MUCH = 100, 100_000
GUILD, MEMBER, MEMBERS = 10, 30, 1000
SECONDS = 3.0
"""For each call; then what there is has to do."""
TIMES = 40
TICK = 0.001
NOW = datetime(2024, 2, 29, 12, tzinfo=UTC)
FREE = Allowance(amount=None, kind=WindowKind.MONTH)
MONTH = window_at(WindowKind.MONTH, NOW, ZoneInfo("UTC"))


def made(number: int) -> Iterator[tuple[int, Change]]:
    """Most are about everybody, one in ten is about a member, and every hundredth about the one who asks."""
    for place in range(1, number + 1):
        member_id = MEMBER + (place // 10 % MEMBERS if place % 100 else 0)
        kinds: Sequence[Change] = (
            SetAllowance(role_id=place % 50, allowance=FREE),
            SetBudget(micros=10**12 - place),
            SetPrice(provider="eigenai", model=f"model {place % 20}", tariff=None),
            SetCaps(member=2, server=5),
        )
        about: Sequence[Change] = (
            SetAllowance(member_id=member_id, allowance=FREE),
            ResetUsage(member_id=member_id),
            GiveGrant(member_id=member_id, amount=5, expires_at=NOW - timedelta(days=1)),
        )
        yield place, kinds[place % 4] if place % 10 else about[place // 10 % 3]


async def fill(store: Store, decisions: int, jobs: int) -> None:
    """Write the history straight into the tables: as decisions and bookings it would take an hour."""
    first = NOW - timedelta(days=40)
    rows = [
        [
            number,
            to_text(first + timedelta(seconds=number)),
            change.kind,
            change.member_id,
            change.model_dump_json(),
        ]
        for number, change in made(decisions)
    ]
    request = VideoRequest(model="wan", prompt="x" * 200, seed=0).model_dump_json(exclude_none=True)
    month = timedelta(days=28) / jobs
    done = [
        [number, MEMBER + number % MEMBERS, to_text(NOW - number * month)] for number in range(1, jobs + 1)
    ]

    async def write(on: Transaction) -> None:
        await on.rows(
            """
            INSERT INTO decision (id, guild_id, by_id, at, kind, member_id, change)
            SELECT value ->> 0, :guild_id, 1, value ->> 1, value ->> 2, value ->> 3, value ->> 4
            FROM json_each(:rows)
            """,
            rows=json.dumps(rows),
            guild_id=GUILD,
        )
        await on.rows(
            """
            INSERT INTO job (id, guild_id, channel_id, user_id, provider, model, request, state, price,
                charged, cost_micros, created_at, state_at, not_before, submitted_at, ready_at, card_closed)
            SELECT value ->> 0, :guild_id, 20, value ->> 1, 'eigenai', 'wan', :request, 'delivered', 1,
                1, 5, value ->> 2, value ->> 2, value ->> 2, value ->> 2, value ->> 3, 1
            FROM json_each(:rows)
            """,
            rows=json.dumps(done),
            guild_id=GUILD,
            request=request,
        )

    await store._database.write(write, limit=60)


async def measured(call: Callable[[int], Awaitable[object]], times: int = TIMES) -> tuple[float, float]:
    """Milliseconds: the median of so many calls, and the longest that the loop was kept by one of them."""
    longest, last = 0.0, time.perf_counter()

    async def tick() -> None:
        nonlocal longest, last
        while True:
            last = time.perf_counter()
            await asyncio.sleep(TICK)
            longest = max(longest, time.perf_counter() - last - TICK)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    took: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(took) < times and (not took or time.perf_counter() < end):
        began = time.perf_counter()
        await call(len(took))
        took.append(time.perf_counter() - began)
    ticking.cancel()
    with suppress(asyncio.CancelledError):
        await ticking
    return statistics.median(took) * 1000, longest * 1000


def calls(store: Store) -> dict[str, Callable[[int], Awaitable[object]]]:
    caps = Caps(member=2, server=5, providers={"eigenai": 5})
    clock = Clock()

    def decide(number: int) -> Awaitable[object]:
        decision = Decision(10**9 + number, GUILD, 1, clock.now(), SetBudget(micros=10**11 + number))
        return store.decisions.add(decision.id, GUILD, None, lambda _: decision)

    def grant(number: int) -> Awaitable[object]:
        decision = Decision(2 * 10**9 + number, GUILD, 1, clock.now(), GiveGrant(member_id=MEMBER, amount=1))
        return store.decisions.add(decision.id, GUILD, MEMBER, lambda _: decision)

    def book(number: int) -> Awaitable[object]:
        job = Job(
            id=3 * 10**9 + number,
            guild_id=GUILD,
            channel_id=20,
            user_id=MEMBER,
            provider="eigenai",
            request=VideoRequest(model="wan", prompt="x", seed=0),
            state=JobState.QUEUED,
            price=1,
            charged=1,
            created_at=NOW,
            state_at=NOW,
            not_before=NOW,
        )
        return store.accounts.reserve(job, (), FREE)

    return {
        "rules": lambda _: store.decisions.rules(GUILD, MEMBER),
        "standing": lambda _: store.accounts.standing(GUILD, MEMBER, (), FREE, NOW),
        "add, about all": decide,
        "add, about one": grant,
        "reserve": book,
        "promote": lambda _: store.jobs.promote(caps),
        "history": lambda _: store.decisions.history(GUILD, None, 8),
        "older history": lambda _: store.decisions.history(GUILD, None, 8, before=60),
        "history of one": lambda _: store.decisions.history(GUILD, MEMBER, 8),
        "spent": lambda _: store.accounts.spent(GUILD, MONTH),
        "recent": lambda _: store.jobs.recent(GUILD, MEMBER, 25),
        "durations": lambda _: store.jobs.durations("eigenai", "wan"),
    }


async def server(decisions: int, jobs: int) -> dict[str, tuple[float, float]]:
    with TemporaryDirectory() as folder:
        store = Store(connect(f"sqlite:///{folder}/bench.db"), Clock())
        await store.open()
        try:
            await fill(store, decisions, jobs)
            first = await measured(lambda _: store.decisions.rules(GUILD, MEMBER), 1)
            rest = {name: await measured(call) for name, call in calls(store).items()}
            return {"the very first": first, **rest}
        finally:
            await store.close()


async def main() -> None:
    little = await server(LITTLE, LITTLE)
    told = f"{LITTLE:,} decisions and {LITTLE:,} jobs this month"
    for name, decisions, jobs in (("decisions", MUCH, LITTLE), ("jobs this month", LITTLE, MUCH)):
        much = await server(decisions, jobs)
        print(f"\nA server with {told}, beside one with {MUCH:,} {name}")
        print(f"{'':<18}{'median, ms':>20}{'ratio':>10}{'longest block, ms':>20}")
        for call, (before, block) in little.items():
            after, longest = much[call]
            print(f"{call:<18}{before:>10.2f}{after:>10.2f}{after / before:>10.1f}", end="")
            print(f"{block:>10.1f}{longest:>10.1f}")


if __name__ == "__main__":
    asyncio.run(main())
