"""The kinds of option that a model can have, and what each allows."""

import math
from collections.abc import Sequence
from typing import Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

T = TypeVar("T", int, str)
_MOST_VALUES = 500
_LONGEST_VALUE = 100
"""Characters; Discord shows no more of a choice."""
_CHOOSABLE = 25
"""Values fit in a list to choose from; Discord shows no more."""
_HUGE = 1000
"""Nobody chooses a round value from a longer span."""
_ROUND = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Distances between round values; the last is enough for the longest span."""
_UNWANTED = ("blurry, distorted", "text, watermark, logo", "flicker, shaking camera")
_AUDIO_KINDS = {"audio/mpeg": "MP3", "audio/wav": "WAV"}


class Frozen(BaseModel):
    """An immutable value that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceImage(Frozen):
    """A picture ready for a vendor: upright, without metadata, within the model's limits."""

    data: bytes = Field(repr=False)
    media_type: str
    width: int
    height: int


class SourceAudio(Frozen):
    """A sound file as the member attached it; its type is found by looking into it."""

    data: bytes = Field(repr=False)
    media_type: str
    seconds: float


class Choice(Frozen, Generic[T]):
    """An option with a fixed list of values; without a default, an unset option is not sent."""

    values: tuple[T, ...] = Field(min_length=1, max_length=_MOST_VALUES)
    default: T | None = None

    @field_validator("values")
    @classmethod
    def _are_words(cls, values: tuple[T, ...]) -> tuple[T, ...]:
        if any(len(text := str(value)) > _LONGEST_VALUE or not text.isprintable() for value in values):
            raise ValueError("should be values that people can read and type")
        return values

    @property
    def suggestions(self) -> Sequence[T]:
        """Values worth offering to somebody who chooses."""
        return self.values

    def allows(self, value: object) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return ", ".join(str(value) for value in self.values)


def _spread(low: float, high: float, default: float | None) -> Sequence[float]:
    """The ends, the default, and round values evenly between them, as fine as there is room for."""
    if high - low > _HUGE:
        return ()
    room = _CHOOSABLE - 4  # n distances lie between n + 1 values; low, high and default come on top
    step = next(step for step in _ROUND if (high - low) / step <= room)
    between = (
        round(number * step, 2) for number in range(math.ceil(low / step), math.floor(high / step) + 1)
    )
    return sorted({low, high, low if default is None else default, *between})


class Span(Frozen):
    """An option that takes any whole number from `low` to `high`."""

    low: int
    high: int
    default: int | None = None

    @property
    def suggestions(self) -> Sequence[int]:
        """Every value of a short span, round ones of a longer one, and none of a huge one."""
        if self.high - self.low < _CHOOSABLE:
            return range(self.low, self.high + 1)
        return [int(value) for value in _spread(self.low, self.high, self.default)]

    def allows(self, value: object) -> bool:
        return isinstance(value, int) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low} to {self.high}"


class Decimals(Frozen):
    """An option that takes any number from `low` to `high`."""

    low: float
    high: float
    default: float | None = None

    @property
    def suggestions(self) -> Sequence[float]:
        return _spread(self.low, self.high, self.default)

    def allows(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


class Flag(Frozen):
    """An option that is on or off; without a default, an unset option is not sent."""

    default: bool | None = None

    @property
    def suggestions(self) -> Sequence[bool]:
        return (True, False)

    def allows(self, value: object) -> bool:
        return isinstance(value, bool)

    def __str__(self) -> str:
        return "on or off"


class Text(Frozen):
    """An option that takes words, up to a number of characters."""

    limit: int
    default: None = None

    @property
    def suggestions(self) -> Sequence[str]:
        """What is often not wanted: models that take words take them for what must not be seen."""
        return tuple(words for words in _UNWANTED if self.allows(words))

    def allows(self, value: object) -> bool:
        return isinstance(value, str) and len(value) <= self.limit

    def __str__(self) -> str:
        return f"up to {self.limit} characters"


class ImageLimits(Frozen):
    """What a model accepts as a picture; larger ones are scaled and re-encoded to fit."""

    max_bytes: int = 10_000_000
    max_side: int = 2048
    """Pixels."""
    default: None = None

    @property
    def suggestions(self) -> Sequence[str]:
        return ()

    def allows(self, value: object) -> bool:
        return (
            isinstance(value, SourceImage)
            and len(value.data) <= self.max_bytes
            and max(value.width, value.height) <= self.max_side
        )

    def __str__(self) -> str:
        return f"a picture of up to {self.max_side} pixels and {self.max_bytes / 1_000_000:.2g} MB"


class AudioLimits(Frozen):
    """What a model accepts as a sound file; nothing is re-encoded."""

    max_bytes: int
    max_seconds: float
    media_types: tuple[str, ...]
    default: None = None

    @property
    def suggestions(self) -> Sequence[str]:
        return ()

    def allows(self, value: object) -> bool:
        return (
            isinstance(value, SourceAudio)
            and value.media_type in self.media_types
            and len(value.data) <= self.max_bytes
            and value.seconds <= self.max_seconds
        )

    def __str__(self) -> str:
        kinds = " or ".join(_AUDIO_KINDS.get(kind, kind) for kind in self.media_types)
        return f"{kinds} of up to {self.max_seconds:g} seconds and {self.max_bytes // 1_000_000} MB"


Limits: TypeAlias = Choice[int] | Choice[str] | Span | Decimals | Flag | Text | ImageLimits | AudioLimits
