"""The child process: limits itself, does one task from standard input, answers on standard output, ends.

It imports only what its task needs, so that a picture does not wait for the video libraries.
"""

import faulthandler
import importlib
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from bot.media._wire import Answer, Call, Refused, pack_answer, pack_refusal, unpack_call

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    import resource
except ImportError:  # pragma: no cover - Windows has no such limits; the time limit still holds there
    resource = None


def main() -> None:  # pragma: no cover - only ever runs in the child
    """Do the one job; anything unexpected leaves as a traceback and a non-zero exit code."""
    faulthandler.enable()
    # Decoding libraries may print. Only the answer may reach the pipe that the bot reads.
    reply = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    job = unpack_call(sys.stdin.buffer.read())
    restrict(memory=job.memory, cpu_seconds=job.cpu_seconds)
    with reply:
        reply.write(answer(job))


def restrict(*, memory: int, cpu_seconds: int) -> None:
    """Give up what a decoder gone wrong could take from the machine.

    The bot ends a child that is late; the limit on CPU time is for a child that outlives the bot.
    """
    if resource is None:  # pragma: no cover
        return
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: cpu_seconds,
        # A core file would hold somebody's picture.
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in limits.items():
        _, hard = resource.getrlimit(kind)
        ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # Some systems know a limit and refuse to set it.
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (ceiling, ceiling))
    # The bot itself must stay quick while pictures are worked on.
    os.nice(5)


def answer(job: Call) -> bytes:
    """Call the job's task; its refusal is an answer too."""
    module, _, name = job.task.partition(":")
    task = cast("Callable[..., Answer]", getattr(importlib.import_module(module), name))
    try:
        result = task(**job.options) if job.data is None else task(job.data, **job.options)
    except Refused as refusal:
        return pack_refusal(refusal)
    return pack_answer(result)


if __name__ == "__main__":  # pragma: no cover
    main()
