"""The whole contract between an application and a video provider.

Returned is the vendor's verdict; raised (`providers.errors`) means we could not find out.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, ClassVar, Generic, Protocol, TypeAlias, TypeVar, cast

import aiohttp
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, SecretStr
from yarl import URL

from providers._base_calls import CALLS, never_escapes, without
from providers._http_links import is_host
from providers.errors import NO_ADVICE, Advice, Uncertain
from providers.fields import DEAREST, LONGEST_LINK, MOST_ENTRIES, Micros, Seconds, Share, Words
from providers.options import Frozen
from providers.specs import ModelSpec, Per, VideoRequest

Operation: TypeAlias = dict[str, JsonValue]
"""Whatever a vendor needs to find its work again. Callers store it and never look in."""
LONGEST_OPERATION = 8192
"""Bytes, as JSON; a link and an id or two have room in it."""


class Pending(Frozen):
    """Still being made. `progress` runs from 0 to 1 and is set only where the vendor reports it."""

    progress: Share = None
    remaining_seconds: Seconds = None


class Succeeded(Frozen):
    """The video is finished and can be downloaded; `url` where the vendor hands out a link."""

    url: str | None = Field(default=None, max_length=LONGEST_LINK)
    cost_micros: Micros = None
    """What it has cost, in millionths of a US dollar, where the vendor's answer tells."""
    expires_at: AwareDatetime | None = None
    """When the vendor deletes the file, where its answer says so."""


class Failed(Frozen):
    """The vendor gave up on this video. `detail` may quote the vendor and never reaches a channel."""

    detail: Words
    refused: bool = False
    """The vendor's own content rules, rather than a breakdown."""
    advice: Advice = NO_ADVICE


class Sink(Protocol):
    """Where a download goes, chunk by chunk, from the file's first byte."""

    async def write(self, chunk: bytes, /) -> None: ...


_QUOTES = frozenset("\"'`\u2018\u2019\u201c\u201d")


class ProviderConfig(BaseModel):
    """A provider's settings: field `x` is read from the environment variable `<PROVIDER>_X`."""

    # A key read from a file ends in a newline, which no header can carry.
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    max_jobs: int | None = Field(default=None, ge=1)
    """How many of its jobs may be under way at once, over all servers."""

    @property
    def enabled(self) -> bool:
        """Whether the operator has set up this provider."""
        return True

    @property
    def price_micros(self) -> int | None:
        """What a video costs by the operator's word, in millionths of a US dollar, if they gave one."""
        return None


def alone(secret: SecretStr, *, name: str = "key") -> SecretStr:
    """A key or a token without what people copy along with it. Raises ValueError, and quotes none of it."""
    text = secret.get_secret_value()
    before = text.partition(" ")[0]
    if before.lower() in {"bot", "bearer"}:
        raise ValueError(f"should be the {name} alone, without `{before} ` before it")
    if set(text) & _QUOTES:
        raise ValueError(f"should be the {name} alone, without quotes")
    if not text.isprintable() or " " in text:
        raise ValueError(f"should be the {name} alone, in one line without spaces")
    return secret


def _base_url(value: str) -> str:
    try:
        url = URL(value)
    except ValueError:  # of a name or a port that cannot be read
        url = URL()
    has_more = url.user or url.query_string or url.fragment
    if url.scheme not in {"http", "https"} or not is_host(url.raw_host or "") or has_more:
        raise ValueError("should be an http or https address without a user, a query or a fragment")
    return value.rstrip("/")


BaseUrl: TypeAlias = Annotated[str, AfterValidator(_base_url)]
"""Where a vendor's API lives; paths are appended to it."""


Dollars: TypeAlias = Annotated[
    Decimal,
    Field(
        ge=0,
        le=1_000_000,
        decimal_places=6,
        allow_inf_nan=False,
        description="an amount in US dollars up to 1,000,000, with 6 decimals at most",
    ),
]
"""US dollars, to the millionth."""


def micros(dollars: Decimal) -> int:
    """Money as it is counted: in millionths of a US dollar."""
    return int(dollars * 1_000_000)


class RemoteConfig(ProviderConfig):
    """What every vendor reached over HTTP with a key has."""

    api_key: Annotated[SecretStr, AfterValidator(alone)] | None = Field(
        default=None, examples=["sk_4f9c1d7e"]
    )
    request_timeout: float = Field(default=60, gt=0)
    """Seconds for one status call."""
    transfer_timeout: float = Field(default=300, gt=0)
    """Seconds for a submit with its picture, and for a download that delivers nothing."""
    price: Dollars | None = None
    """What a video counts as where the vendor names no price."""

    @property
    def price_micros(self) -> int | None:
        return None if self.price is None else micros(self.price)

    @property
    def enabled(self) -> bool:
        return self.api_key is not None and bool(self.api_key.get_secret_value())


C = TypeVar("C", bound=ProviderConfig)


def within(returned: object, secrets: Sequence[str]) -> object:
    """What a call returns, within the bounds of what is kept, whichever provider it is.

    Raises Uncertain for an operation that nobody can keep.
    """
    if isinstance(returned, dict):
        if len(json.dumps(returned)) > LONGEST_OPERATION:
            raise Uncertain("an answer with more to remember than can be kept")
        return cast("Operation", returned)
    if isinstance(returned, list | tuple):
        return cast("Sequence[object]", returned)[:MOST_ENTRIES]
    if isinstance(returned, int) and not 0 <= returned <= DEAREST:
        return None
    if isinstance(returned, Failed):
        return returned.model_copy(update={"detail": without(secrets, returned.detail)})
    return returned


@dataclass(frozen=True)
class Resources:
    """What the application lends to a provider."""

    session: aiohttp.ClientSession
    folder: Path
    """The provider's own; what it writes there is still there after a restart."""
    trusted_hosts: frozenset[str] = frozenset()
    """`host` or `host:port`: may be private and plain http although a vendor's answer names them."""
    foreign_hosts: frozenset[str] = frozenset()
    """Hosts that are other providers' own: no answer of this one may name them."""
    max_video_bytes: int = 200_000_000


@dataclass(frozen=True)
class Terms:
    """What a vendor's service is like beyond its calls. The defaults hold where a vendor says nothing."""

    poll_interval: float = 2.0
    """Seconds between two polls of one operation, at the least."""
    polls_per_minute: int | None = None
    """The vendor's limit for one key."""
    hopeless_after: float | None = None
    """Seconds of polls answered with 500 alone that mean a failed video, where a vendor says it that way."""
    keeps_for: float = 86_400.0
    """Seconds for which the vendor keeps a finished video: downloads are tried for as long."""
    stops_on_cancel: bool = False
    """Whether `cancel` frees the operation's place at the vendor."""
    is_free: bool = False
    """Whether a submit costs nothing: one in doubt may simply be made again."""
    quotes: bool = False
    """Whether the vendor is asked for each price: None from `quote` then means that it cannot be had now."""
    publishes_models: bool = False
    """Whether `models` asks the vendor each time: then its answer shows that the vendor can be reached."""
    builtin: Sequence[ModelSpec] = ()
    """Models that are documented, offered as long as the vendor could not be asked for its list."""
    last_resort: bool = False
    """Chosen for people only where no other provider can do what they ask."""


class Provider(ABC, Generic[C]):
    """One vendor. An instance is made once and used by many jobs at a time.

    What its calls raise is a ProviderError: whatever else goes wrong in them is raised as Uncertain. In
    `download`, an OSError is that of the sink.
    """

    name: ClassVar[str]
    """The module's name: what people type, the settings' prefix, the value in the store."""
    label: ClassVar[str]
    """What people read."""
    Config: ClassVar[type[ProviderConfig]]
    terms: Terms = Terms()
    """The vendor's; an instance may have its own where they depend on its settings."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in CALLS:
            if (call := vars(cls).get(name)) is not None:
                setattr(cls, name, never_escapes(call, name, within))

    def __init__(self, config: C, resources: Resources) -> None:
        self.config = config
        self.resources = resources

    @abstractmethod
    async def models(self) -> Sequence[ModelSpec]:
        """The catalogue, best choice first; raises ProviderError where it is fetched."""

    def rate_limit(self) -> AbstractAsyncContextManager[None]:
        """Hold this around a submit: entering waits until the vendor's rate limits allow one more.

        Raises Overloaded, and then nothing was sent. Whoever waits can change their mind inside.
        """
        return nullcontext()

    @abstractmethod
    async def submit(self, request: VideoRequest) -> Operation:
        """Start making a video, once. This is a purchase: a caller never repeats it after Uncertain."""

    @abstractmethod
    async def poll(self, operation: Operation) -> Pending | Succeeded | Failed:
        """Look once. An unknown status word is Pending; only a deadline ends those."""

    @abstractmethod
    async def download(self, operation: Operation, video: Succeeded, sink: Sink) -> None:
        """Stream the finished file into the sink. What arrives is unverified."""

    async def quote(self, request: VideoRequest, spec: ModelSpec) -> int | None:
        """What the video will cost, in millionths of a US dollar; None where that is not known.

        Never raises for an outage: a price that cannot be had now is a price not known.
        """
        if spec.price is None or (spec.price.per is Per.SECOND and request.duration is None):
            return None
        return spec.price.of(request.duration or 0)

    async def verify(self) -> None:
        """Raise a ProviderError if the key does not work. Costs nothing."""
        await self.models()

    async def cancel(self, operation: Operation) -> None:
        """Tell the vendor to stop, where it can be told; best effort."""

    async def cleanup(self, operation: Operation) -> None:
        """Let the vendor forget the operation, once the file is safe or the job is over; best effort."""

    async def close(self) -> None:
        """Stop what the provider itself has running."""
