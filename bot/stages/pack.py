"""Before the posting: the video made as small as its channel wants it."""

from datetime import datetime

from bot.jobs import Job
from bot.media.child import ChildFailed, ChildrenClosed
from bot.media.fitting import fit
from bot.media.videos import BadVideo
from bot.stages.floor import Floor


class TooMuch(Exception):
    """There is too much in the video for so few bytes."""


async def pack(floor: Floor, job: Job, give_up_at: datetime) -> None:
    """Make what is posted as small as its channel wants it; the original stays. Raises TooMuch."""
    limit = await floor.letterbox.limit(job)
    if floor.files.outgoing(job.id).stat().st_size <= limit:
        return
    source, target = floor.files.video(job.id), floor.files.fitted(job.id)
    report = await floor.reporter(job)
    try:
        await floor.within(give_up_at, fit(floor.encoders, source, target, limit, report))
    except ChildrenClosed:
        raise
    except (BadVideo, ChildFailed, TimeoutError) as error:
        raise TooMuch(str(error)) from error
