"""This machine: no key, no vendor. A child process moves a camera over the picture and encodes what it sees.

Each operation is a folder. What is asked for lies in it before anything starts, so that a render lost with
the program is simply started again: it is free, and the same recipe always gives the same video.
"""

import asyncio
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from errno import EAGAIN, EMFILE, ENFILE, ENOMEM, ENOSPC
from pathlib import Path
from random import SystemRandom
from typing import Literal, TypeAlias, cast, get_args
from uuid import UUID, uuid4

from pydantic import Field

from providers._local_recipe import PICTURE, PROGRESS, RECIPE, VIDEO, Recipe
from providers.base import (
    Failed,
    Operation,
    Pending,
    Provider,
    ProviderConfig,
    Resources,
    Sink,
    Succeeded,
    Terms,
)
from providers.child import ChildFailed, Children
from providers.child_wire import read_progress
from providers.errors import InvalidRequest, NotFound, ProviderError, Unreachable, Unusable
from providers.options import Choice, Span
from providers.specs import Mode, ModelSpec, VideoRequest

Resolution: TypeAlias = Literal["288p", "480p", "720p"]
AspectRatio: TypeAlias = Literal["16:9", "9:16", "1:1", "4:3", "3:4"]

TIME_LIMIT = 600.0
"""Seconds for one render: slow machines need minutes, and a stuck one must not hold its place for ever."""
CHUNK = 256 * 1024
MEMORY = 2 * 1024**3
CPU_SECONDS = 900
_SEEDS = Span(low=0, high=2**31 - 1)
_SCARCE = {EMFILE, ENFILE, ENOMEM, EAGAIN, ENOSPC}
"""Errors of a machine that is too busy just now."""
KEEP_SECONDS = 7 * 86_400


class LocalConfig(ProviderConfig):
    on: bool = True
    resolutions: tuple[Resolution, ...] = Field(default=("480p", "720p", "288p"), min_length=1)
    """What to offer; the first is what people get who choose none."""
    max_jobs: int | None = Field(default=2, ge=1)

    @property
    def enabled(self) -> bool:
        return self.on


class Local(Provider[LocalConfig]):
    name = "local"
    label = "This machine"
    Config = LocalConfig
    terms = Terms(
        poll_interval=0.5, keeps_for=KEEP_SECONDS, stops_on_cancel=True, is_free=True, last_resort=True
    )

    def __init__(self, config: LocalConfig, resources: Resources) -> None:
        super().__init__(config, resources)
        self._children = Children(config.max_jobs)
        self._renders: dict[str, _Render] = {}
        self._closed = False
        self._spec = ModelSpec(
            id="pan-and-zoom",
            name="Pan and zoom",
            mode=Mode.IMAGE_TO_VIDEO,
            duration=Choice[int](values=tuple(range(2, 9)), default=3),
            resolution=Choice[str](values=config.resolutions, default=config.resolutions[0]),
            aspect_ratio=Choice[str](values=get_args(AspectRatio)),
            seed=_SEEDS,
            typical_seconds=3,
        )

    async def models(self) -> Sequence[ModelSpec]:
        return [self._spec]

    async def submit(self, request: VideoRequest) -> Operation:
        if request.image is None:
            raise InvalidRequest("there is no picture to animate")
        folder = self.resources.folder / str(uuid4())
        recipe = self._recipe(request)
        saving = asyncio.ensure_future(asyncio.to_thread(_save, folder, recipe, request.image.data))
        try:
            await asyncio.shield(saving)
            self._start(folder)
        except BaseException as error:
            # A thread cannot be interrupted, and no one will ever ask for this folder.
            await asyncio.wait([saving])
            with suppress(RuntimeError):  # where no thread can be started; it is removed as an old one later
                await asyncio.to_thread(_remove, folder)
            # Nothing was bought, whatever went wrong.
            if isinstance(error, ValueError | TypeError):
                raise InvalidRequest(f"it cannot be written down: {type(error).__name__}") from error
            if isinstance(error, Exception) and not isinstance(error, ProviderError):
                raise Unreachable(f"the picture cannot be stored: {error}") from error
            raise
        return {"id": folder.name}

    async def poll(self, operation: Operation) -> Pending | Succeeded | Failed:
        folder = self._folder(operation)
        render = self._renders.get(folder.name)
        if render is not None:
            try:
                return render.verdict()
            except _Scarce:
                self._renders.pop(folder.name, None)  # the next look starts it again
                raise
        if _holds(folder, VIDEO):
            return Succeeded()
        if not _holds(folder, RECIPE):
            raise NotFound(f"no render {folder.name}")
        return self._start(folder).verdict()

    async def download(
        self,
        operation: Operation,
        video: Succeeded,  # noqa: ARG002 - there is no link
        sink: Sink,
    ) -> None:
        path = self._folder(operation) / VIDEO
        try:
            file = await asyncio.to_thread(path.open, "rb")
        except FileNotFoundError as error:
            raise NotFound(f"no video of render {path.parent.name}") from error
        size = 0
        with file:
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                size += len(chunk)
                if size > self.resources.max_video_bytes:
                    raise Unusable(f"the file is larger than {self.resources.max_video_bytes} bytes")
                await sink.write(chunk)

    async def cancel(self, operation: Operation) -> None:
        await self._forget(operation)

    async def cleanup(self, operation: Operation) -> None:
        await self._forget(operation)

    async def close(self) -> None:
        self._closed = True
        await asyncio.gather(*(render.stop() for render in self._renders.values()))

    def _recipe(self, request: VideoRequest) -> Recipe:
        asked = self._spec.complete(request)
        ratio = asked.aspect_ratio and [int(side) for side in asked.aspect_ratio.split(":")]
        return Recipe(
            prompt=asked.prompt,
            seconds=cast("int", asked.duration),
            short_side=int(cast("str", asked.resolution).removesuffix("p")),
            ratio=ratio[0] / ratio[1] if ratio else None,
            seed=SystemRandom().randint(_SEEDS.low, _SEEDS.high) if asked.seed is None else asked.seed,
        )

    def _folder(self, operation: Operation) -> Path:
        try:
            return self.resources.folder / str(UUID(str(operation.get("id"))))
        except ValueError as error:
            raise NotFound(f"no render {operation}") from error

    def _start(self, folder: Path) -> "_Render":
        if self._closed:
            raise Unreachable("the renderer is shutting down")
        render = self._renders[folder.name] = _Render(self._children, folder)
        return render

    async def _forget(self, operation: Operation) -> None:
        try:
            folder = self._folder(operation)
        except NotFound:
            return
        render = self._renders.get(folder.name)
        if render is not None:
            await render.stop()
        await asyncio.to_thread(_remove, folder)
        # Last, because a poll that finds a folder without its render starts it again.
        self._renders.pop(folder.name, None)


class _Scarce(Unreachable):
    """This machine has too little of something now to start a render."""


class _Render:
    """The task that owns one child process."""

    def __init__(self, children: Children, folder: Path) -> None:
        self._folder = folder.resolve()
        self._progress = 0.0
        with suppress(OSError):  # what a render has told that ended with the program
            (folder / PROGRESS).unlink()
        self._task = asyncio.create_task(self._run(children))

    def verdict(self) -> Pending | Succeeded | Failed:
        if not self._task.done():
            self._progress = max(self._progress, read_progress(self._folder / PROGRESS))
            return Pending(progress=self._progress)
        if self._task.cancelled():
            # Stopped by us, which says nothing about the video: after a restart it is rendered again.
            raise Unreachable("the render was stopped")
        return self._task.result()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self, children: Children) -> Succeeded | Failed:
        try:
            await children.run(
                "providers._animation:animate",
                seconds=TIME_LIMIT,
                cpu_seconds=CPU_SECONDS,
                memory=MEMORY,
                writes=self._folder,
                folder=str(self._folder),
            )
        except ChildFailed as failure:
            cause = failure.__cause__
            if isinstance(cause, OSError) and cause.errno in _SCARCE:
                raise _Scarce(f"the renderer does not start now: {cause}") from failure
            return Failed(detail=str(failure))
        return Succeeded()


def _forget_old(folder: Path) -> None:
    """Remove renders that nobody has asked for since: their job was lost between two writes."""
    oldest = time.time() - KEEP_SECONDS
    for other in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):  # such as one that another submit removes just now
            if other.stat().st_mtime < oldest:
                _remove(other)


def _save(folder: Path, recipe: Recipe, picture: bytes) -> None:
    _forget_old(folder.parent)
    folder.mkdir(parents=True)
    (folder / PICTURE).write_bytes(picture)
    (folder / RECIPE).write_text(recipe.model_dump_json(), "utf-8")


def _holds(folder: Path, name: str) -> bool:
    return (folder / name).is_file()


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
