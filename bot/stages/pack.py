"""Before the posting: a video that its channel takes and every client plays."""

import asyncio
import logging
import shutil
from pathlib import Path

from bot.jobs import Job
from bot.media.child import ChildFailed, ChildrenClosed
from bot.media.fitting import TooMuch, fit
from bot.media.videos import recall
from bot.stages.fetch import look
from bot.stages.floor import Floor

log = logging.getLogger(__name__)

__all__ = ["TooMuch", "pack"]


async def pack(floor: Floor, job: Job) -> None:
    """See that what is posted fits its channel and plays in place; the download itself stays as it is.

    It may wait for others whose videos are worked on; its own work is bounded. Raises TooMuch, or BadVideo
    for what turns out not to decode.
    """
    limit = await floor.letterbox.limit(job)
    source, target = floor.files.video(job.id), floor.files.fitted(job.id)
    if target.exists() and target.stat().st_size <= limit:
        return
    fits = source.stat().st_size <= limit
    if fits and (recall(floor.files.facts(job.id)) or await look(floor, job)).ready:
        target.unlink(missing_ok=True)
        return
    report = await floor.reporter(job)
    try:
        await fit(floor.encoders, source, target, limit, report)
    except ChildrenClosed:
        raise
    except (TooMuch, ChildFailed) as error:
        if not fits:
            raise TooMuch(str(error)) from error
        # Some players will not show it, but what is not posted is shown by none. The copy is not tried again.
        log.warning("job %d is posted as it came: %s", job.id, error)
        await asyncio.to_thread(_copy, source, target)


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(f"{target.name}.part")
    shutil.copyfile(source, part)
    part.replace(target)
