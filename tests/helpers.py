"""What tests of several packages share."""

import asyncio
import inspect
import io
import wave
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(check: Callable[[], T | Awaitable[T]], timeout: float = 10) -> T:  # noqa: ASYNC109 - the limit of a wait is what a test states
    """Ask until the answer is truthy and return it: the one place where tests wait for another process."""
    async with asyncio.timeout(timeout):
        while True:
            answer = check()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return answer
            await asyncio.sleep(0.01)


def wav(seconds: float) -> bytes:
    """So much of a quiet hum, as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(8000)
        written.writeframes(b"\x10\x02" * round(8000 * seconds))
    return file.getvalue()
