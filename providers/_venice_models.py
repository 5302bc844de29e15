"""Venice's catalogue, which changes by the week: what each listed model takes.

Sources: the schema "Video Model Constraints" of the OpenAPI document; for `audio_input`, `video_input` and
what ids tell, answers of the live catalogue that clients have kept, which have more than the schema.
"""

import re
from typing import Annotated, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from providers.fields import LONGEST_TEXT, LONGEST_WORD, ModelId, Moment, entries, number
from providers.options import AudioLimits, Choice, Flag, ImageLimits, Text
from providers.specs import Mode, ModelSpec

T = TypeVar("T", int, str)

Options: TypeAlias = Annotated[list[Annotated[str, Field(max_length=LONGEST_WORD)]], Field(max_length=200)]
"""A model that lists more, or longer ones, is left out."""

PROMPT_LIMIT = 2500
"""For models that state none."""
DEADLINE = 3600
"""What is paid for is waited for: links last 24 hours, and some models take long."""

# A request may have 35 MB as JSON by the guide, and 25 MB by an error's example; files grow by a third in it.
ONLY_FILE = ImageLimits(max_bytes=18_000_000)
ONE_OF_SEVERAL = ImageLimits(max_bytes=5_000_000)
SOUND = AudioLimits(max_bytes=15_000_000, max_seconds=30, media_types=("audio/wav", "audio/mpeg"))

_REFERENCES = "reference-to-video"
"""In ids of models that say image-to-video, but take pictures as examples and not as the first frame."""
_END_IMAGE = ("first-last-frame", "transition")
"""In ids of models that lead from one picture to another; no constraint tells them apart."""


def _letters(said: object) -> float | None:
    return number(said, 1, LONGEST_TEXT)


class _Listed(BaseModel):
    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: JsonValue) -> JsonValue:
        """A field that is null is a field that is not there."""
        if not isinstance(value, dict):
            return value
        return {name: found for name, found in value.items() if found is not None}


class _Constraints(_Listed):
    model_type: str
    durations: Options
    resolutions: Options = []
    aspect_ratios: Options = []
    audio_configurable: bool = False
    audio_input: bool = False
    video_input: bool = False
    prompt_character_limit: Annotated[float | None, BeforeValidator(_letters)] = None


class _Deprecation(_Listed):
    removesAt: Moment = None  # noqa: N815 - Venice's spelling
    date: Moment = None
    """The same instant by its old name."""


class _Spec(_Listed):
    constraints: _Constraints
    name: str | None = None
    offline: bool = False
    deprecation: _Deprecation = _Deprecation()


class _Model(_Listed):
    id: ModelId
    model_spec: _Spec


def specs(catalogue: JsonValue) -> list[ModelSpec]:
    """The models that can be used here: for pictures first, and those that stay before those that go."""
    found = {spec.id: spec for entry in entries(catalogue) if (spec := _spec(entry))}
    return sorted(
        found.values(),
        key=lambda spec: (
            spec.mode is not Mode.IMAGE_TO_VIDEO,
            spec.retires is not None,
            spec.end_image is not None,
        ),
    )


def _spec(entry: JsonValue) -> ModelSpec | None:
    try:
        model = _Model.model_validate(entry)
        limits = model.model_spec.constraints
        mode = Mode(limits.model_type)
    except (ValidationError, ValueError):
        return None
    seconds = sorted({int(found[1]) for text in limits.durations if (found := _SECONDS.fullmatch(text))})
    # A request must have a duration: without one to choose, as with upscalers, there is nothing to send.
    if model.model_spec.offline or limits.video_input or _REFERENCES in model.id or not seconds:
        return None
    end = model.model_spec.deprecation.removesAt or model.model_spec.deprecation.date
    is_between = mode is Mode.IMAGE_TO_VIDEO and any(word in model.id for word in _END_IMAGE)
    image = ONE_OF_SEVERAL if is_between or limits.audio_input else ONLY_FILE
    prompt_limit = int(limits.prompt_character_limit or PROMPT_LIMIT)
    return ModelSpec(
        id=model.id,
        name=model.model_spec.name or model.id,
        mode=mode,
        prompt_limit=prompt_limit,
        image=image,
        duration=_choice(seconds, 5),
        resolution=_choice(limits.resolutions, "720p"),
        aspect_ratio=_choice(limits.aspect_ratios, "16:9"),
        negative_prompt=Text(limit=prompt_limit),
        audio=Flag() if limits.audio_configurable else None,
        end_image=image if is_between else None,
        audio_file=SOUND if limits.audio_input else None,
        deadline_seconds=DEADLINE,
        retires=None if end is None else end.date(),
    )


_SECONDS = re.compile(r"([1-9]\d?)s")


def _choice(values: list[T], usual: T) -> Choice[T] | None:
    """A model that lists values wants one of them; the usual one is what the API once took by default."""
    if not values:
        return None
    return Choice(values=tuple(values), default=usual if usual in values else values[0])
