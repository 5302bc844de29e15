"""The real bot in a process of its own, which takes a loopback server for Discord.

    bot = BotProcess(discord, tmp_path, EIGENAI_BASE_URL=vendor.url)
    await bot.start()
    await bot.kill()

What it says goes to a file in its folder, its data to `data` there.
"""

import asyncio
import multiprocessing as mp
import os
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discord.gateway import DiscordWebSocket
from discord.http import Route
from yarl import URL

from bot import app, client
from bot.__main__ import main as command_line
from bot.delivery import rate_limit
from bot.engine import engine, retry, runner, uptime
from bot.jobs import Job, JobState, TimeLimits, deadline
from bot.store import db, sqlite
from providers import discover
from tests.discord_server.server import DiscordServer
from tests.discord_server.world import TOKEN
from tests.helpers import AtHome, eventually

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

PATIENCE: dict[Any, tuple[str, ...]] = {
    uptime: ("LATE", "GRACE"),
    engine: ("AWAY", "GRACE"),
    retry: ("GRACE", "SHORT_WAIT", "LONG_WAIT", "BELIEVED_AFTER", "AFTER_DRIVE", "LONGEST_AFTER_DRIVE"),
    runner: ("ROUND", "RECONCILE"),
}
"""What `SHORTER` divides, beside the time limits of jobs."""
FORKS = mp.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])
"""Bots come from a process that has imported everything: that is most of what a start takes."""


class BotProcess:
    """`stillmotion run` with this Discord, a folder to work in, and settings as environment variables."""

    def __init__(self, discord: DiscordServer, folder: Path, **settings: str) -> None:
        self._discord = discord
        self._folder = folder
        self.settings = settings
        self._process: BaseProcess | None = None
        self._launched = self._took = 0.0

    @property
    def output(self) -> str:
        """Everything that its processes have said so far."""
        return (self._folder / "output.txt").read_text()

    @property
    def pid(self) -> int:
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it, and wait until Discord hears from it."""
        before = len(self._discord.gateway.sessions)
        await self.launch()
        await eventually(lambda: len(self._discord.gateway.sessions) > before or self._over())
        self._took = time.perf_counter() - self._launched
        assert not self._over(), self.output

    def soon(self, seconds: float) -> asyncio.Timeout:
        """So long at most, and longer on a machine that was slow to start the bot."""
        return asyncio.timeout(seconds + 10 * (self._took or time.perf_counter() - self._launched))

    async def launch(self) -> None:
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "DISCORD_SERVER": self._discord.api,
            "DISCORD_GATEWAY": self._discord.gateway.url,
            "DISCORD_TOKEN": TOKEN,
            **self.settings,
        }
        (self._folder / "output.txt").touch()
        self._process = FORKS.Process(target=_main, args=(self._folder, environment), daemon=True)
        self._launched, self._took = time.perf_counter(), 0.0
        self._process.start()

    def update(self, name: str, sql: str) -> None:
        """From its next start on it is a newer version, which has one more migration."""
        folder = self._folder / "later"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(sql)
        self.settings["EXTRA_MIGRATIONS"] = str(folder)

    async def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None and not self._over():
            self._process.kill()
            await self.ended()

    async def terminate(self) -> int:
        """End it as an operating system does that shuts down; its exit code."""
        assert self._process is not None
        self._process.terminate()
        return await self.ended()

    async def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        assert self._process is not None
        await eventually(self._over)
        assert self._process.exitcode is not None
        return self._process.exitcode

    def row(self, job_id: int) -> dict[str, Any]:
        """The job as the database has it now; empty while there is none."""
        return next((row for row in self.rows() if row["id"] == job_id), {})

    def rows(self) -> list[dict[str, Any]]:
        """All jobs, as they are at one moment."""
        database = self._folder / "data" / "stillmotion.db"
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute("SELECT * FROM job ORDER BY id")]

    def notes(self) -> list[str]:
        """The names of what it has written down."""
        database = self._folder / "data" / "stillmotion.db"
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return [name for (name,) in connection.execute("SELECT name FROM note")]

    def write(self, sql: str) -> None:
        """Change its database while it is not there."""
        database = self._folder / "data" / "stillmotion.db"
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute(sql)

    def _over(self) -> bool:
        return self._process is not None and self._process.exitcode is not None


def _main(folder: Path, environment: Mapping[str, str]) -> None:
    """What the process runs: the bot's own command line, pointed at loopback."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with (folder / "output.txt").open("ab") as output:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(output.fileno(), stream.fileno())
    Route.BASE = environment["DISCORD_SERVER"]
    DiscordWebSocket.DEFAULT_GATEWAY = URL(environment["DISCORD_GATEWAY"])
    if extra := environment.get("EXTRA_MIGRATIONS"):
        migrations = [*db._migrations(), *sorted(Path(extra).glob("*.sql"))]
        db._migrations = lambda: migrations
    # Politeness towards vendors and Discord would be most of the time that these tests take.
    for provider in discover().values():
        provider.terms = replace(provider.terms, poll_interval=min(provider.terms.poll_interval, 0.1))
    if shorter := environment.get("SHORTER"):
        _shorten(float(shorter))
    client.STOP_WITHIN = float(environment.get("STOP_WITHIN", client.STOP_WITHIN))
    sqlite.BUSY_LIMIT = float(environment.get("BUSY_LIMIT", sqlite.BUSY_LIMIT))
    if "WITHOUT_CHILDREN" in environment:
        app.Children = AtHome
    rate_limit.WINDOW = float(environment.get("DISCORD_WINDOW", "0.1"))
    command_line(["run"])


def _shorten(factor: float) -> None:
    """Have so much less patience with everybody: tests of faults cannot take hours."""
    for module, names in PATIENCE.items():
        for name in names:
            setattr(module, name, getattr(module, name) / factor)
    for provider in discover().values():
        provider.terms = replace(provider.terms, poll_interval=provider.terms.poll_interval / factor)

    def sooner(job: Job, limits: TimeLimits) -> datetime:
        began = job.created_at if job.state is JobState.QUEUED else job.state_at
        return began + (deadline(job, limits) - began) / factor

    engine.deadline = sooner
