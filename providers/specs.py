"""What can be asked of a video model, and what each model takes of it."""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

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
