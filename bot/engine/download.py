"""`downloading`: bring the finished file here and make sure that it is a video."""

import asyncio
import logging
from contextlib import suppress
from datetime import datetime, timedelta
from errno import EDQUOT, ENOSPC

from bot.engine import retry
from bot.engine.context import JobContext
from bot.jobs import Failure, Job, JobState
from bot.media.files import FileSink
from bot.media.videos import BadVideo, VideoFacts, remember, verify
from providers.child import ChildFailed
from providers.errors import NotFound, ProviderError, Unusable

log = logging.getLogger(__name__)

DOWNLOAD_TIMEOUT = 1800.0
"""Seconds for one try; the next one starts from the beginning."""

A_DAY = timedelta(days=1)
"""For so long at least a video is kept that no place took."""
_DISK_FULL = {ENOSPC, EDQUOT}


async def download(context: JobContext, job: Job, give_up_at: datetime) -> Job:
    """Download until a whole video is here, or nobody keeps it any more."""
    failures = bad = 0
    began = context.clock.now()
    kept_until = context.kept_until(job)
    while True:
        try:
            await download_once(context, job)
            return await context.store.jobs.move(job, JobState.DELIVERING, overdue_at=None)
        except (Unusable, NotFound, BadVideo) as error:
            log.warning("job %d: the download is no video: %s", job.id, error)
            bad += 1
            failed: Exception = error
            if retry.is_no_video(bad, began, context.awake_since(), context.clock.now()):
                await context.check_unmoved(job)
                return await context.fail(job, Failure.BAD_VIDEO, str(error))
        except (ProviderError, ChildFailed, OSError) as error:
            log.warning("job %d: the download failed: %r", job.id, error)
            failed = error
            await make_room_if_full(context, job, error)
        failures += 1
        await context.check_unmoved(job)
        if context.is_time_up(kept_until, began):
            return await context.fail(job, Failure.LOST, f"not fetched until {kept_until}: {failed!r}")
        if context.clock.now() >= give_up_at:
            job = await context.mark_overdue(job)
        is_overdue = job.overdue_at is not None
        await context.pause(retry.after_call(failed, failures, context.jitter(), is_overdue=is_overdue))
        await context.check_unmoved(job)


async def download_once(context: JobContext, job: Job) -> None:
    """One try. Raises ProviderError, BadVideo, ChildFailed or OSError (a TimeoutError, too)."""
    provider = context.catalogue.providers.get(job.provider)
    if provider is None or job.video is None:
        raise Unusable(f"{job.provider} is not set up any more")
    context.files.facts(job.id).unlink(missing_ok=True)
    async with FileSink(context.files.video(job.id)) as sink, asyncio.timeout(DOWNLOAD_TIMEOUT):
        await provider.download(job.operation or {}, job.video, sink)
    context.record_answer(job.provider, None)
    facts = await verify_download(context, job)
    log.info("job %d: %s", job.id, facts)


async def make_room_if_full(context: JobContext, job: Job, error: Exception) -> None:
    """Give up old videos where the disk is full: they are kept for convenience, and this one is paid for."""
    if not isinstance(error, OSError) or error.errno not in _DISK_FULL:
        return
    provider = context.catalogue.providers.get(job.provider)
    needed = provider.resources.max_video_bytes if provider else 0
    now = context.clock.now()
    needed_still = await context.store.jobs.needed(now - A_DAY)
    with suppress(OSError):
        removed = await context.files.make_room(needed_still, needed)
        log.warning("the disk is full: the videos of %d old jobs were removed", len(removed))


async def verify_download(context: JobContext, job: Job) -> VideoFacts:
    """What has been downloaded, remembered beside it. Raises BadVideo or ChildFailed."""
    facts = await verify(context.children, context.files.video(job.id))
    remember(facts, context.files.facts(job.id))
    return facts
