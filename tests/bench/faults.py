"""What becomes of jobs while one kind of fault happens at random moments: one row for each kind.

    make bench-faults
    .venv/bin/python -m tests.bench.faults --seed 7 --jobs 20 SIGKILL PG

The real bot in a process of its own, with Discord, a vendor and a database on loopback. Words choose the
scenarios whose names hold one of them. It ends with 1 if a promise was broken; what the bots said is kept.
"""

import argparse
import asyncio
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from tests.bench.scene import HEAD, MORE_CHANNELS, OPEN, Scene, Vendor, book, judge
from tests.conftest import server_in
from tests.discord_server.bot_process import BotProcess
from tests.discord_server.server import DiscordServer
from tests.helpers import eventually
from tests.postgres_proxy import PostgresProxy
from tests.vendors.faults import Fault, after_accepting, cut, cut_midway, status

SHORTER = 20
"""Patience of hours and minutes is divided by this, unless a scenario says otherwise."""
PATIENCE = 60.0
"""Seconds without any change after which a scenario ends although something is open."""
AT_MOST = 300.0
"""Seconds for one scenario, whatever the machine does."""

Act = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    name: str
    decision: Act
    expected: frozenset[str] = frozenset()
    """Failures, and columns of the table, that this fault excuses."""
    postgres: bool = False
    shorter: float = SHORTER


async def nothing(_: Scene) -> None: ...


def vendor_answers(*faults: Fault, routes: tuple[str, ...], seconds: float = 4.0) -> Act:
    async def decision(scene: Scene) -> None:
        for _ in range(3):
            await scene.a_moment()
            for route in routes:
                scene.vendor.next(route, *(scene.chance.choice(faults) for _ in range(2000)))
            await asyncio.sleep(seconds)
            scene.vendor.forgive()

    return decision


async def some_submits_are_lost(scene: Scene) -> None:
    for _ in range(4):
        await scene.a_moment()
        scene.vendor.next("submit", after_accepting(cut))


async def discord_answers(scene: Scene) -> None:
    faults = status(503), status(500), cut, after_accepting(cut), after_accepting(status(502))
    for _ in range(3):
        await scene.a_moment()
        for route in ("create", "edit", "delete", "look", "history", "direct", "callback", "original"):
            scene.discord.next(route, *(scene.chance.choice(faults) for _ in range(2000)))
        await asyncio.sleep(4)
        scene.discord.forgive()


async def gateway_drops(scene: Scene) -> None:
    for _ in range(5):
        await scene.a_moment()
        await scene.discord.gateway.drop()


async def stands_still(scene: Scene) -> None:
    """And as after a sleep, what was connected is not any more."""
    await scene.booked()
    os.kill(scene.bot.pid, signal.SIGSTOP)
    await asyncio.sleep(15)
    for route in ("poll", "result"):
        scene.vendor.next(route, *[cut] * 20)
    for route in ("create", "edit"):
        scene.discord.next(route, *[cut] * 10)
    await scene.discord.gateway.drop()
    os.kill(scene.bot.pid, signal.SIGCONT)
    await asyncio.sleep(2)
    scene.vendor.forgive()
    scene.discord.forgive()


async def commits_are_cut(scene: Scene) -> None:
    for _ in range(15):
        await scene.a_moment(0.1, 1.5)
        assert scene.proxy is not None
        scene.proxy.cut_after("COMMIT")


def database_is(how: Callable[[PostgresProxy], None]) -> Act:
    async def decision(scene: Scene) -> None:
        await scene.booked()
        assert scene.proxy is not None
        how(scene.proxy)
        await asyncio.sleep(10)
        scene.proxy.recover()

    return decision


async def file_is_locked(scene: Scene) -> None:
    assert scene.database is not None
    await scene.booked()
    with closing(sqlite3.connect(scene.database, isolation_level=None, timeout=5)) as other:
        other.execute("BEGIN IMMEDIATE")
        await asyncio.sleep(8)


async def is_terminated(scene: Scene) -> None:
    for _ in range(3):
        await scene.a_moment(1, 5)
        await scene.bot.terminate()
        await scene.bot.start()


async def is_killed(scene: Scene) -> None:
    for _ in range(4):
        await scene.a_moment(0.5, 4)
        await scene.bot.kill()
        await scene.bot.start()


UNKNOWN = frozenset({"outcome-unknown"})
SCENARIOS = (
    Scenario("nothing", nothing),
    Scenario("SIGSTOP 15 s", stands_still, shorter=50),
    Scenario("vendor: status", vendor_answers(cut, status(503), routes=("poll",))),
    Scenario("vendor: submit 503", vendor_answers(status(503), routes=("submit",))),
    Scenario("vendor: submit cut", vendor_answers(cut, routes=("submit",), seconds=1), UNKNOWN),
    Scenario("vendor: submit lost", some_submits_are_lost, UNKNOWN),
    Scenario("vendor: download", vendor_answers(cut, cut_midway, status(503), routes=("result",))),
    Scenario("Discord: REST", discord_answers),
    Scenario("Discord: gateway", gateway_drops),
    Scenario("PG: cut at COMMIT", commits_are_cut, postgres=True),
    Scenario("PG: hangs 10 s", database_is(PostgresProxy.hang), postgres=True),
    Scenario("PG: refuses 10 s", database_is(PostgresProxy.refuse), postgres=True),
    Scenario("SQLite locked 8 s", file_is_locked),
    Scenario("SIGTERM", is_terminated),
    Scenario("SIGKILL", is_killed, UNKNOWN),
)


async def play(scenario: Scenario, scene: Scene) -> None:
    await scene.bot.start()
    await eventually(lambda: "animate" in scene.discord.world.commands and scene.rows() is not None)
    booking = asyncio.create_task(book(scene))

    async def decision() -> None:
        scene.is_faulty = scenario.decision is not nothing
        await scenario.decision(scene)
        scene.is_faulty = False

    acting = asyncio.create_task(decision())
    began = since = time.monotonic()
    seen = None
    while time.monotonic() < min(since + PATIENCE, began + AT_MOST):
        scene.watch()
        now = [(row["id"], row["state"]) for row in scene.rows()], scene.untrue(), scene.unanswered()
        if now != seen or not (booking.done() and acting.done()):
            seen, since = now, time.monotonic()
        elif now[1:] == ([], 0) and all(state not in OPEN for _, state in now[0]):
            break
        await asyncio.sleep(0.25)
    await booking
    await acting
    await asyncio.sleep(1)


async def run(scenario: Scenario, folder: Path, seed: int, jobs: int) -> tuple[list[str], list[str]]:
    chance = random.Random(f"{seed} {scenario.name}")  # noqa: S311 - guards nothing
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        discord = await stack.enter_async_context(DiscordServer())
        vendor = await stack.enter_async_context(Vendor(chance))
        discord.world.channels += MORE_CHANNELS
        bot = BotProcess(
            discord, folder,
            EIGENAI_API_KEY=vendor.KEY, EIGENAI_BASE_URL=vendor.url, LOCAL_ON="false", CARD_SECONDS="0.5",
            MEMBER_JOBS="9", SERVER_JOBS="40", DEFAULT_ALLOWANCE="99", SHORTER=str(scenario.shorter),
        )  # fmt: skip
        stack.push_async_callback(bot.kill)
        scene = Scene(
            chance, discord, vendor, bot, bot.rows, jobs, database=folder / "data" / "stillmotion.db"
        )
        if scenario.postgres:
            url = _new_database(folder.parent, f"bench_{folder.name}")
            scene.proxy = await stack.enter_async_context(PostgresProxy(url))
            bot.settings["DATABASE_URL"] = scene.proxy.url
            connection = stack.enter_context(psycopg.connect(url, autocommit=True, row_factory=dict_row))
            scene.rows = lambda: connection.execute("SELECT * FROM job ORDER BY id").fetchall()
        await play(scenario, scene)
        return judge(scenario.name, scenario.expected, scene, time.monotonic() - began)


def _new_database(folder: Path, name: str) -> str:
    (folder / "postgres").mkdir(exist_ok=True)
    address = server_in(folder / "postgres").get_uri()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return address.replace("/postgres?", f"/{name}?")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))  # noqa: S311 - guards nothing
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("words", nargs="*")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="stillmotion-faults-"))
    _say(f"seed {asked.seed}; patience divided by {SHORTER} (SIGSTOP: 50); what the bots say: {folder}")
    _say(" | ".join(HEAD))
    is_broken = False
    for number, scenario in enumerate(SCENARIOS):
        if not asked.words or any(word in scenario.name for word in asked.words):
            (own := folder / str(number)).mkdir()
            row, broken = asyncio.run(run(scenario, own, asked.seed, asked.jobs))
            _say(" | ".join(row + ([f"BROKEN: {', '.join(broken)}"] if broken else [])))
            is_broken |= bool(broken)
    if (folder / "postgres").exists():
        server_in(folder / "postgres").stop()
    if not is_broken:
        shutil.rmtree(folder)
    return int(is_broken)


if __name__ == "__main__":
    sys.exit(main())
