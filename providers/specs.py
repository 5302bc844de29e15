"""What can be asked of a video model, and what each model takes of it."""

import math
import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from providers.fields import DEAREST, ModelId
from providers.options import (
    AudioLimits,
    Choice,
    Decimals,
    Flag,
    Frozen,
    ImageLimits,
    Limits,
    SourceAudio,
    SourceImage,
    Span,
    Text,
)

LONGEST_PROMPT = 6000
"""Characters; people cannot type more into an option of a command."""
_LONGEST_NAME = 60
_RATIO = re.compile(r"([1-9]\d{0,3}):([1-9]\d{0,3})")


class Mode(StrEnum):
    IMAGE_TO_VIDEO = "image-to-video"
    TEXT_TO_VIDEO = "text-to-video"


class VideoRequest(Frozen):
    """What a person asked for. `None` means that they left it to the model.

    Attached files are not part of the JSON form: they can be large, and callers keep them in files.
    """

    model: str
    prompt: str
    image: SourceImage | None = Field(default=None, exclude=True, repr=False)
    image_size: tuple[int, int] | None = None
    """Width and height of `image`, for whoever completes the request without it."""
    end_image: SourceImage | None = Field(default=None, exclude=True, repr=False)
    """What the video ends on."""
    audio_file: SourceAudio | None = Field(default=None, exclude=True, repr=False)
    """What is heard, or what moves the picture."""
    duration: int | None = None
    """Seconds."""
    resolution: str | None = None
    aspect_ratio: str | None = None
    negative_prompt: str | None = None
    """What must not be seen."""
    audio: bool | None = None
    """Whether the model makes sound as well."""
    effect: str | None = None
    enhance_prompt: bool | None = None
    """Whether the vendor may rewrite the prompt."""
    fast: bool | None = None
    """Sooner, and not as good."""
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    """How closely the model keeps to the prompt."""

    def with_files(self, files: Mapping[str, SourceImage | SourceAudio]) -> "VideoRequest":
        """The request with these files, by field, and with the picture's size."""
        image = files.get("image")
        size = (image.width, image.height) if isinstance(image, SourceImage) else None
        return self.model_copy(update={**files, "image_size": size})


class OptionRefused(ValueError):
    """A request asks for something its model does not take; the message is a sentence for the person.

    `option` is set if the model does not have that option at all.
    """

    def __init__(self, message: str, option: str | None = None) -> None:
        super().__init__(message)
        self.option = option


OPTIONS: Mapping[str, str] = {
    "duration": "duration",
    "resolution": "resolution",
    "aspect_ratio": "aspect ratio",
    "negative_prompt": "negative prompt",
    "audio": "sound",
    "effect": "effect",
    "enhance_prompt": "prompt enhancement",
    "fast": "fast mode",
    "seed": "seed",
    "steps": "number of steps",
    "guidance": "guidance",
    "end_image": "end picture",
    "audio_file": "sound file",
}
"""Options that only some models take: the field of VideoRequest and ModelSpec, and its name in a sentence."""


class Per(StrEnum):
    VIDEO = "video"
    SECOND = "second"


class Price(Frozen):
    """A published price, in millionths of a US dollar."""

    usd_micros: int = Field(ge=0, le=DEAREST)
    per: Per
    at_least: bool = False
    """The vendor may ask for more."""

    def of(self, seconds: int) -> int:
        """Millionths of a US dollar for a video of this length."""
        return self.usd_micros * (seconds if self.per is Per.SECOND else 1)


def _plain(name: str) -> str:
    # First what nobody sees: without it, the rest could come to mean something.
    seen = "".join(char for char in re.sub(r"\s", " ", name) if char.isprintable())
    line = " ".join(re.sub(r"[`*~|<>@#\\\[\]]|://", " ", seen).split())
    return line[:_LONGEST_NAME].strip() or "?"


class ModelSpec(Frozen):
    """What one model takes and what to expect of it. Everything a person can choose derives from this."""

    id: ModelId
    name: Annotated[str, AfterValidator(_plain)]
    """As people read it: whatever a vendor's list says, it formats, mentions and links nothing."""
    mode: Mode
    prompt_limit: int = LONGEST_PROMPT
    """Characters; where a vendor states no limit, nobody has to write less than they can type."""
    image: ImageLimits = ImageLimits()
    """For the picture that an image-to-video model starts from."""
    duration: Choice[int] | None = None
    resolution: Choice[str] | None = None
    aspect_ratio: Choice[str] | None = None
    negative_prompt: Text | None = None
    audio: Flag | None = None
    effect: Choice[str] | None = None
    effect_words: Mapping[str, str] = {}
    """What a prompt has to contain, by effect; `complete` adds it where it is missing."""
    enhance_prompt: Flag | None = None
    fast: Flag | None = None
    seed: Span | None = None
    steps: Span | None = None
    guidance: Decimals | None = None
    end_image: ImageLimits | None = None
    audio_file: AudioLimits | None = None
    price: Price | None = None
    """Where the vendor publishes one. A quote, where the vendor gives one, is better."""
    typical_seconds: float | None = None
    """A first guess from submit to finished; measured times replace it."""
    deadline_seconds: float = 900
    """A video still unfinished this long after submit is given up."""
    retires: date | None = None

    def limits(self, option: str) -> Limits | None:
        """What the model takes for one of OPTIONS, or None where it does not take it."""
        return getattr(self, option)

    def _words(self, request: VideoRequest) -> str:
        return self.effect_words.get(request.effect or "", "")

    def complete(self, request: VideoRequest) -> VideoRequest:
        """The request with this model's defaults filled in; a default ratio gives way to the picture's."""
        unset = (name for name in OPTIONS if getattr(request, name) is None)
        defaults = {name: limits.default for name in unset if (limits := self.limits(name)) is not None}
        defaults["prompt"] = _with_words(request.prompt, self._words(request))
        if defaults.get("aspect_ratio") is not None and self.aspect_ratio and (shape := _shape_of(request)):
            defaults["aspect_ratio"] = _nearest(self.aspect_ratio, shape)
        return request.model_copy(update=defaults)

    def takes(self, request: VideoRequest) -> bool:
        """Whether this model does everything that is asked for."""
        try:
            self.check(request)
        except OptionRefused:
            return False
        return True

    def check(self, request: VideoRequest) -> None:
        """Raise OptionRefused for anything this model does not take; nothing is ever dropped silently."""
        words = self._words(request)
        prompt = _with_words(request.prompt, words)
        if len(prompt) > self.prompt_limit:
            added = f" with {words!r} for {request.effect}" if words else ""
            raise OptionRefused(
                f"{self.name} takes prompts of up to {self.prompt_limit} characters; "
                f"yours has {len(prompt)}{added}."
            )
        if (self.mode is Mode.IMAGE_TO_VIDEO) is (request.image is None):
            needs = (
                "needs a picture"
                if request.image is None
                else "works from the prompt alone, without a picture"
            )
            raise OptionRefused(f"{self.name} {needs}.")
        if request.image is not None and not self.image.allows(request.image):
            raise OptionRefused(f"{self.name} takes {self.image}.")
        for option, words in OPTIONS.items():
            value = getattr(request, option)
            limits = self.limits(option)
            if value is None:
                continue
            if limits is None:
                raise OptionRefused(f"{self.name} does not let you choose the {words}; leave it out.", option)
            if not limits.allows(value):
                shown = f" {value}" if isinstance(value, int | float | str) else " this"
                raise OptionRefused(f"{self.name} does not take{shown} as {words}; it takes {limits}.")


def _with_words(prompt: str, words: str) -> str:
    if not words or " ".join(words.casefold().split()) in " ".join(prompt.casefold().split()):
        return prompt
    said = prompt.rstrip()
    return f"{said}{' ' if said.endswith(('.', ',', ';', ':', '!', '?')) else ', '}{words}"


def _shape_of(request: VideoRequest) -> float | None:
    """The picture's width by its height."""
    image = request.image
    width, height = (image.width, image.height) if image else request.image_size or (0, 0)
    return width / height if width > 0 and height > 0 else None


def _nearest(ratios: Choice[str], shape: float) -> str | None:
    """The ratio that crops least. Words such as `adaptive` are for a video's shape, not for a picture's."""
    shapes = {
        text: int(found[1]) / int(found[2]) for text in ratios.values if (found := _RATIO.fullmatch(text))
    }
    return min(shapes, key=lambda text: abs(math.log(shapes[text] / shape)), default=ratios.default)
