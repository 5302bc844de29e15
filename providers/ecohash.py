"""EcoHash: JSON with a number of frames goes in, a job is looked at, a link to the MP4 on S3 comes out."""

import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from http import HTTPStatus
from time import monotonic
from typing import Annotated
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

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
from providers.errors import Forbidden, OutOfFunds, Overloaded, ProviderError, Uncertain, Unusable
from providers.fields import Identifier, Link, ModelId, Seconds, Word, entries, from_dollars
from providers.http import Api, JsonObject, link_expiry
from providers.limits import RateLimit, rate_below
from providers.options import Choice, Decimals, Span
from providers.specs import Mode, ModelSpec, Per, Price, VideoRequest

FPS = 16
"""Wan makes 4n + 1 frames, here 81 at most: at 16 a second, 16 s + 1 of them last s seconds and a frame."""
_LONGEST = 600
"""Seconds; no video of these models lasts longer."""
CALLS_PER_MINUTE = 200
"""For one key, of every kind."""
JOBS = "/v1/video/generations"
CATALOGUE = "/platform/models"
UNSOLD_FOR = 6 * 3600.0
"""Seconds; by then, a model that had no price yet may have one."""


def _spec(model: str, name: str, price: Price | None = None) -> ModelSpec:
    return ModelSpec(
        id=model,
        name=name,
        mode=Mode.TEXT_TO_VIDEO,
        duration=Choice(values=(2, 3, 4, 5), default=2),
        steps=Span(low=20, high=80, default=50),
        guidance=Decimals(low=1, high=20, default=5.0),
        seed=Span(low=0, high=2**31 - 1),
        price=price,
        typical_seconds=120,
    )


WAN_21 = _spec("wan21-t2v-1-3b", "Wan 2.1 T2V 1.3B")
"""The one model of the documentation, for as long as the catalogue cannot be had."""


class EcoHashConfig(RemoteConfig):
    base_url: BaseUrl = "https://api.ecohash.com"
    max_jobs: int | None = Field(default=5, ge=1)
    """An account may have five jobs pending or processing."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Job(_Answer):
    id: Identifier = None
    status: Word = ""
    video_url: Link = None
    duration_seconds: Seconds = None
    error: JsonValue = None


class _Entry(_Answer):
    model_id: ModelId
    category: str
    input_modalities: tuple[str, ...]
    display_name: str | None = None
    min_price_per_second: Annotated[int | None, BeforeValidator(from_dollars)] = None


class EcoHash(Provider[EcoHashConfig]):
    name = "ecohash"
    label = "EcoHash"
    Config = EcoHashConfig
    terms = Terms(
        polls_per_minute=rate_below(CALLS_PER_MINUTE) * 9 // 10,  # the rest are for everything else
        builtin=(WAN_21,),
    )

    def __init__(
        self, config: EcoHashConfig, resources: Resources, *, time: Callable[[], float] = monotonic
    ) -> None:
        super().__init__(config, resources)
        key = config.api_key.get_secret_value() if config.api_key else ""
        headers = {"Authorization": f"Bearer {key}"}
        self._calls = calls = RateLimit(CALLS_PER_MINUTE)
        self._api = Api(resources, config, config.base_url, headers, refine=_refined, rate_limit=calls)
        # They wait in `rate_limit`.
        self._orders = Api(resources, config, config.base_url, headers, refine=_refined)
        # S3 takes no key, and a file kept on the vendor's own host would be sent it.
        self._files = Api(resources, config, config.base_url, {})
        self._listed: Sequence[ModelSpec] = ()
        self._time = time
        self._unsold: dict[str, float] = {}
        """Models without a price, and until when they are not offered."""

    async def models(self) -> Sequence[ModelSpec]:
        try:
            self._listed = await self._api.catalogue(CATALOGUE, _specs, params={"status": "active"})
        except ProviderError:
            if not self._listed:
                raise
        now = self._time()
        return [spec for spec in self._listed or (WAN_21,) if self._unsold.get(spec.id, now) <= now]

    @asynccontextmanager
    async def rate_limit(self) -> AsyncGenerator[None]:
        await self._calls.spend()
        yield

    async def submit(self, request: VideoRequest) -> Operation:
        try:
            answer = await self._orders.submit(JOBS, json=_body(request))
        except Forbidden as error:
            if error.status == HTTPStatus.PAYMENT_REQUIRED:
                self._unsold[request.model] = self._time() + UNSOLD_FOR
            raise
        job_id = _Job.model_validate(answer).id
        if job_id is None:
            raise Uncertain(f"no id in the answer: {self._api.quote(answer)}")
        return {"id": job_id, "model": request.model}

    async def poll(self, operation: Operation) -> Pending | Succeeded | Failed:
        job = _Job.model_validate(
            await self._api.ask("GET", f"{JOBS}/{quote(str(operation['id']), safe='')}")
        )
        match job.status:
            case "completed" if job.video_url is not None:
                return Succeeded(
                    url=job.video_url,
                    cost_micros=self._cost(operation, job),
                    expires_at=link_expiry(job.video_url),
                )
            case "completed":
                return Failed(detail="completed without a video")
            case "failed":
                return Failed(detail=self._api.quote(job.error or "no reason given"))
            case _:
                return Pending()

    async def download(
        self,
        operation: Operation,  # noqa: ARG002 - the link says it all
        video: Succeeded,
        sink: Sink,
    ) -> None:
        if video.url is None:
            raise Unusable("a video without a link")
        await self._files.download(video.url, sink)

    def _cost(self, operation: Operation, job: _Job) -> int | None:
        """The bill is by the second of the video as it came out."""
        seconds = job.duration_seconds
        price = next((spec.price for spec in self._listed if spec.id == operation.get("model")), None)
        if price is None or seconds is None or seconds >= _LONGEST:
            return None
        return math.ceil(Decimal(str(seconds)) * price.usd_micros)

    async def verify(self) -> None:
        # The catalogue is for everybody; this list is for those with a key.
        await self._api.ask("GET", "/v1/models")


def _refined(error: ProviderError, body: JsonObject) -> ProviderError:
    """What two of EcoHash's refusals mean here."""
    # No room now, as for an account's sixth job; the request itself is in order.
    if error.status == HTTPStatus.CONFLICT:
        return Overloaded(error.detail, status=error.status)
    # 402 as well, but one model's fault: no reason to stop sending the others here.
    if isinstance(error, OutOfFunds) and body.get("error") == "model_not_priced":
        return Forbidden(error.detail, status=error.status)
    return error


def _body(request: VideoRequest) -> JsonObject:
    body: JsonObject = {
        "model": request.model,
        "prompt": request.prompt,
        "num_frames": None if request.duration is None else FPS * request.duration + 1,
        "fps": FPS,
        "num_inference_steps": request.steps,
        "guidance_scale": request.guidance,
        "seed": request.seed,
    }
    return {field: value for field, value in body.items() if value is not None}


def _specs(catalogue: JsonValue) -> Sequence[ModelSpec]:
    """The models that make a video from words alone; the list may come wrapped in an object."""
    return [
        _spec(entry.model_id, entry.display_name or entry.model_id, _price(entry.min_price_per_second))
        for entry in map(_entry, entries(catalogue))
        if entry is not None and entry.category == "video" and set(entry.input_modalities) == {"text"}
    ]


def _entry(value: JsonValue) -> _Entry | None:
    try:
        return _Entry.model_validate(value)
    except ValidationError:
        return None


def _price(micros: int | None) -> Price | None:
    """None too where the price is nothing: that is a price yet to be set."""
    return Price(usd_micros=micros, per=Per.SECOND, at_least=True) if micros else None
