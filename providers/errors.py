"""What can go wrong between us and a vendor; a verdict on a video is returned, these are raised.

ProviderError
├── Rejected             the vendor said no: nothing was accepted by the call that raised it
│   ├── Unauthorized     401, 403: the operator's key
│   ├── OutOfFunds       402: the operator's balance
│   ├── InvalidRequest   400, 413, 422 and other 4xx: this request, as it stands, will never do
│   │   ├── Refused      the vendor's content rules; with what it suggests instead
│   │   └── NeedsConsent 409 and the like: the vendor wants a consent that nobody can give for somebody else
│   ├── NotFound         404, 410: the vendor does not know the operation, or no longer
│   └── Overloaded       429, 503: not now; `retry_after` where the vendor says when
├── Unreachable          no connection came about, so nothing was sent
├── Uncertain            sent, and no usable answer: time-outs, cut connections, 5xx, unreadable bodies
└── Unusable             downloads only: no video, above the size cap, or a link that may not be followed
"""


class ProviderError(Exception):
    """A call to a vendor that did not yield an answer.

    `detail` is for the log and for operators; it may quote the vendor and never reaches a channel.
    """

    def __init__(self, detail: str, *, status: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


class Rejected(ProviderError):
    """The vendor answered no, which proves that it accepted nothing."""


class Unauthorized(Rejected):
    """The operator's key is missing, wrong, or may not use this model (401, 403)."""


class OutOfFunds(Rejected):
    """The operator's account at the vendor has no money left (402)."""


class InvalidRequest(Rejected):
    """The request itself is refused; sending it again changes nothing (400, 413, 422, other 4xx)."""


class Refused(InvalidRequest):
    """The vendor's content rules forbid this; what it suggests instead is for the person."""

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        suggested_prompt: str | None = None,
        recommended_model: str | None = None,
        refunded: bool | None = None,
    ) -> None:
        super().__init__(detail, status=status)
        self.suggested_prompt = suggested_prompt
        self.recommended_model = recommended_model
        self.refunded = refunded


class NeedsConsent(InvalidRequest):
    """The vendor asks for a consent, such as of the people in a picture; it is never given for a member."""


class NotFound(Rejected):
    """The vendor does not know what was asked for (404, 410)."""


class Overloaded(Rejected):
    """The vendor asks us to come back later (429, 503); `retry_after` is in seconds."""

    def __init__(self, detail: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(detail, status=status)
        self.retry_after = retry_after


class Unreachable(ProviderError):
    """No connection could be made: name not found, refused, TLS failed, connecting took too long."""


class Uncertain(ProviderError):
    """The request left, but what became of it is unknown: never repeat a purchase after this."""


class Unusable(ProviderError):
    """A download brought something that is no video, or may not be fetched at all."""
