"""The child process: gives up its rights, does a task from standard input, answers on standard output, ends.

It imports only what its task needs, so that a picture does not wait for the video libraries. Standard input
stays open: when it ends, the parent is gone.
"""

import faulthandler
import importlib
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from providers.child_wire import Answer, Call, FileRejected, pack_answer, pack_refusal, read_call
from providers.sandbox import confine, hide

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    import resource
except ImportError:  # pragma: no cover - Windows has no such limits; the time limit still holds there
    resource = None


ORPHANED = 3
"""The exit code of a child whose parent went away."""


def main() -> None:  # pragma: no cover - only ever runs in the child
    """Do the one job; anything unexpected leaves as a traceback and a non-zero exit code."""
    # A service manager signals every process of a service; the parent decides what becomes of this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    faulthandler.enable(all_threads=False)
    hide()
    # Decoding libraries may print. Only the answer may reach the pipe that the parent reads.
    reply = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    job = read_call(sys.stdin.buffer)
    restrict(memory=job.memory, cpu_seconds=job.cpu_seconds)
    load(job)
    confine(reads=_paths(job.reads), writes=_paths(job.writes))
    threading.Thread(target=leave_with_parent, args=(sys.stdin.fileno(),), daemon=True).start()
    with reply:
        reply.write(answer(job))


def leave_with_parent(pipe: int, leave: "Callable[[int], object]" = os._exit) -> None:
    """End the process when the other end of this pipe closes, however the parent came to die."""
    while os.read(pipe, 1024):
        pass
    leave(ORPHANED)


def _paths(name: str | None) -> list[Path]:
    return [Path(name)] if name else []


def restrict(*, memory: int, cpu_seconds: int) -> None:
    """Give up what a decoder gone wrong could take from the machine.

    The parent ends a child that is late; CPU time is limited apart from that, as the machine may be busy.
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
    # The parent itself must stay quick while pictures are worked on.
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
