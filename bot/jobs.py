"""What a job is, the states it passes through, and which moves are legal. Pure: no I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from providers.base import Operation, Succeeded
from providers.errors import Advice
from providers.specs import VideoRequest


class JobState(StrEnum):
    QUEUED = "queued"
    SUBMITTING = "submitting"
    RUNNING = "running"
    DOWNLOADING = "downloading"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        return self in OPEN


UNDER_WAY = frozenset({JobState.SUBMITTING, JobState.RUNNING, JobState.DOWNLOADING, JobState.DELIVERING})
"""What counts against the caps on jobs at once."""
AT_THE_PROVIDER = frozenset({JobState.SUBMITTING, JobState.RUNNING})
"""What counts against a provider's own cap: once it has finished, its place is free."""
OPEN = UNDER_WAY | {JobState.QUEUED}
RELEASED = frozenset({JobState.FAILED, JobState.CANCELLED})
"""States in which the reservation is given back: no member is charged for what did not arrive."""
CANCELLABLE = frozenset({JobState.QUEUED, JobState.SUBMITTING, JobState.RUNNING, JobState.DOWNLOADING})
"""Not while delivering: the video may already be in the channel, and then it must count."""

MOVES: Mapping[JobState, frozenset[JobState]] = {
    # to itself, for another provider
    JobState.QUEUED: frozenset({JobState.SUBMITTING, JobState.QUEUED, *RELEASED}),
    # to itself, to record that nothing was accepted; back to the queue after that, also for another provider
    JobState.SUBMITTING: frozenset({JobState.SUBMITTING, JobState.RUNNING, JobState.QUEUED, *RELEASED}),
    # to itself, to record that it is overdue
    JobState.RUNNING: frozenset({JobState.RUNNING, JobState.DOWNLOADING, *RELEASED}),
    JobState.DOWNLOADING: frozenset({JobState.DOWNLOADING, JobState.DELIVERING, *RELEASED}),
    # to itself, to record the message that will carry the video, to try the next place, or that it is overdue
    JobState.DELIVERING: frozenset({JobState.DELIVERING, JobState.DELIVERED, JobState.FAILED}),
    JobState.DELIVERED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


class Failure(StrEnum):
    """Why a job failed. Each has its sentence in `bot.notices`."""

    REJECTED = "rejected"
    MODEL_GONE = "model-gone"
    FORBIDDEN = "forbidden"
    UNAUTHORIZED = "unauthorized"
    OUT_OF_FUNDS = "out-of-funds"
    REFUSED = "refused"
    NEEDS_CONSENT = "needs-consent"
    NO_PROVIDER = "no-provider"
    BLOCKED = "blocked"
    """Its member was blocked while it waited."""
    OVER_ALLOWANCE = "over-allowance"
    """The member's allowance was made smaller while it waited."""
    OVER_BUDGET = "over-budget"
    """The budget was made smaller while it waited."""
    MAY_NOT_POST = "may-not-post"
    """The bot may no longer post where it was asked for."""
    IMAGE_LOST = "image-lost"
    OUTCOME_UNKNOWN = "outcome-unknown"
    PROVIDER_FAILED = "provider-failed"
    """The provider's own verdict."""
    LOST = "lost"
    """Our verdict: the provider does not know the job, or has nothing but errors to say of it."""
    BAD_VIDEO = "bad-video"
    TIMED_OUT = "timed-out"
    TOO_LARGE = "too-large"
    UNDELIVERABLE = "undeliverable"


COSTS_NOTHING = frozenset({Failure.PROVIDER_FAILED})
"""Verdicts after which a provider that has accepted a job is not thought to charge for it."""

KEPT = frozenset({Failure.UNDELIVERABLE, Failure.TOO_LARGE})
"""Failures after which the finished video stays on disk, to be sent again."""


class Place(StrEnum):
    """Where a video is posted: each where the one before does not take it."""

    CHANNEL = "channel"
    """Where it was asked for."""
    SERVER = "server"
    """Elsewhere in the server, where the server wants that."""
    DIRECT = "direct"
    """In a direct message to the requester."""


@dataclass(frozen=True)
class Job:
    """One row: a request, its reservation and how far it has come. Times are aware and in UTC."""

    id: int
    """The id of the interaction that asked for it, so that a repeated event is the same job."""
    guild_id: int
    channel_id: int
    user_id: int
    """Who asked for it."""
    provider: str
    request: VideoRequest
    """Without its image, which is a file in the job's folder."""
    state: JobState
    price: int
    """Credits."""
    charged: int
    """What counts against the allowance now: the price, or 0 once it is released."""
    created_at: datetime
    state_at: datetime
    """When the job came into its state."""
    not_before: datetime
    """A queued job is not promoted before this: a provider asked us to come back later."""
    asked_at: datetime | None = None
    """When the provider was about to be asked to start: from then on it may have been."""
    submitted_at: datetime | None = None
    """When the provider accepted it."""
    ready_at: datetime | None = None
    """When the provider was seen to have finished."""
    overdue_at: datetime | None = None
    """Since when it waits for somebody who cannot be reached beyond its usual time: it counts in no cap."""
    held_until: datetime | None = None
    """Until when its provider may still be working on it although it is over here."""
    role_ids: tuple[int, ...] = ()
    """The roles that the member had when it was booked."""
    operation: Operation | None = None
    video: Succeeded | None = None
    card_id: int | None = None
    """The message that shows the state."""
    message_id: int | None = None
    """The message that carries the video, or is about to."""
    parent_id: int | None = None
    """The channel of a public thread in which it was asked for: who sees the one may see the other."""
    is_public: bool = False
    """It was asked for where everybody in the server can look, without an age limit."""
    place: Place = Place.CHANNEL
    place_id: int | None = None
    """The channel of that place, where it is known; not set for the first."""
    announcing_at: datetime | None = None
    """When its message was first about to be created there: from then on there may be one."""
    failure: Failure | None = None
    quoted_micros: int | None = None
    """What the provider said it would cost, in millionths of a US dollar."""
    cost_micros: int = 0
    """What counts against the server's budget now, as far as the cost is known.

    0 once released: nothing was accepted, or the provider says that it charges nothing.
    """
    may_fall_back: bool = False
    """Another provider may take it, as long as none has accepted it: the member named none."""
    fallback_from: str | None = None
    """The provider that it was meant for first, if that one could not take it."""
    advice: Advice | None = None
    """What the provider suggests instead; the member gets to know it."""
    detail: str | None = None
    """For operators: what the provider said, or Discord. It never reaches a channel."""
    ended_by: int | None = None
    """The member who cancelled it."""


@dataclass(frozen=True)
class TimeLimits:
    """How long a job usually stays in each state at the most; a running one by its model's deadline."""

    queued: timedelta = timedelta(hours=2)
    submitting: timedelta = timedelta(minutes=10)
    running: timedelta = timedelta(hours=1)
    downloading: timedelta = timedelta(minutes=20)
    delivering: timedelta = timedelta(minutes=30)


def billed(job: Job, failure: Failure, refunded: bool | None) -> bool:  # noqa: FBT001 - as the vendor says it
    """Whether a provider that has accepted a job is thought to charge for it although it failed.

    What it says itself counts first. It charges for what its content rules refuse, unless it says otherwise.
    """
    if job.asked_at is None:
        return False
    return not refunded if refunded is not None else failure not in COSTS_NOTHING


def deadline(job: Job, limits: TimeLimits) -> datetime:
    """When the time of an open job in its present state is up, if the others answer.

    A job that was sent back to the queue counts from its creation, so that a provider which keeps saying
    "later" cannot hold it for ever.
    """
    if job.state is JobState.QUEUED:
        return job.created_at + limits.queued
    return job.state_at + getattr(limits, job.state.value)
