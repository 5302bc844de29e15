"""Child processes for whatever decodes foreign bytes: a crash or an endless loop ends one job only."""

import asyncio
import math
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from errno import EAGAIN
from pathlib import Path

from providers.child_wire import Answer, Call, Fact, pack_call, unpack_answer

_ROOT = Path(__file__).resolve().parents[1]
_PASSED_ON = ("PATH", "PYTHONHOME", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
"""All that a child sees of the environment: what an interpreter may need to start, and no keys."""
_LAST_WORDS = 800
"""How much of a failed child's error output goes to the log, in characters."""
_LONGEST_ANSWER = 64 * 1024 * 1024
"""Bytes; far more than any task has to say, and a child that was taken over would fill the memory."""
_CHUNK = 256 * 1024


class ChildFailed(Exception):
    """The child crashed, ran out of time or memory, or could not start: then its cause is an OSError.

    The message is for the log.
    """


class ChildrenClosed(ChildFailed):
    """The program is stopping; this says nothing about the input."""


class Children:
    """Runs tasks in child processes, a few at a time. The application makes one and closes it."""

    def __init__(self, at_once: int | None = None) -> None:
        self._slots = asyncio.Semaphore(at_once or max(1, os.cpu_count() or 1))
        self._running: set[Process] = set()
        self._closed = False

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
    ) -> Answer:
        """Call `task` ("module:function") in a child; raises what it refuses (FileRejected), or ChildFailed.

        `data` is its first argument, `options` are the named ones. `memory` is in bytes; `seconds` counts
        from the child's start, not from the wait for a free slot. `reads` and `writes` are the only file or
        folder, and the only folder, that it can open.
        """
        paths = (str(path.absolute()) if path else None for path in (reads, writes))
        limit = math.ceil(cpu_seconds or seconds + 1)
        message = pack_call(Call(task, memory, limit, options, data, *paths))
        async with self._slots:
            self._check_open(task)
            process = await _start(task)
            self._running.add(process)
            try:
                self._check_open(task)
                async with asyncio.timeout(seconds):
                    reply, errors = await _talk(process, message)
            except TimeoutError:
                raise ChildFailed(f"{task} took longer than {seconds:g} s") from None
            finally:
                try:
                    await _end(process)
                finally:
                    self._running.discard(process)
        return self._read(task, process, reply, errors)

    async def close(self) -> None:
        """End every child; whoever waits for one gets ChildrenClosed."""
        self._closed = True
        await asyncio.gather(*(_end(process) for process in self._running))

    def _check_open(self, task: str) -> None:
        if self._closed:
            raise ChildrenClosed(f"{task} was stopped")

    def _read(self, task: str, process: Process, reply: bytes, errors: bytes) -> Answer:
        if process.returncode == 0:
            try:
                return unpack_answer(reply)
            except ValueError as error:
                raise ChildFailed(f"{task}: {error}") from error
        self._check_open(task)
        last_words = errors.decode(errors="replace").strip()[-_LAST_WORDS:]
        raise ChildFailed(f"{task} ended with {_reason(process.returncode)}: {last_words}")


async def _start(task: str) -> Process:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # Each thread's own arena would count against the limit on address space.
    environment |= {"PYTHONPATH": str(_ROOT), "MALLOC_ARENA_MAX": "2"}
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            # A file can cause a million of them.
            "-Wignore",
            "-P",
            "-m",
            "providers._child_worker",
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=environment,
            # Ctrl-C in a terminal reaches a whole group, and is for the parent: it lets its children finish.
            # Where the machine is busy, Linux gives each session its share, nice or not: a nice child of the
            # parent's session would starve there, and miss its time.
            start_new_session=True,
        )
    except OSError as error:
        raise ChildFailed(f"{task} could not start: {error}") from error
    except RuntimeError as error:  # the thread that waits for its end cannot start
        raise ChildFailed(f"{task} could not start: {error}") from OSError(EAGAIN, str(error))


async def _talk(process: Process, message: bytes) -> tuple[bytes, bytes]:
    """Say this to the child; its answer, and its last words. One that answers without end is killed."""
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    if stdin is None or stdout is None or stderr is None:
        raise ValueError("a child without its pipes")
    answer, words = bytearray(), bytearray()

    async def say() -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it ended early, and says why
            stdin.write(message)
            await stdin.drain()  # and not closed: the child lives as long as it is open

    async def hear() -> None:
        while chunk := await stdout.read(_CHUNK):
            answer.extend(chunk)
            if len(answer) > _LONGEST_ANSWER:
                process.kill()
                return

    async def overhear() -> None:
        while chunk := await stderr.read(_CHUNK):
            words.extend(chunk)
            del words[: -4 * _LAST_WORDS]

    async with asyncio.TaskGroup() as talk:
        for part in (say, hear, overhear):
            talk.create_task(part())
    await process.wait()
    return bytes(answer), bytes(words)


async def _end(process: Process) -> None:
    """Return once the child is gone, killed if need be."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    await process.wait()


def _reason(returncode: int | None) -> str:
    try:
        return signal.Signals(-(returncode or 0)).name
    except ValueError:
        return f"exit code {returncode}"
