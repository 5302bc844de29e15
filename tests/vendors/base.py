"""What every simulated vendor has: a server on loopback, a record of what it was asked, and faults on demand.

A fault stands in for one answer of one route; the next request gets the next fault, then the vendor itself:

    async with EigenAIServer() as vendor:
        vendor.next("submit", status(503), after_accepting(cut))

In a process of its own (for tests that kill the bot), faults are given on the command line:

    python -m tests.vendors.eigenai --port 8100 --record requests.jsonl --next submit accepted-hang

Port 0 takes a free one; the URL is the first line of the output.
"""

import argparse
import asyncio
import json
import socket
from abc import ABC, abstractmethod
from base64 import b64encode
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any, ClassVar, Self

from aiohttp import web
from multidict import CIMultiDict

from tests.vendors.faults import Exchange, Fault, named

MAX_REQUEST = 64 * 1024 * 1024


@dataclass(frozen=True)
class Upload:
    filename: str | None
    media_type: str | None
    data: bytes


@dataclass(frozen=True)
class Recorded:
    """One request as it arrived; `route` is the vendor's name for it: submit, poll, result ..."""

    route: str
    method: str
    path: str
    query: dict[str, str]
    headers: CIMultiDict[str]
    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)
    json: Any = None


class Stage(Enum):
    WAITING = auto()
    WORKING = auto()
    FINISHED = auto()
    FAILED = auto()


@dataclass
class Job:
    id: str
    model: str
    looks: int = 0
    over: bool = False


class VendorServer(ABC):
    """A vendor on 127.0.0.1. Subclasses have the routes and words; this has the jobs, record and faults."""

    KEY: ClassVar[str] = "key-of-the-operator"

    def __init__(self, *, record: Path | None = None) -> None:
        self.url = ""
        self.requests: list[Recorded] = []
        self.jobs: dict[str, Job] = {}
        self.reason: str | None = None
        """Why jobs fail; None lets them succeed."""
        self.word: str | None = None
        """Answered as every job's status, where it is set."""
        self._looks = 2
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._record = record
        self._news = asyncio.Condition()
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """Made with `self.route`; every vendor has routes called submit and poll."""

    def begin(self, model: str) -> Job:
        job = Job(f"job-{len(self.jobs) + 1}", model)
        self.jobs[job.id] = job
        return job

    def look(self, job: Job) -> Stage:
        """Count a look at a job and say how far it is."""
        job.looks += 1
        left = 0 if job.over else max(0, self._looks - job.looks)
        if left:
            return Stage.WORKING if left == 1 else Stage.WAITING
        job.over = True
        return Stage.FINISHED if self.reason is None else Stage.FAILED

    def finish_after(self, looks: int) -> None:
        """Jobs are over at this look, counted from their first."""
        self._looks = looks

    def finish(self, job_id: str) -> None:
        """The next look at this job finds it over."""
        self.jobs[job_id].over = True

    def authorized(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self.KEY}"

    def next(self, route: str, *faults: Fault) -> None:
        """What the next requests to a route meet, one each, in place of an answer."""
        self._faults[route].extend(faults)

    def forgive(self) -> None:
        """Nothing goes wrong any more."""
        self._faults.clear()

    def only(self, route: str, *faults: Fault) -> None:
        """The same, with nothing left of what was said before."""
        self._faults[route] = deque(faults)

    def seen(self, route: str) -> list[Recorded]:
        return [request for request in self.requests if request.route == route]

    async def arrived(self, route: str, count: int = 1) -> None:
        """Returns once a route has been asked this many times."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.seen(route)) >= count)

    def route(
        self, name: str, method: str, path: str, answer: Callable[[Recorded], web.StreamResponse]
    ) -> web.RouteDef:
        async def handle(request: web.Request) -> web.StreamResponse:
            recorded = await _recorded(name, request)
            await self._keep(recorded)

            async def accept() -> web.StreamResponse:
                if not self.authorized(request):
                    return web.json_response({"error": "Invalid API key"}, status=401)
                return answer(recorded)

            if faults := self._faults[name]:
                return await faults.popleft()(Exchange(request, accept, self._closing))
            return await accept()

        return web.route(method, path, handle)

    async def _keep(self, recorded: Recorded) -> None:
        self.requests.append(recorded)
        if self._record is not None:
            with self._record.open("a") as file:
                file.write(json.dumps(_plain(recorded)) + "\n")
        async with self._news:
            self._news.notify_all()

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=MAX_REQUEST)
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


async def _recorded(route: str, request: web.Request) -> Recorded:
    fields: dict[str, str] = {}
    files: dict[str, Upload] = {}
    content: Any = None
    if request.content_type == "multipart/form-data":
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                files[name] = Upload(value.filename, value.content_type, value.file.read())
                value.file.close()
            else:
                fields[name] = str(value)
    elif request.content_type == "application/json" and request.can_read_body:
        content = await request.json()
    return Recorded(
        route,
        request.method,
        request.path,
        dict(request.query),
        CIMultiDict(request.headers),
        fields,
        files,
        content,
    )


def _plain(recorded: Recorded) -> dict[str, Any]:
    files = {
        name: {**asdict(upload), "data": b64encode(upload.data).decode()}
        for name, upload in recorded.files.items()
    }
    return {**vars(recorded), "headers": dict(recorded.headers), "files": files}


@asynccontextmanager
async def nobody_home() -> AsyncGenerator[str]:
    """The URL of a port that refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def serve(vendor: type[VendorServer]) -> None:
    """Run a vendor in this process until it is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--record", type=Path, help="gets one line of JSON for each request")
    parser.add_argument("--finish-after", type=int, default=2, metavar="LOOKS")
    parser.add_argument("--next", nargs=2, action="append", default=[], metavar=("ROUTE", "FAULT"))
    arguments = parser.parse_args()

    async def run() -> None:
        server = vendor(record=arguments.record)
        server.finish_after(arguments.finish_after)
        for route, text in arguments.next:
            server.next(route, named(text))
        await server.start(arguments.port)
        print(server.url, flush=True)  # noqa: T201 - tells the test that the port is open
        await asyncio.Event().wait()

    asyncio.run(run())
