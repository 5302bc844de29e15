"""The files of a job: its picture until the provider has it, its video until the channel has it."""

import asyncio
import json
import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from bot.media.images import PreparedImage
from providers.options import SourceImage


class JobFiles:
    """One folder for each job, below the data folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def video(self, job_id: int) -> Path:
        return self._folder / str(job_id) / "video.mp4"

    async def keep(self, job_id: int, prepared: PreparedImage) -> None:
        """Write the picture and its thumbnail; a job is booked only once they are there."""
        await asyncio.to_thread(self._keep, job_id, prepared)

    async def image(self, job_id: int) -> SourceImage | None:
        """The picture as a provider wants it; None if it is gone."""
        return await asyncio.to_thread(self._image, job_id)

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

    def _keep(self, job_id: int, prepared: PreparedImage) -> None:
        folder = self._folder / str(job_id)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "thumbnail.jpg").write_bytes(prepared.thumbnail)
        (folder / "image.json").write_text(prepared.image.model_dump_json(exclude={"data"}))
        (folder / "image").write_bytes(prepared.image.data)

    def _clear(self, job_id: int) -> None:
        folder = self._folder / str(job_id)
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name != "thumbnail.jpg":
                path.unlink(missing_ok=True)

    def _image(self, job_id: int) -> SourceImage | None:
        folder = self._folder / str(job_id)
        data, facts = _read(folder / "image"), _read(folder / "image.json")
        if data is None or facts is None:
            return None
        return SourceImage.model_validate({**json.loads(facts), "data": data})

    def _sweep(self, keep: set[str], before: float) -> None:
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            if folder.name.isdigit() and folder.name not in keep and folder.stat().st_mtime < before:
                shutil.rmtree(folder, ignore_errors=True)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
