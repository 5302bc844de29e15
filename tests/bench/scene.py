"""One run of the bot that is disturbed: who asks for what, and what has become of it at the end."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.discord_server.bot_process import BotProcess
from tests.discord_server.places import CHANNEL, OTHER_CHANNEL, THREAD
from tests.discord_server.server import DiscordServer
from tests.e2e.process.conftest import picture
from tests.helpers import eventually
from tests.postgres_proxy import PostgresProxy
from tests.vendors.base import Job, Recorded, Stage
from tests.vendors.eigenai import EigenAIServer

BOOKING = 6.0
"""Seconds over which jobs are booked; the faults happen meanwhile and right after."""
MEMBERS = range(3001, 3009)
MORE_CHANNELS = range(2001, 2006)
CHANNELS = (CHANNEL, OTHER_CHANNEL, THREAD, *MORE_CHANNELS)
DEFERRED = 5
"""The kind of an answer that is still to come."""
OPEN = {"queued", "submitting", "running", "downloading", "delivering"}


class Vendor(EigenAIServer):
    """Takes two to twelve seconds for a video, and counts what it was asked for by prompt."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance
        self._ready: dict[str, float] = {}
        self.accepted: Counter[str] = Counter()

    def _submit(self, asked: Recorded) -> web.Response:
        self.accepted[asked.fields["prompt"]] += 1
        return super()._submit(asked)

    def begin(self, model: str) -> Job:
        job = super().begin(model)
        self._ready[job.id] = time.monotonic() + self._chance.uniform(2, 12)
        return job

    def look(self, job: Job) -> Stage:
        job.over |= time.monotonic() >= self._ready[job.id]
        return Stage.FINISHED if job.over else Stage.WORKING


@dataclass
class Scene:
    chance: random.Random
    discord: DiscordServer
    vendor: Vendor
    bot: BotProcess
    rows: Callable[[], list[dict[str, Any]]]
    jobs: int
    proxy: PostgresProxy | None = None
    """Where the database is PostgreSQL."""
    database: Path | None = None
    """Where it is SQLite."""
    is_faulty: bool = False
    still: dict[int, tuple[Any, float]] = field(default_factory=dict[int, tuple[Any, float]])
    longest: float = 0.0

    async def booked(self) -> None:
        """Wait until some of the jobs are there: a busy machine books them late."""
        count = self.chance.randint(self.jobs // 4, self.jobs * 3 // 4)
        await eventually(lambda: len(self.rows()) >= count)

    async def a_moment(self, least: float = 0.5, most: float = 3.0) -> None:
        await asyncio.sleep(self.chance.uniform(least, most))

    def watch(self) -> None:
        """Note for how long jobs stand still that neither wait in the queue nor meet a fault."""
        now = time.monotonic()
        for row in self.rows():
            state, since = self.still.get(row["id"], (None, now))
            if state != row["state"] or self.is_faulty or row["state"] not in OPEN - {"queued"}:
                since = now
            self.still[row["id"]] = row["state"], since
            self.longest = max(self.longest, now - since)

    def posts(self) -> Counter[str]:
        """How often each job's video is in Discord, by prompt."""
        return Counter(
            str(attachment.get("description"))
            for message in self.discord.world.messages.values()
            for attachment in message["attachments"]
            if attachment["filename"].endswith(".mp4")
        )

    def untrue(self) -> list[int]:
        """Jobs whose cards do not say how they ended."""
        wrong: list[int] = []
        for row in self.rows():
            card = self.discord.world.messages.get(
                row["card_id"] or 0, {"components": "cancel", "embeds": ""}
            )
            is_ready = "Video ready" in str(card["embeds"])
            says_open = "cancel:" in str(card["components"])
            if says_open == (row["state"] not in OPEN) or is_ready != (row["state"] == "delivered"):
                wrong.append(row["id"])
        return wrong

    def unanswered(self) -> int:
        """Who reads "is thinking" for good."""
        waiting = (asked for asked in self.discord.world.asked.values() if asked.reply is None)
        return sum(asked.callback is not None and asked.callback["type"] == DEFERRED for asked in waiting)

    def empty(self) -> int:
        """Messages that promise a video which never came."""
        return sum(
            not message["attachments"] and "Your video is ready" in message["content"]
            for message in self.discord.world.replies()
        )


async def book(scene: Scene) -> None:
    """Members ask; what they ask while the bot is not there is lost, as in Discord."""
    for number in range(scene.jobs):
        await eventually(lambda: not scene.discord.gateway.sessions[-1].socket.closed)
        with suppress(ConnectionError):
            await scene.discord.people.run(
                "animate",
                scene.chance.choice(MEMBERS),
                channel=scene.chance.choice(CHANNELS),
                image=picture(),
                prompt=f"clip {number}",
            )
        await scene.a_moment(0, 2 * BOOKING / scene.jobs)


HEAD = (
    "scenario", "asked", "booked", "delivered", "failed", "submits/job", "posts/job", "charged, no video",
    "posted, free", "paid, no video", "untrue cards", "empty posts", "thinking", "open", "stood still",
    "seconds",
)  # fmt: skip


def judge(name: str, expected: frozenset[str], scene: Scene, seconds: float) -> tuple[list[str], list[str]]:
    """A row for what came of it, and what breaks a promise; `expected` is what is excused."""
    rows, posts = scene.rows(), scene.posts()
    of = {row["id"]: _prompt(row) for row in rows}
    failed = Counter(str(row["failure"]) for row in rows if row["state"] == "failed")
    delivered = sum(row["state"] == "delivered" for row in rows)
    lost = [row for row in rows if row["state"] == "failed" and scene.vendor.accepted[of[row["id"]]]]
    counts = {
        "submits/job": max(scene.vendor.accepted.values(), default=0),
        "posts/job": max(posts.values(), default=0),
        "charged, no video": sum(row["charged"] > 0 and not posts[of[row["id"]]] for row in rows),
        "posted, free": sum(row["charged"] == 0 and posts[of[row["id"]]] > 0 for row in rows),
        "paid, no video": len(lost),
        "untrue cards": len(scene.untrue()),
        "empty posts": scene.empty(),
        "thinking": scene.unanswered(),
        "open": sum(row["state"] in OPEN for row in rows),
    }
    broken = [name for name, count in counts.items() if count > (name in {"submits/job", "posts/job"})]
    broken = [name for name in broken if name not in expected]
    if failed.keys() <= expected and len(lost) <= failed["outcome-unknown"]:
        broken = [name for name in broken if name != "paid, no video"]
    broken += sorted(failed.keys() - expected)
    reasons = ", ".join(f"{count} {reason}" for reason, count in failed.items()) or "0"
    values = (name, scene.jobs, len(rows), delivered, reasons, *counts.values())
    return [*map(str, values), f"{scene.longest:.1f}", f"{seconds:.0f}"], broken


def _prompt(row: dict[str, Any]) -> str:
    return str(json.loads(row["request"])["prompt"])
