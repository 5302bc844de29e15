"""The files of a job: what was attached until the job is over, the video for some days more."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from providers.specs import VideoRequest

_ATTACHED = ("image", "end_image", "audio_file")
"""The fields of a request that are files."""
_MANIFEST = "files.json"


def free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


class JobFiles:
    """One folder for each job, below the data folder."""

    def __init__(
        self,
        folder: Path,
        kept_for: timedelta = timedelta(days=3),
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._folder = folder
        self.kept_for = kept_for
        """How long a video stays after its job is over, so that it can be sent again."""
        self._free = free

    def video(self, job_id: int) -> Path:
        return self._folder / str(job_id) / "video.mp4"

    def facts(self, job_id: int) -> Path:
        """What was found out about the video when it came."""
        return self._folder / str(job_id) / "facts.json"

    def fitted(self, job_id: int) -> Path:
        """The video as its channel wants it, where it had to be made smaller or made to play."""
        return self._folder / str(job_id) / "fitted.mp4"

    def outgoing(self, job_id: int) -> Path:
        """What is posted."""
        fitted = self.fitted(job_id)
        return fitted if fitted.exists() else self.video(job_id)

    async def keep(self, job_id: int, request: VideoRequest, thumbnail: bytes | None) -> None:
        """Write what is attached to a request; a job is booked only once it is all there."""
        await asyncio.to_thread(self._keep, job_id, request, thumbnail)

    async def complete(self, job_id: int, request: VideoRequest) -> VideoRequest | None:
        """The request with its files, as a provider wants it; None if any is gone."""
        return await asyncio.to_thread(self._complete, job_id, request)

    async def thumbnail(self, job_id: int) -> bytes | None:
        return await asyncio.to_thread(_read, self._folder / str(job_id) / "thumbnail.jpg")

    async def clear(self, job_id: int, *, keep_video: bool = False) -> None:
        """Remove what a job that is over needs no more; its card may still need the thumbnail."""
        await asyncio.to_thread(self._clear, job_id, keep_video=keep_video)

    async def discard(self, job_id: int) -> None:
        """Remove everything, for a job that was not booked after all or is long over."""
        await asyncio.to_thread(shutil.rmtree, self._folder / str(job_id), ignore_errors=True)

    async def touched(self) -> dict[int, datetime]:
        """When something was last written to or removed from the folder of each job."""
        return await asyncio.to_thread(self._touched)

    async def make_room(self, keep: Iterable[int], needed_bytes: int) -> list[int]:
        """Remove videos, the oldest first, until so much is free; returns the jobs that they were of.

        `keep` names the jobs that are not over. At least one video goes: what free space the disk tells of
        was not enough, or is not for us.
        """
        return await asyncio.to_thread(self._make_room, set(keep), needed_bytes)

    def _keep(self, job_id: int, request: VideoRequest, thumbnail: bytes | None) -> None:
        folder = self._folder / str(job_id)
        folder.mkdir(parents=True, exist_ok=True)
        if thumbnail is not None:
            (folder / "thumbnail.jpg").write_bytes(thumbnail)
        facts: dict[str, Any] = {}
        for name in _ATTACHED:
            if (file := getattr(request, name)) is not None:
                (folder / name).write_bytes(file.data)
                facts[name] = file.model_dump(exclude={"data"})
        (folder / _MANIFEST).write_text(json.dumps(facts))

    def _complete(self, job_id: int, request: VideoRequest) -> VideoRequest | None:
        folder = self._folder / str(job_id)
        try:
            facts = json.loads((folder / _MANIFEST).read_bytes())
            files = {name: {**facts[name], "data": (folder / name).read_bytes()} for name in facts}
        except FileNotFoundError:
            return None
        return VideoRequest.model_validate({**request.model_dump(), **files})

    def _clear(self, job_id: int, *, keep_video: bool) -> None:
        folder = self._folder / str(job_id)
        kept = {folder / "thumbnail.jpg"}
        if keep_video:
            kept |= {self.video(job_id), self.facts(job_id), self.fitted(job_id)}
        for path in folder.iterdir() if folder.is_dir() else ():
            if path not in kept:
                path.unlink(missing_ok=True)

    def _touched(self) -> dict[int, datetime]:
        times: dict[int, datetime] = {}
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            if folder.name.isdecimal():
                with suppress(FileNotFoundError):  # removed meanwhile
                    times[int(folder.name)] = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
        return times

    def _make_room(self, keep: set[int], needed_bytes: int) -> list[int]:
        times = self._touched()
        removed: list[int] = []
        for job_id in sorted(times, key=times.__getitem__):
            if removed and self._free(self._folder) >= needed_bytes:
                break
            if job_id not in keep and self.video(job_id).exists():
                shutil.rmtree(self._folder / str(job_id), ignore_errors=True)
                removed.append(job_id)
        return removed


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
