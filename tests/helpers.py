"""What tests of several packages share."""

import asyncio
import inspect
import io
import re
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from bot.settings import RENAMED, Settings
from providers import child_wire, discover
from providers._child_worker import answer
from providers.child import Children
from providers.child_wire import Call, Fact
from tests.clock import led, moment

T = TypeVar("T")

OWN_SETTINGS = frozenset(Settings.model_fields) - {"providers", *RENAMED}
PROVIDER_SETTINGS = frozenset(
    f"{name}_{field}" for name, provider in discover().items() for field in provider.Config.model_fields
)

on_both = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
"""A test that runs on both kinds of database, for it is about what they hold."""


CHART = b"a PNG"


class AtHome(Children):
    """Does a child's task in a thread: this is not where children are tried, and each one costs its start.

    A chart is not drawn: matplotlib costs more than all the rest.
    """

    async def run(
        self,
        task: str,
        data: bytes | None = None,
        *,
        seconds: float,
        memory: int,
        cpu_seconds: float | None = None,
        reads: Path | None = None,
        writes: Path | None = None,
        **options: Fact,
    ) -> child_wire.Answer:
        if "chart" in task:
            return child_wire.Answer({}, (CHART,))
        return child_wire.unpack_answer(await asyncio.to_thread(answer, Call(task, memory, 0, options, data)))


async def eventually(check: Callable[[], T | Awaitable[T]], timeout: float = 100) -> T:  # noqa: ASYNC109 - for what never comes
    """Ask until the answer is truthy and return it: the one place where tests wait.

    It is asked at every moment at which all that runs here waits, before a `FastClock` leaps to the next.
    """
    async with asyncio.timeout(timeout):
        with led():
            while True:
                answer = check()
                if inspect.isawaitable(answer):
                    answer = await answer
                if answer:
                    return answer
                await moment()


def as_read(shown: str) -> str:
    """What Discord's markdown makes of escapes."""
    return re.sub(r"\\([^0-9A-Za-z\s])", r"\1", shown).replace("\u200b", "")


def wav(seconds: float) -> bytes:
    """So much of a quiet hum, as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(8000)
        written.writeframes(b"\x10\x02" * round(8000 * seconds))
    return file.getvalue()
