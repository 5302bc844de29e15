import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Iterator
from errno import EAGAIN
from io import BytesIO
from pathlib import Path

import pytest

from providers import _child_worker, child
from providers.child import ChildFailed, Children, ChildrenClosed
from providers.child_wire import (
    Answer,
    Call,
    FileRejected,
    pack_answer,
    pack_call,
    pack_refusal,
    read_call,
    unpack_answer,
)
from tests.helpers import eventually

MEMORY = 400_000_000
AS_ANSWER = "__import__('providers.child_wire', fromlist=['Answer']).Answer(*{})"
REFUSES = b"exec('from providers.child_wire import FileRejected; raise FileRejected(\"not a picture\")')"
CALL_HOME = """exec(
    "import pathlib; home = pathlib.Path({home!r})\\n"
    "(home / str({number})).touch(); (home / 'go').read_bytes()"
) or ({{}}, (b"back",))"""


async def python(
    children: Children,
    expression: str,
    *,
    seconds: float = 30,
    memory: int = MEMORY,
    writes: Path | None = None,
) -> Answer:
    """Evaluate an expression in a child: the shortest way to make one misbehave."""
    code = AS_ANSWER.format(f"({expression})").encode()
    return await children.run("builtins:eval", code, seconds=seconds, memory=memory, writes=writes)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """Every process that was started."""
    seen: list[Process] = []
    start = child._start

    async def watched(task: str) -> Process:
        seen.append(await start(task))
        return seen[-1]

    monkeypatch.setattr(child, "_start", watched)
    return seen


class Home:
    """A folder in which children leave a file each, and wait until they may go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0
        os.mkfifo(folder / "go")
        # Whoever reads it waits until nobody holds it open for writing.
        self._held = os.open(folder / "go", os.O_RDWR)

    async def call(self, children: Children) -> Answer:
        self._number += 1
        expression = CALL_HOME.format(home=str(self.folder), number=self._number)
        return await python(children, expression, writes=self.folder)

    async def has_called(self) -> None:
        await eventually((self.folder / "1").exists)

    def let_go(self) -> None:
        if self._held >= 0:
            os.close(self._held)
            self._held = -1


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    home.let_go()


def assert_gone(process: Process) -> None:
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


async def test_the_loop_runs_on_while_a_child_works(children: Children, home: Home) -> None:
    work = asyncio.ensure_future(home.call(children))
    await home.has_called()
    assert not work.done()
    home.let_go()
    assert await work == ({}, (b"back",))


async def test_a_child_is_limited_and_sees_no_secrets(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    monkeypatch.chdir("/")
    answer = await python(
        children,
        """({
            "token": "DISCORD_TOKEN" in __import__("os").environ,
            "nice": __import__("os").nice(0),
            "memory": __import__("resource").getrlimit(__import__("resource").RLIMIT_AS)[0],
            "cpu": __import__("resource").getrlimit(__import__("resource").RLIMIT_CPU)[0],
            "core": __import__("resource").getrlimit(__import__("resource").RLIMIT_CORE)[0],
            "noise": print("not part of the answer"),
        }, ())""",
    )
    assert answer.facts["token"] is False
    assert answer.facts["nice"] == min(os.nice(0) + 5, 19)
    assert (answer.facts["memory"], answer.facts["cpu"], answer.facts["core"]) == (MEMORY, 31, 0)


async def test_a_late_child_is_killed(children: Children, started: list[Process]) -> None:
    with pytest.raises(ChildFailed, match=r"longer than 0\.2 s"):
        await python(children, "exec('while True: pass')", seconds=0.2)
    assert_gone(started[0])


async def test_cancellation_kills_the_child(children: Children, started: list[Process], home: Home) -> None:
    work = asyncio.ensure_future(home.call(children))
    await home.has_called()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert_gone(started[0])
    assert not children._running


async def test_cancelled_again_and_again_the_child_is_killed_and_forgotten(
    children: Children, started: list[Process], home: Home
) -> None:
    work = asyncio.ensure_future(home.call(children))
    await home.has_called()
    while not work.done():
        work.cancel()
        await asyncio.sleep(0)  # one step of the loop, no time: the cancellation arrives
    with pytest.raises(asyncio.CancelledError):
        await work
    await started[0].wait()
    assert_gone(started[0])
    assert not children._running


async def test_a_child_ends_with_its_parent_and_not_before(home: Home) -> None:
    """A service manager signals all processes; how the parent dies, nobody can tell the child."""
    process = await child._start("waits")
    assert process.stdin is not None
    wait = CALL_HOME.format(home=str(home.folder), number=1).format(0)
    call = Call("builtins:eval", MEMORY, 30, {}, wait.encode(), writes=str(home.folder))
    process.stdin.write(pack_call(call))
    await home.has_called()
    process.terminate()
    process.send_signal(signal.SIGINT)
    process.stdin.close()
    await process.communicate()
    assert process.returncode == _child_worker.ORPHANED


async def test_too_much_memory_fails(children: Children) -> None:
    with pytest.raises(ChildFailed, match="MemoryError"):
        await python(children, "bytearray(2 * 10**9)")


async def test_a_crash_fails_and_names_its_signal(children: Children) -> None:
    with pytest.raises(ChildFailed, match="SIGABRT: Fatal Python error"):
        await python(children, "__import__('os').abort()")


async def test_a_child_that_answers_nonsense_fails(children: Children) -> None:
    with pytest.raises(ChildFailed, match="not an answer"):
        await python(children, "__import__('os')._exit(0)")


async def test_a_refusal_in_the_child_is_raised_here(children: Children) -> None:
    with pytest.raises(FileRejected, match="not a picture"):
        await children.run("builtins:eval", REFUSES, seconds=30, memory=MEMORY)


async def test_without_an_interpreter_it_fails(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child.sys, "executable", "/nowhere/python")
    with pytest.raises(ChildFailed, match="could not start"):
        await python(children, "1")


async def test_without_a_thread_to_wait_in_it_fails_like_any_other_scarcity(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_thread(*_: object, **__: object) -> Process:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", no_thread)
    with pytest.raises(ChildFailed, match="could not start") as caught:
        await python(children, "1")
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == EAGAIN


async def test_close_ends_children_and_refuses_those_that_wait(started: list[Process], home: Home) -> None:
    children = Children(at_once=1)
    works = [asyncio.ensure_future(home.call(children)) for _ in range(2)]
    await home.has_called()
    assert len(started) == 1, "the second waits for the first"
    await children.close()
    results = await asyncio.gather(*works, return_exceptions=True)
    assert [type(result) for result in results] == [ChildrenClosed, ChildrenClosed]
    assert len(started) == 1
    assert_gone(started[0])


async def test_a_child_started_while_closing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    children = Children()
    start = child._start

    async def closing(task: str) -> Process:
        process = await start(task)
        await children.close()
        return process

    monkeypatch.setattr(child, "_start", closing)
    with pytest.raises(ChildrenClosed):
        await python(children, "1")
    assert not children._running


def test_reasons_that_are_no_signal() -> None:
    assert child._reason(3) == "exit code 3"
    assert child._reason(-signal.SIGSEGV) == "SIGSEGV"


@pytest.mark.parametrize("data", [None, b"", b"\x00\xffdata"])
def test_a_job_survives_the_pipe(data: bytes | None) -> None:
    job = Call("module:name", 10, 3, {"path": "ä.mp4"}, data)
    assert read_call(BytesIO(pack_call(job))) == job


def test_answers_and_refusals_survive_the_pipe() -> None:
    answer = Answer({"width": 3, "seconds": 0.5, "codec": None}, (b"one", b"", b"three"))
    assert unpack_answer(pack_answer(answer)) == answer
    with pytest.raises(FileRejected, match="too small"):
        unpack_answer(pack_refusal(FileRejected("too small")))


@pytest.mark.parametrize(
    "message", [b"", b"\x00\x00", b"\x00\x00\x00\x02{}", b"\x00\x00\x00\x01x", b"\x00\x00\x00\x01[]"]
)
def test_what_is_no_answer_is_said_to_be_none(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"not an answer|Expecting"):
        unpack_answer(message)


def test_the_worker_calls_the_task_with_data_or_without() -> None:
    with_data = Call("builtins:eval", 1, 1, {}, AS_ANSWER.format("({'a': 1}, (b'x',))").encode())
    assert unpack_answer(_child_worker.answer(with_data)) == ({"a": 1}, (b"x",))
    without = Call("providers.child_wire:Answer", 1, 1, {"facts": {"b": 2}}, None)
    assert unpack_answer(_child_worker.answer(without)) == ({"b": 2}, ())


def test_the_worker_answers_with_a_refusal() -> None:
    job = Call("builtins:eval", 1, 1, {}, REFUSES)
    with pytest.raises(FileRejected, match="not a picture"):
        unpack_answer(_child_worker.answer(job))


def test_the_worker_keeps_within_a_lower_limit_that_it_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[int, tuple[int, int]] = {}
    resource = _child_worker.resource

    def setrlimit(kind: int, limits: tuple[int, int]) -> None:
        asked[kind] = limits
        raise ValueError("this system refuses")

    monkeypatch.setattr(
        resource, "getrlimit", lambda kind: (5, 5) if kind == resource.RLIMIT_CPU else (-1, -1)
    )
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    monkeypatch.setattr(_child_worker.os, "nice", lambda step: step)
    _child_worker.restrict(memory=1000, cpu_seconds=30)
    assert asked[resource.RLIMIT_CPU] == (5, 5)
    assert asked[resource.RLIMIT_AS] == (1000, 1000)
