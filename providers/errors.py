"""What can go wrong between us and a vendor; a verdict on a video is returned, these are raised.

ProviderError
├── Rejected             the vendor said no: nothing was accepted by the call that raised it
│   ├── Unauthorized     401: the operator's key
│   ├── Forbidden        403: a good key, but not for this model
│   ├── OutOfFunds       402: the operator's balance
│   ├── InvalidRequest   400, 413, 422 and other 4xx: this request, as it stands, will never do
│   │   ├── ContentRefused    the vendor's content rules
│   │   └── NeedsConsent 409 and the like: the vendor wants a consent that nobody can give for somebody else
│   ├── NotFound         404, 410: the vendor does not know the operation, or no longer
│   └── Overloaded       429, 503: not now; `retry_after` where the vendor says when
├── Unreachable          no connection came about, so nothing was sent
├── Uncertain            sent, and no usable answer: time-outs, cut connections, 5xx, unreadable bodies
└── Unusable             downloads only: no video, above the size cap, or a link that may not be followed
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from providers.fields import LONGEST_TIME, MOST_ENTRIES, Prompt, Words, plain
from providers.options import Frozen


class Problem(StrEnum):
    """What a vendor finds wrong with a request beyond its options."""

    FILE_TOO_LARGE = "file-too-large"
    FILE_TOO_SMALL = "file-too-small"
    FILE_TOO_LONG = "file-too-long"
    FILE_UNREADABLE = "file-unreadable"
    ENCRYPTED = "encrypted"
    """The finished video comes encrypted."""


class Advice(Frozen):
    """What a vendor says beside its no. It reaches the person, as data and not as sentences."""

    suggested_prompt: Prompt | None = None
    recommended_model: Words | None = None
    refunded: bool | None = None
    """Whether the vendor gave the operator's money back, where it says so."""
    problem: Problem | None = None
    option: Words | None = None
    """The field of VideoRequest that the vendor objects to."""
    allowed: Annotated[tuple[Words, ...], Field(max_length=MOST_ENTRIES)] = ()
    """What it takes there instead: short words, safe to show."""


NO_ADVICE = Advice()


class ProviderError(Exception):
    """A call to a vendor that did not yield an answer.

    `detail` is for the log and for operators: one plain line that may quote the vendor. It never reaches a
    channel.
    """

    def __init__(self, detail: str, *, status: int | None = None) -> None:
        self.detail = plain(detail)
        super().__init__(self.detail)
        self.status = status


class Rejected(ProviderError):
    """The vendor answered no, which proves that it accepted nothing."""


class Unauthorized(Rejected):
    """The operator's key is missing or wrong (401)."""


class Forbidden(Rejected):
    """The operator's key works, but not for this model or from this place (403)."""


class OutOfFunds(Rejected):
    """The operator's account at the vendor has no money left (402)."""


class InvalidRequest(Rejected):
    """The request itself is refused; sending it again changes nothing (400, 413, 422, other 4xx)."""

    def __init__(self, detail: str, *, status: int | None = None, advice: Advice = NO_ADVICE) -> None:
        super().__init__(detail, status=status)
        self.advice = advice


class ContentRefused(InvalidRequest):
    """The vendor's content rules forbid this."""


class NeedsConsent(InvalidRequest):
    """The vendor asks for a consent, such as of the people in a picture; it is never given for a member."""


class NotFound(Rejected):
    """The vendor does not know what was asked for (404, 410)."""


class Overloaded(Rejected):
    """The vendor asks us to come back later (429, 503); `retry_after` is in seconds."""

    def __init__(self, detail: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(detail, status=status)
        # Whoever asks for more than a month of patience asks for none that we have.
        self.retry_after = None if retry_after is None else min(max(0.0, retry_after), LONGEST_TIME)


class Unreachable(ProviderError):
    """No connection could be made: name not found, refused, TLS failed, connecting took too long."""


class Uncertain(ProviderError):
    """The request left, but what became of it is unknown: never repeat a purchase after this."""


class Unusable(ProviderError):
    """A download brought something that is no video, or may not be fetched at all."""
