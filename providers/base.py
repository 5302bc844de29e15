"""The whole contract between an application and a video provider.

Returned is the vendor's verdict; raised (`providers.errors`) means we could not find out.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Generic, Protocol, TypeAlias, TypeVar

import aiohttp
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, SecretStr
from yarl import URL

Operation: TypeAlias = dict[str, JsonValue]
"""Whatever a vendor needs to find its work again. Callers store it and never look in."""

T = TypeVar("T", int, str)
_CHOOSABLE = 50


class Frozen(BaseModel):
    """An immutable value that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Mode(StrEnum):
    IMAGE_TO_VIDEO = "image-to-video"
    TEXT_TO_VIDEO = "text-to-video"


class SourceImage(Frozen):
    """A picture ready for a vendor: upright, without metadata, within the model's limits."""

    data: bytes = Field(repr=False)
    media_type: str
    width: int
    height: int


class VideoRequest(Frozen):
    """What a person asked for. `None` means that they left it to the model.

    The image is not part of the JSON form: it can be large, and callers keep it in a file.
    """

    model: str
    prompt: str
    image: SourceImage | None = Field(default=None, exclude=True, repr=False)
    duration: int | None = None
    """Seconds."""
    resolution: str | None = None
    aspect_ratio: str | None = None
    seed: int | None = None
    steps: int | None = None


class OptionRefused(ValueError):
    """A request asks for something its model does not take; the message is a sentence for the person."""


class Choice(Frozen, Generic[T]):
    """An option with a fixed list of values; without a default, an unset option is not sent."""

    values: tuple[T, ...] = Field(min_length=1)
    default: T | None = None

    @property
    def suggestions(self) -> Sequence[T]:
        """Values worth offering to somebody who chooses."""
        return self.values

    def allows(self, value: object) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return ", ".join(str(value) for value in self.values)


class Span(Frozen):
    """An option that takes any whole number from `low` to `high`."""

    low: int
    high: int
    default: int | None = None

    @property
    def suggestions(self) -> Sequence[int]:
        """Every value of a short span; nobody chooses from a long one."""
        return range(self.low, self.high + 1) if self.high - self.low < _CHOOSABLE else ()

    def allows(self, value: object) -> bool:
        return isinstance(value, int) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low} to {self.high}"


OPTIONS: Mapping[str, str] = {
    "duration": "duration",
    "resolution": "resolution",
    "aspect_ratio": "aspect ratio",
    "seed": "seed",
    "steps": "number of steps",
}
"""Options that only some models take: the field of VideoRequest and ModelSpec, and its name in a sentence."""


class ImageLimits(Frozen):
    """What a model accepts as a source picture; larger ones are scaled and re-encoded to fit."""

    max_bytes: int = 10_000_000
    max_side: int = 2048
    """Pixels."""


class ModelSpec(Frozen):
    """What one model takes and what to expect of it. Everything a person can choose derives from this."""

    id: str
    name: str
    mode: Mode
    prompt_limit: int = 1500
    """Characters."""
    image: ImageLimits = ImageLimits()
    duration: Choice[int] | None = None
    resolution: Choice[str] | None = None
    aspect_ratio: Choice[str] | None = None
    seed: Span | None = None
    steps: Span | None = None
    credits: int = 1
    typical_seconds: float | None = None
    """A first guess from submit to finished; measured times replace it."""
    deadline_seconds: float = 900
    """A video still unfinished this long after submit is given up."""
    retires: date | None = None

    def limits(self, option: str) -> Choice[int] | Choice[str] | Span | None:
        """What the model takes for one of OPTIONS, or None where it does not take it."""
        return getattr(self, option)

    def complete(self, request: VideoRequest) -> VideoRequest:
        """The request with this model's defaults filled in."""
        unset = (name for name in OPTIONS if getattr(request, name) is None)
        defaults = {name: limits.default for name in unset if (limits := self.limits(name)) is not None}
        return request.model_copy(update=defaults)

    def check(self, request: VideoRequest) -> None:
        """Raise OptionRefused for anything this model does not take; nothing is ever dropped silently."""
        if len(request.prompt) > self.prompt_limit:
            raise OptionRefused(
                f"{self.name} takes prompts of up to {self.prompt_limit} characters; "
                f"yours has {len(request.prompt)}."
            )
        if (self.mode is Mode.IMAGE_TO_VIDEO) is (request.image is None):
            needs = (
                "needs a picture"
                if request.image is None
                else "works from the prompt alone, without a picture"
            )
            raise OptionRefused(f"{self.name} {needs}.")
        for option, words in OPTIONS.items():
            value = getattr(request, option)
            limits = self.limits(option)
            if value is None:
                continue
            if limits is None:
                raise OptionRefused(f"{self.name} does not let you choose the {words}; leave it out.")
            if not limits.allows(value):
                raise OptionRefused(f"{self.name} does not take {value} as {words}; it takes {limits}.")


class Pending(Frozen):
    """Still being made. `progress` runs from 0 to 1 and is set only where the vendor reports it."""

    progress: float | None = Field(default=None, ge=0, le=1)
    remaining_seconds: float | None = Field(default=None, ge=0)


class Succeeded(Frozen):
    """The video is finished and can be downloaded; `url` where the vendor hands out a link."""

    url: str | None = None


class Failed(Frozen):
    """The vendor gave up on this video. `detail` may quote the vendor and never reaches a channel."""

    detail: str


class Sink(Protocol):
    """Where a download goes, chunk by chunk."""

    async def write(self, chunk: bytes, /) -> None: ...


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


def _base_url(value: str) -> str:
    url = URL(value)
    if url.scheme not in {"http", "https"} or not url.host or url.user or url.query_string or url.fragment:
        raise ValueError("should be an http or https address without a user, a query or a fragment")
    return value.rstrip("/")


BaseUrl: TypeAlias = Annotated[str, AfterValidator(_base_url)]
"""Where a vendor's API lives; paths are appended to it."""


class RemoteConfig(ProviderConfig):
    """What every vendor reached over HTTP with a key has."""

    api_key: SecretStr | None = None
    request_timeout: float = Field(default=60, gt=0)
    """Seconds for one status call."""
    transfer_timeout: float = Field(default=300, gt=0)
    """Seconds for a submit with its picture, and for a download that delivers nothing."""

    @property
    def enabled(self) -> bool:
        return self.api_key is not None and bool(self.api_key.get_secret_value())


C = TypeVar("C", bound=ProviderConfig)


@dataclass(frozen=True)
class Resources:
    """What the application lends to a provider."""

    session: aiohttp.ClientSession
    folder: Path
    """The provider's own; what it writes there is still there after a restart."""
    trusted_hosts: frozenset[str] = frozenset()
    """Hosts that may be private and plain http although a vendor's answer names them."""
    max_video_bytes: int = 200_000_000


class Provider(ABC, Generic[C]):
    """One vendor. An instance is made once and used by many jobs at a time."""

    name: ClassVar[str]
    """The module's name: what people type, the settings' prefix, the value in the store."""
    label: ClassVar[str]
    """What people read."""
    Config: ClassVar[type[ProviderConfig]]
    looks_per_minute: ClassVar[int | None] = None
    """The vendor's limit on polls for one key."""
    shortest_wait: ClassVar[float] = 2.0
    """Seconds between two looks at one operation, at the least."""

    def __init__(self, config: C, resources: Resources) -> None:
        self.config = config
        self.resources = resources

    @property
    def max_jobs(self) -> int | None:
        """How many operations may be open at once."""
        return self.config.max_jobs

    @abstractmethod
    async def models(self) -> Sequence[ModelSpec]:
        """The catalogue, best choice first; raises ProviderError where it is fetched."""

    @abstractmethod
    async def submit(self, request: VideoRequest) -> Operation:
        """Start making a video, once. This is a purchase: a caller never repeats it after Uncertain."""

    @abstractmethod
    async def poll(self, operation: Operation) -> Pending | Succeeded | Failed:
        """Look once. An unknown status word is Pending; only a deadline ends those."""

    @abstractmethod
    async def download(self, operation: Operation, video: Succeeded, sink: Sink) -> None:
        """Stream the finished file into the sink. What arrives is unverified."""

    def check(self, request: VideoRequest, spec: ModelSpec) -> None:
        """Raise OptionRefused for combinations that the spec alone cannot express."""

    async def verify(self) -> None:
        """Raise a ProviderError if the key does not work. Costs nothing."""
        await self.models()

    async def cancel(self, operation: Operation) -> None:
        """Tell the vendor to stop, where it can be told; best effort."""

    async def cleanup(self, operation: Operation) -> None:
        """Let the vendor forget the operation, once the file is safe or the job is over; best effort."""

    async def close(self) -> None:
        """Stop what the provider itself has running."""
