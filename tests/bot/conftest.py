"""The engine with a scripted provider and a messenger that keeps what it gets; time runs fast."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bot.catalogue import Catalogue
from bot.engine.context import JobContext
from bot.engine.engine import Engine
from bot.engine.runner import Local
from bot.jobs import Job, JobState, Place
from bot.media.job_files import JobFiles
from bot.posting import Card, Posted, Posters
from bot.quota.allowances import Allowance, WindowKind
from bot.quota.limits import NO_LIMITS, Limits
from bot.store import Store, connect
from bot.store.queue import Caps
from providers.base import Failed, Operation, Pending, Provider, ProviderConfig, Resources, Sink, Succeeded
from providers.options import SourceImage
from providers.specs import Mode, ModelSpec, VideoRequest
from tests.clock import NOON, FastClock
from tests.helpers import AtHome
from tests.vendors.faults import sample_video

Answer = Pending | Succeeded | Failed | Exception


class Scripted(Provider[ProviderConfig]):
    """Answers what the test has written down; without a script every call goes well at once."""

    name: ClassVar[str] = "scripted"
    label: ClassVar[str] = "Scripted"
    Config = ProviderConfig

    def __init__(self, folder: Path) -> None:
        super().__init__(ProviderConfig(), Resources(None, folder))  # type: ignore[arg-type]
        self.submits: deque[Exception] = deque()
        self.polls: deque[Answer] = deque()
        self.downloads: deque[Exception | bytes] = deque()
        self.submitted: list[str] = []
        self.cancelled: list[Operation] = []
        self.cleaned: list[Operation] = []
        self.gate = asyncio.Event()
        """Closed, it holds every submit where the vendor has accepted and not yet answered."""
        self.gate.set()
        self.looks = 0

    async def models(self) -> Sequence[ModelSpec]:
        return [ModelSpec(id="m", name="Model", mode=Mode.IMAGE_TO_VIDEO, deadline_seconds=300)]

    async def submit(self, request: VideoRequest) -> Operation:
        assert request.image is not None
        self.submitted.append(request.prompt)
        await self.gate.wait()
        if self.submits:
            raise self.submits.popleft()
        return {"handle": request.prompt}

    async def poll(self, operation: Operation) -> Pending | Succeeded | Failed:
        self.looks += 1
        answer = self.polls.popleft() if self.polls else Succeeded()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def download(self, operation: Operation, video: Succeeded, sink: Sink) -> None:
        given = self.downloads.popleft() if self.downloads else sample_video()
        if isinstance(given, Exception):
            raise given
        await sink.write(given)

    async def cancel(self, operation: Operation) -> None:
        self.cancelled.append(operation)

    async def cleanup(self, operation: Operation) -> None:
        self.cleaned.append(operation)


@dataclass
class Box:
    """A messenger that can be told to fail."""

    cards: list[Card] = field(default_factory=list)
    announced: list[int] = field(default_factory=list)
    attached: list[tuple[int, int]] = field(default_factory=list)
    faults: deque[Exception] = field(default_factory=deque)
    limits: deque[int] = field(default_factory=lambda: deque([10**9]))
    """Bytes, each for one question; the last one stays."""
    places: deque[tuple[Place, int | None]] = field(default_factory=deque[tuple[Place, int | None]])
    """Where a video can go that its channel does not take."""
    there: bool | Exception | None = False
    """Whether the video turns out to be where it was not thought to be."""
    open_to_us: bool | None = None
    """Whether the bot may post, as far as that is known."""
    withdrawn: list[int | None] = field(default_factory=list[int | None])

    def show(self, card: Card) -> None:
        self.cards.append(card)

    async def open(self, card: Card) -> int | None:
        self.cards.append(card)
        return None

    def may_post(self, job: Job) -> bool | None:
        return self.open_to_us

    async def limit(self, job: Job) -> int:
        return self.limits.popleft() if len(self.limits) > 1 else self.limits[0]

    async def announce(self, job: Job, *, again: bool) -> Posted:
        if self.faults:
            raise self.faults.popleft()
        self.announced.append(job.id)
        return Posted(job.place_id or job.channel_id, job.id + 1000)

    async def attach(self, job: Job) -> None:
        if self.faults:
            raise self.faults.popleft()
        self.attached.append((job.id, job.message_id or 0))

    async def withdraw(self, job: Job) -> bool | None:
        if isinstance(self.there, Exception):
            raise self.there
        self.withdrawn.append(job.message_id)
        return self.there

    async def is_there(self, job: Job) -> bool:
        return bool(await self.withdraw(job))

    async def next_place(self, job: Job, *, unwanted: bool) -> tuple[Place, int | None] | None:
        return self.places.popleft() if self.places else None

    def states(self, job_id: int) -> list[JobState]:
        """The states that a job's card has shown, each once in a row."""
        seen: list[JobState] = []
        for card in self.cards:
            if card.job.id == job_id and card.job.state not in seen[-1:]:
                seen.append(card.job.state)
        return seen


PICTURE = SourceImage(data=b"picture", media_type="image/jpeg", width=8, height=8)


@dataclass
class Hall:
    """Everything that drives jobs, without Discord and without a vendor."""

    store: Store
    provider: Scripted
    box: Box
    files: JobFiles
    engine: Engine
    clock: FastClock
    runner: Local

    async def book(
        self, job_id: int, *, user_id: int = 7, guild_id: int = 1, amount: int = 100, **values: Any
    ) -> Job | None:
        """Book a job; `values` are fields that are to differ from the usual ones."""
        now = self.clock.now()
        job = Job(
            id=job_id,
            guild_id=guild_id,
            channel_id=3,
            user_id=user_id,
            provider="scripted",
            request=VideoRequest(model="m", prompt=f"p{job_id}"),
            state=JobState.QUEUED,
            price=1,
            charged=1,
            created_at=now,
            state_at=now,
            not_before=now,
        )
        job = replace(job, **values)
        await self.files.keep(job_id, job.request.model_copy(update={"image": PICTURE}), b"small")
        default = Allowance(amount=amount, kind=WindowKind.DAY)
        booked = await self.store.accounts.reserve(job, (), default)
        return booked if isinstance(booked, Job) else None

    async def promoted(self, job_id: int = 1, **values: Any) -> Job:
        """A job that was booked and is now to be submitted."""
        await self.book(job_id, **values)
        job = await self.store.jobs.promote(Caps(9, 9, {"scripted": None}))
        assert job is not None
        return job

    async def drive(self, job: Job) -> Job:
        return await self.engine.drive(job)

    async def job(self, job_id: int = 1) -> Job:
        job = await self.store.jobs.get(job_id)
        assert job is not None
        return job

    async def ended(self, job_id: int = 1) -> Job | None:
        """The job, once it is over."""
        job = await self.job(job_id)
        return None if job.state.is_open else job


Make = Callable[..., Awaitable[Hall]]


@pytest.fixture
async def make_hall(database_url: str, tmp_path: Path) -> AsyncIterator[Make]:
    halls: list[tuple[Hall, AtHome]] = []

    async def make(caps: Caps | None = None, limits: Limits = NO_LIMITS) -> Hall:
        clock = FastClock()
        store = Store(connect(database_url), clock, limits)
        await store.open()
        provider, box, children = Scripted(tmp_path), Box(), AtHome()
        catalogue = Catalogue({"scripted": provider}, None)
        await catalogue.refresh(NOON)
        files = JobFiles(tmp_path / "jobs")
        engine = Engine(JobContext(store, catalogue, Posters(box, box), files, children, children, clock))
        caps = caps or Caps(9, 9, {"scripted": None})
        runner = Local(engine, store, caps, Allowance(amount=100, kind=WindowKind.DAY), clock)
        hall = Hall(store, provider, box, files, engine, clock, runner)
        halls.append((hall, children))
        return hall

    yield make
    for hall, children in halls:
        await hall.runner.stop()
        await children.close()
        await hall.store.close()


@pytest.fixture
async def hall(make_hall: Make) -> Hall:
    return await make_hall()
