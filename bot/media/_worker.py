"""The child process: gives up its rights, does a task from standard input, answers on standard output, ends.

It imports only what its task needs, so that a picture does not wait for the video libraries.
"""

import faulthandler
import importlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bot.media._wire import Answer, Call, FileRejected, pack_answer, pack_refusal, unpack_call
from providers.sandbox import confine, hide

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    import resource
except ImportError:  # pragma: no cover - Windows has no such limits; the time limit still holds there
    resource = None


def main() -> None:  # pragma: no cover - only ever runs in the child
    """Do the one job; anything unexpected leaves as a traceback and a non-zero exit code."""
    faulthandler.enable()
    hide()
    # Decoding libraries may print. Only the answer may reach the pipe that the bot reads.
    reply = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    job = unpack_call(sys.stdin.buffer.read())
    restrict(memory=job.memory, cpu_seconds=job.cpu_seconds)
    load(job)
    confine(reads=_paths(job.reads), writes=_paths(job.writes))
    with reply:
        reply.write(answer(job))


def _paths(name: str | None) -> list[Path]:
    return [Path(name)] if name else []


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


def load(job: Call) -> "Callable[..., Answer]":
    """The job's task, with all that its module needs from the disk."""
    module, _, name = job.task.partition(":")
    return cast("Callable[..., Answer]", getattr(importlib.import_module(module), name))


def answer(job: Call) -> bytes:
    """Call the job's task; its refusal is an answer too."""
    task = load(job)
    try:
        result = task(**job.options) if job.data is None else task(job.data, **job.options)
    except FileRejected as refusal:
        return pack_refusal(refusal)
    return pack_answer(result)


if __name__ == "__main__":  # pragma: no cover
    main()
