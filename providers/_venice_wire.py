"""Venice's JSON: what is sent, and the numbers in what comes back."""

import json
from base64 import b64encode
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue

from providers.base import Operation
from providers.fields import DEAREST, LONGEST_TIME, Identifier, Link, Word, number
from providers.http import JsonObject
from providers.options import SourceAudio, SourceImage
from providers.specs import VideoRequest

_PRICED = ("model", "duration", "resolution", "aspect_ratio", "audio")
"""What a quote is asked by: the words and files cost nothing."""


def _milliseconds(said: object) -> float | None:
    found = number(said, 0, LONGEST_TIME * 1000)
    return None if found is None else found / 1000


Milliseconds: TypeAlias = Annotated[float | None, BeforeValidator(_milliseconds)]
"""Read as seconds."""


class Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Queued(Answer):
    queue_id: Identifier = None
    model: Identifier = None
    download_url: Link = None


class Status(Answer):
    status: Word = ""
    average_execution_time: Milliseconds = None
    execution_duration: Milliseconds = None
    error: JsonValue = None


def handle(operation: Operation) -> JsonObject:
    return {"model": operation["model"], "queue_id": operation["queue_id"]}


def retrieval(operation: Operation) -> JsonObject:
    # Deleted on retrieval, a paid video is lost with the connection; cleanup deletes it when it is safe.
    return {**handle(operation), "delete_media_on_completion": False}


def _options(request: VideoRequest) -> JsonObject:
    wanted: JsonObject = {
        "model": request.model,
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "duration": None if request.duration is None else f"{request.duration}s",
        "resolution": request.resolution,
        "aspect_ratio": request.aspect_ratio,
        "audio": request.audio,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def priced(request: VideoRequest) -> JsonObject:
    return {name: value for name, value in _options(request).items() if name in _PRICED}


def order(request: VideoRequest) -> JsonObject:
    files = {
        "image_url": request.image,
        "end_image_url": request.end_image,
        "audio_url": request.audio_file,
    }
    return _options(request) | {name: _data_url(file) for name, file in files.items() if file is not None}


def _data_url(file: SourceImage | SourceAudio) -> str:
    return f"data:{file.media_type};base64,{b64encode(file.data).decode()}"


def remaining(found: Status) -> float | None:
    """Seconds until four of five such videos are finished."""
    usual, spent = found.average_execution_time, found.execution_duration
    return None if usual is None or spent is None else max(0.0, usual - spent)


def micros(body: bytes) -> int | None:
    """The quote to the nearest millionth of a dollar; digits are taken as they are written."""
    try:
        price = json.loads(body, parse_float=Decimal, parse_int=Decimal)["quote"]
    except (ValueError, ArithmeticError, LookupError, TypeError, RecursionError):
        return None
    if not isinstance(price, Decimal) or not 0 <= price < DEAREST // 1_000_000:
        return None
    return int((price * 1_000_000).to_integral_value(ROUND_HALF_UP))
