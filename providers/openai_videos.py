"""OpenAI Videos: the operator's own GPU, where vLLM-Omni or SGLang serve Wan behind OpenAI's video API."""

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from typing import Annotated, Literal, TypeAlias
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from providers.base import (
    BaseUrl,
    Failed,
    Operation,
    Pending,
    Provider,
    RemoteConfig,
    Resources,
    Sink,
    Succeeded,
    Terms,
)
from providers.errors import NotFound, Uncertain
from providers.fields import Identifier, Link, ModelId, Word, entries, number
from providers.http import Api, JsonObject, instant, link_expiry
from providers.options import Choice, Decimals, Span, Text
from providers.specs import LONGEST_PROMPT, Mode, ModelSpec, VideoRequest

Resolution: TypeAlias = Literal["480p", "720p"]
PIXELS: Mapping[str, int] = {"480p": 832 * 480, "720p": 1280 * 720}
"""Of one frame, whatever its shape."""
GRID = 32
"""Every Wan takes sides that are multiples of this; some take no others."""
LONGEST = 4.0
"""A frame's long side is at most so many times the short one; a picture beyond that is squeezed."""
RATIOS: Mapping[str, float] = {"16:9": 16 / 9, "9:16": 9 / 16, "1:1": 1, "4:3": 4 / 3, "3:4": 3 / 4}
BOTH = (Mode.IMAGE_TO_VIDEO, Mode.TEXT_TO_VIDEO)
TASKS: Mapping[str, Sequence[Mode]] = {
    "TI2V": BOTH,
    "I2V": (Mode.IMAGE_TO_VIDEO,),
    "T2V": (Mode.TEXT_TO_VIDEO,),
}
"""What SGLang calls its model's task, and what the names of Wan's models have in them."""
FROM_TEXT = ":text"
"""Ends the id of a model's second spec, where one model works from pictures and from words alone."""
DONE = {"completed", "succeeded", "success"}
OVER = {"failed", "error", "cancelled", "canceled", "expired", "aborted", "deleted"}


class OpenAIVideosConfig(RemoteConfig):
    base_url: BaseUrl = Field(default="", examples=["http://127.0.0.1:8091/v1"])
    """The provider is enabled where this is set, with a key or without."""
    server: Literal["vllm", "sglang"] = "vllm"
    mode: Literal["text-to-video", "image-to-video", "both"] | None = None
    """What the model works from; None for what the server says or the model's name tells."""
    durations: tuple[Annotated[int, Field(ge=1, le=60)], ...] = Field(default=(5, 3), min_length=1)
    """Seconds on offer; the first is for those who choose none."""
    resolutions: tuple[Resolution, ...] = Field(default=("480p", "720p"), min_length=1)
    fps: int = Field(default=16, ge=8, le=60)
    """What the model was trained at: 16 for most of Wan, 24 for Wan 2.2 TI2V 5B."""
    max_jobs: int | None = Field(default=1, ge=1)
    """A GPU makes one video at a time, and our queue is fairer than the server's."""

    @property
    def enabled(self) -> bool:
        return bool(self.base_url)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Job(_Answer):
    id: Identifier = None
    status: Word = ""
    progress: JsonValue = None
    error: JsonValue = None
    expires_at: JsonValue = None
    url: Link = None
    """Where SGLang has uploaded the file, if it does not keep it."""


class _Model(_Answer):
    id: ModelId
    task_type: str | None = None


_MODELS = TypeAdapter(tuple[_Model, ...])


class OpenAIVideos(Provider[OpenAIVideosConfig]):
    name = "openai_videos"
    label = "OpenAI Videos"
    Config = OpenAIVideosConfig
    terms = Terms(publishes_models=True)

    def __init__(self, config: OpenAIVideosConfig, resources: Resources) -> None:
        super().__init__(config, resources)
        # SGLang only forgets what is cancelled.
        self.terms = replace(self.terms, stops_on_cancel=config.server == "vllm")
        key = config.api_key.get_secret_value() if config.api_key else ""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._api = Api(resources, config, config.base_url, headers)
        # Cloud storage needs no key, wherever it is.
        self._files = Api(resources, config, config.base_url, {})

    async def models(self) -> Sequence[ModelSpec]:
        served = await self._api.catalogue("/models", _served)
        return [
            _spec(self.config, model.id, mode, second=position > 0)
            for model in served
            for position, mode in enumerate(_modes(self.config, model))
        ]

    async def submit(self, request: VideoRequest) -> Operation:
        fields = _fields(self.config, request)
        # vLLM takes forms only. SGLang takes both, and its early releases a form only with a file in it.
        if request.image is None and self.config.server == "sglang":
            answer = await self._api.submit("/videos", json=fields)
        else:
            answer = await self._api.submit("/videos", data=_form(fields, request))
        job_id = _Job.model_validate(answer).id
        if job_id is None:
            # Not quoted: these answers name paths on the server.
            raise Uncertain("no id in the answer")
        return {"id": job_id}

    async def poll(self, operation: Operation) -> Pending | Succeeded | Failed:
        job = _Job.model_validate(await self._api.ask("GET", _path(operation)))
        match job.status:
            case word if word in DONE:
                return Succeeded(url=_link(job.url), expires_at=_expiry(job))
            case word if word in OVER:
                return Failed(detail=self._api.quote(job.error or f"{word}: no reason given"))
            case _:
                return Pending(progress=_progress(job.progress))

    async def download(self, operation: Operation, video: Succeeded, sink: Sink) -> None:
        if video.url is None:
            await self._api.download(f"{_path(operation)}/content", sink)
        else:
            await self._files.download(video.url, sink)

    async def cancel(self, operation: Operation) -> None:
        # vLLM stops working on it, SGLang only forgets it.
        with suppress(NotFound):
            await self._api.ask("DELETE", _path(operation))

    async def cleanup(self, operation: Operation) -> None:
        await self.cancel(operation)


def _served(answer: JsonValue) -> Sequence[_Model]:
    """The models that are listed. Raises Uncertain for what is no list of models."""
    listed = answer.get("data", []) if isinstance(answer, dict) else None
    if not isinstance(listed, list):
        raise Uncertain("no list of models")
    try:
        return _MODELS.validate_python(entries(listed))
    except ValueError as error:
        raise Uncertain("no list of models") from error


def _path(operation: Operation) -> str:
    return f"/videos/{quote(str(operation['id']), safe='')}"


def _modes(config: OpenAIVideosConfig, model: _Model) -> Sequence[Mode]:
    """What is set, else what the server says, else what the name says; who says nothing may do both."""
    if config.mode is not None:
        return BOTH if config.mode == "both" else (Mode(config.mode),)
    if model.task_type is not None:
        return TASKS.get(model.task_type.upper(), ())
    named = re.search("TI2V|I2V|T2V", model.id.upper())
    return TASKS[named[0]] if named else BOTH


def _spec(config: OpenAIVideosConfig, model: str, mode: Mode, *, second: bool) -> ModelSpec:
    from_text = mode is Mode.TEXT_TO_VIDEO
    return ModelSpec(
        id=model + FROM_TEXT if second else model,
        # The id is often a path, of a repository or of a folder on the server.
        name=model.rstrip("/").rpartition("/")[2],
        mode=mode,
        duration=Choice(values=config.durations, default=config.durations[0]),
        resolution=Choice[str](values=config.resolutions, default=config.resolutions[0]),
        aspect_ratio=Choice(values=tuple(RATIOS), default="16:9") if from_text else None,
        negative_prompt=Text(limit=LONGEST_PROMPT),
        seed=Span(low=0, high=2**31 - 1),
        steps=Span(low=1, high=200),
        guidance=Decimals(low=0, high=20),
        # From submit; one GPU takes minutes, and what others have sent it comes first.
        deadline_seconds=3600,
    )


def _fields(config: OpenAIVideosConfig, request: VideoRequest) -> JsonObject:
    seconds = request.duration or config.durations[0]
    fields: JsonObject = {
        "model": request.model.removesuffix(FROM_TEXT),
        "prompt": request.prompt,
        "seconds": seconds,
        # Wan makes 4n + 1 frames. vLLM makes a single one for those who do not say how many.
        "num_frames": seconds * config.fps // 4 * 4 + 1,
        "fps": config.fps,
        "size": _size(config, request),
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
        "num_inference_steps": request.steps,
        "guidance_scale": request.guidance,
    }
    return {field: value for field, value in fields.items() if value is not None}


def _size(config: OpenAIVideosConfig, request: VideoRequest) -> str:
    """Width and height with the picture's shape, or the chosen one, and about as many pixels as asked for."""
    picture = request.image
    ratio = picture.width / picture.height if picture else RATIOS[request.aspect_ratio or "16:9"]
    ratio = min(LONGEST, max(1 / LONGEST, ratio))
    height = math.sqrt(PIXELS[request.resolution or config.resolutions[0]] / ratio)
    width, height = (max(1, round(side / GRID)) * GRID for side in (height * ratio, height))
    return f"{width}x{height}"


def _form(fields: JsonObject, request: VideoRequest) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    for field, value in fields.items():
        form.add_field(field, str(value))
    if request.image is not None:
        kind = request.image.media_type
        filename = f"picture.{kind.rpartition('/')[2]}"
        form.add_field("input_reference", BytesIO(request.image.data), filename=filename, content_type=kind)
    return form


def _link(said: str | None) -> str | None:
    return said if said is not None and said.startswith(("https://", "http://")) else None


def _expiry(job: _Job) -> datetime | None:
    link = _link(job.url)
    return instant(job.expires_at) or (link_expiry(link) if link else None)


def _progress(said: JsonValue) -> float | None:
    """None for 0 too: SGLang says 0 until it is done."""
    percent = number(said, 0, 100)
    return percent / 100 if percent else None
