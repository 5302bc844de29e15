"""Fits a finished video to an upload limit, in a form that every Discord client plays in place."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from bot.media.videos import BadVideo
from providers.child import Children
from providers.child_wire import FileRejected, read_progress

SECONDS = 600
MEMORY = 2_000_000_000
"""Bytes of address space."""
LOOK_EVERY = 0.5
"""Seconds between two looks at how far the child is."""


class TooMuch(Exception):
    """There is too much in the video for so few bytes."""


async def transcode(
    children: Children,
    source: Path,
    target: Path,
    limit: int,
    report: Callable[[float], None] | None = None,
    *,
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> None:
    """Write `target`, an MP4 of at most `limit` bytes: a copy where the source will do, else encoded anew.

    `report` hears the share done, from 0 to 1, about twice a second. `target` may be `source`; it changes
    only once all is well. A fit may hold its child for minutes: give it `children` nobody else waits for.

    Raises BadVideo for what is no video, and TooMuch for what does not go into so few bytes. ChildFailed
    passes through: out of time (`seconds`) or memory (bytes), and nothing was found out.
    """
    with _workbench(target) as part:
        watching = asyncio.create_task(_watch(Path(f"{part}.progress"), report)) if report else None
        try:
            answer = await children.run(
                "bot.media._transcode:fit",
                seconds=seconds,
                memory=memory,
                reads=source,
                writes=target.parent,
                path=str(source),
                target=str(part),
                limit=limit,
            )
        except FileRejected as refusal:
            raise BadVideo(f"{source.name} {refusal}") from refusal
        finally:
            if watching:
                watching.cancel()
        if answer.facts["way"] is None:
            raise TooMuch(f"{source.name} does not go into {limit} bytes")
        _keep(part, target)
    if report:
        report(1.0)


@contextmanager
def _workbench(target: Path) -> Generator[Path]:
    """Where the child works: beside the target, so that the result only has to be renamed.

    Nothing else is left behind, whether the child ended well or was killed.
    """
    part = target.with_name(f"{target.name}.fit")
    try:
        yield part
    finally:
        for path in target.parent.glob(f"{escape(part.name)}*"):
            path.unlink(missing_ok=True)


def _keep(part: Path, target: Path) -> None:
    part.replace(target)


async def _watch(progress: Path, report: Callable[[float], None]) -> None:
    told = 0.0
    while True:
        await asyncio.sleep(LOOK_EVERY)
        share = read_progress(progress)
        if share > told:
            told = share
            report(share)
