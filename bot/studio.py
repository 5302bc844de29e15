"""The desk: what a person may ask for. Everything is checked here before one row books the job."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypedDict

from bot import safety
from bot.catalogue import Catalogue
from bot.clock import Clock
from bot.engine import Engine
from bot.errors import BadRequest, NotAllowed, NotNow, OverAllowance
from bot.jobs import CANCELLABLE, Job, JobState
from bot.media.child import Children
from bot.media.images import check_size, prepare
from bot.media.jobfiles import JobFiles
from bot.quotas import Allowance, Balance, window_at
from bot.store import Store
from bot.store.jobs import Moved
from providers.specs import Mode, ModelSpec, OptionRefused, SourceImage, VideoRequest


class Options(TypedDict, total=False):
    """The fields of VideoRequest that a person may choose; None is left to the model."""

    duration: int | None
    resolution: str | None
    aspect_ratio: str | None
    seed: int | None
    steps: int | None


@dataclass(frozen=True)
class Order:
    """What somebody asks for, as it comes from Discord and before anything is checked."""

    id: int
    """The interaction's id; it becomes the job's."""
    guild_id: int
    channel_id: int
    user_id: int
    prompt: str
    provider: str | None
    model: str | None
    options: Options
    image_size: int
    """Bytes, as Discord states them."""
    read_image: Callable[[], Awaitable[bytes]]


@dataclass(frozen=True)
class Rules:
    """What the operator has decided."""

    allowance: Allowance
    max_image_bytes: int
    blocked_words: Iterable[str]


class Studio:
    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        engine: Engine,
        files: JobFiles,
        children: Children,
        clock: Clock,
        rules: Rules,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self.catalogue = catalogue
        self._engine = engine
        self._files = files
        self._children = children
        self._clock = clock
        self._rules = rules
        self._wake = wake

    async def enqueue(self, order: Order) -> Job:
        """Check everything, book the job, post its card. Raises UserFault: then nothing was charged."""
        if self._engine.stopping.is_set():
            raise NotNow("I am being restarted. Try again in a minute; nothing was charged.")
        if (booked := await self._store.jobs.get(order.id)) is not None:
            return booked
        safety.check(order.prompt, self._rules.blocked_words)
        check_size(order.image_size, self._rules.max_image_bytes)
        name, spec = self.catalogue.choose(Mode.IMAGE_TO_VIDEO, order.provider, order.model)
        balance = await self.balance(order.guild_id, order.user_id)
        if spec.credits > balance.left:
            raise _nothing_left(balance, spec.credits)
        prepared = await prepare(self._children, await order.read_image(), spec.image)
        request = self._checked(order, name, spec, prepared.image)
        await self._files.keep(order.id, prepared)
        new = self._new_job(order, name, request, spec.credits)
        # The picture took its time: what counts is the window that the row itself falls into.
        balance = replace(balance, window=window_at(balance.allowance.kind, new.created_at))
        job = await self._store.jobs.reserve(new, balance)
        if job is None:
            await self._files.discard(order.id)
            raise _nothing_left(await self.balance(order.guild_id, order.user_id), spec.credits)
        try:
            return replace(job, card_id=await self._engine.open(job))
        finally:
            self._wake()

    async def cancel(self, job_id: int, user_id: int, *, moderator: bool) -> Job:
        """End a job for its requester or for a moderator. Raises UserFault."""
        job = await self._store.jobs.get(job_id)
        if job is None:
            raise NotNow("I do not know this job any more.")
        if user_id != job.user_id and not moderator:
            raise NotAllowed("Only the member who asked for this video, or a moderator, can cancel it.")
        # A job may get on just now; as long as its new state allows it, it is cancelled all the same.
        while job is not None and job.state in CANCELLABLE:
            try:
                return await self._engine.cancel(job, user_id)
            except Moved:
                job = await self._store.jobs.get(job_id)
        if job is not None and job.state is JobState.DELIVERING:
            raise NotNow("Too late to cancel: the video is being posted right now.")
        raise NotNow("This job is over already.")

    async def balance(self, guild_id: int, user_id: int) -> Balance:
        """Where the member stands now."""
        allowance = self._rules.allowance
        window = window_at(allowance.kind, self._clock.now())
        used = await self._store.jobs.used(guild_id, user_id, window)
        return Balance(allowance, window, used)

    async def recent(self, guild_id: int, user_id: int, limit: int) -> list[Job]:
        """The member's latest jobs in this server, newest first."""
        return await self._store.jobs.recent(guild_id, user_id, limit)

    def _checked(self, order: Order, name: str, spec: ModelSpec, image: SourceImage) -> VideoRequest:
        request = VideoRequest(model=spec.id, prompt=order.prompt, image=image, **order.options)
        try:
            spec.check(request)
            request = spec.complete(request)
            self.catalogue.providers[name].check(request, spec)
        except OptionRefused as refusal:
            raise BadRequest(f"{refusal} Nothing was charged.") from refusal
        return request

    def _new_job(self, order: Order, provider: str, request: VideoRequest, price: int) -> Job:
        now = self._clock.now()
        return Job(
            id=order.id,
            guild_id=order.guild_id,
            channel_id=order.channel_id,
            user_id=order.user_id,
            provider=provider,
            request=request,
            state=JobState.QUEUED,
            price=price,
            charged=price,
            created_at=now,
            state_at=now,
            not_before=now,
        )


def _nothing_left(balance: Balance, price: int) -> OverAllowance:
    allowance = balance.allowance
    renewal = f"<t:{int(balance.window.end.timestamp())}:R>"
    return OverAllowance(
        f"You have {balance.left} of {allowance.amount} credits left for this {allowance.kind}, "
        f"and this video takes {price}. It renews {renewal}. Nothing was charged."
    )
