"""Background tasks with an owner that awaits them and hears of their failures."""

import asyncio
import contextvars
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)


class Tasks:
    """A group of tasks that end together.

    They start in an empty context, unless they are given one: nothing of the interaction that led to them
    travels along, and what they do lives on when its handler is gone.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def is_empty(self) -> bool:
        return not self._running

    def spawn(
        self, work: Coroutine[Any, Any, T], name: str, *, context: contextvars.Context | None = None
    ) -> asyncio.Task[T]:
        """Start a task that nobody waits for; its failure is logged."""
        task = self._start(work, name, context)
        task.add_done_callback(_report)
        return task

    async def detached(self, work: Coroutine[Any, Any, T], name: str) -> T:
        """Run to the end in an empty context, even if whoever waits for it is cancelled."""
        task = self._start(work, name)
        # If whoever waited has been cancelled, nobody else asks how it went.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)

    async def wait(self, patience: float) -> None:
        """Give the tasks so many seconds to end by themselves."""
        if self._running and patience > 0:
            await asyncio.wait(self._running, timeout=patience)

    async def close(self, patience: float = 0.0) -> None:
        """Give the tasks so many seconds to end by themselves, cancel the rest, and await every one."""
        await self.wait(patience)
        # Those that are done are forgotten a moment later, to which waiting for them would never lead.
        while tasks := [task for task in self._running if not task.done()]:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _start(
        self, work: Coroutine[Any, Any, T], name: str, context: contextvars.Context | None = None
    ) -> asyncio.Task[T]:
        loop = asyncio.get_running_loop()
        task = (context or contextvars.Context()).run(loop.create_task, work)
        task.set_name(name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


def _report(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s failed", task.get_name(), exc_info=error)
