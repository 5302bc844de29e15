"""What tests of providers share: a session, resources, a picture, a request, and a place for downloads."""

import os
import resource
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from PIL import Image

from providers.base import Resources
from providers.child import Children
from providers.http import open_session
from providers.options import SourceImage
from providers.specs import VideoRequest
from tests.vendors.base import VendorServer
from tests.vendors.faults import sample_video


@contextmanager
def no_more_files() -> Iterator[None]:
    """This process cannot open another file, as when too many are open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(lowest := os.open(os.devnull, os.O_RDONLY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class FileHost(VendorServer):
    """Where links lead: it has the file, for everybody."""

    def routes(self) -> list[web.RouteDef]:
        file = {"body": sample_video(), "content_type": "video/mp4"}
        return [self.route("file", "GET", "/file", lambda _: web.Response(**file))]

    def authorized(self, _: web.Request) -> bool:
        return True


class Received:
    """A sink in memory."""

    def __init__(self) -> None:
        self.data = b""

    async def write(self, chunk: bytes, /) -> None:
        self.data += chunk


@pytest.fixture
def sink() -> Received:
    return Received()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session({"localhost"}) as opened:
        yield opened


@pytest.fixture
def resources(session: aiohttp.ClientSession, tmp_path: Path) -> Resources:
    return Resources(session=session, folder=tmp_path, max_video_bytes=1_000_000)


@pytest.fixture(scope="session")
def picture() -> SourceImage:
    file = BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, "JPEG")
    return SourceImage(data=file.getvalue(), media_type="image/jpeg", width=64, height=48)


@pytest.fixture
def ask_for(picture: SourceImage) -> Callable[..., VideoRequest]:
    def build(model: str, **options: object) -> VideoRequest:
        return VideoRequest.model_validate(
            {"model": model, "prompt": "a slow pan", "image": picture, **options}
        )

    return build


@pytest.fixture
async def children() -> AsyncIterator[Children]:
    made = Children()
    yield made
    await made.close()
