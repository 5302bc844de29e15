"""The files of a job: what was attached until the provider has it, the video until the channel has it."""

import asyncio
import json
import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from providers.specs import VideoRequest

_ATTACHED = ("image", "end_image", "audio_file")
"""The fields of a request that are files."""
_MANIFEST = "files.json"


class JobFiles:
    """One folder for each job, below the data folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

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

    async def clear(self, job_id: int) -> None:
        """Remove all but the thumbnail, which the card may still need; the sweep takes that."""
        await asyncio.to_thread(self._clear, job_id)

    async def discard(self, job_id: int) -> None:
        """Remove everything, for a job that was not booked after all."""
        await asyncio.to_thread(shutil.rmtree, self._folder / str(job_id), ignore_errors=True)

    async def sweep(self, keep: Iterable[int], before: datetime) -> None:
        """Remove what jobs have left behind and nobody touched since, but for the named ones."""
        await asyncio.to_thread(self._sweep, {str(job_id) for job_id in keep}, before.timestamp())

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

    def _clear(self, job_id: int) -> None:
        folder = self._folder / str(job_id)
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name != "thumbnail.jpg":
                path.unlink(missing_ok=True)

    def _sweep(self, keep: set[str], before: float) -> None:
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            if folder.name.isdigit() and folder.name not in keep and folder.stat().st_mtime < before:
                shutil.rmtree(folder, ignore_errors=True)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
