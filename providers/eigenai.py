"""EigenAI: a form with the picture goes in, a task is looked at, the result call answers with the MP4."""

from collections.abc import Mapping, Sequence
from io import BytesIO

import aiohttp
from pydantic import BaseModel, ConfigDict, JsonValue

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
from providers.errors import InvalidRequest, NotFound, Uncertain
from providers.fields import Identifier, Word
from providers.http import Api
from providers.options import ImageLimits, Span
from providers.specs import Mode, ModelSpec, VideoRequest

WAN_TURBO = ModelSpec(
    id="wan2p2-i2v-14b-turbo",
    name="Wan 2.2 Turbo",
    mode=Mode.IMAGE_TO_VIDEO,
    image=ImageLimits(max_bytes=10_000_000),
    steps=Span(low=1, high=20, default=5),
    seed=Span(low=0, high=2**31 - 1),
)


class EigenAIConfig(RemoteConfig):
    base_url: BaseUrl = "https://api-web.eigenai.com"


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Submitted(_Answer):
    task_id: Identifier = None


class _Status(_Answer):
    status: Word = ""
    error: JsonValue = None


class EigenAI(Provider[EigenAIConfig]):
    name = "eigenai"
    label = "EigenAI"
    Config = EigenAIConfig
    terms = Terms(poll_interval=5.0)  # no limit is stated

    def __init__(self, config: EigenAIConfig, resources: Resources) -> None:
        super().__init__(config, resources)
        key = config.api_key.get_secret_value() if config.api_key else ""
        self._api = Api(resources, config, config.base_url, {"Authorization": f"Bearer {key}"})

    async def models(self) -> Sequence[ModelSpec]:
        return [WAN_TURBO]

    async def submit(self, request: VideoRequest) -> Operation:
        answer = await self._api.submit("/api/v1/generate", data=_form(request))
        task_id = _Submitted.model_validate(answer).task_id
        if task_id is None:
            raise Uncertain(f"no task_id in the answer: {self._api.quote(answer)}")
        return {"task_id": task_id, "model": request.model}

    async def poll(self, operation: Operation) -> Pending | Succeeded | Failed:
        answer = await self._api.ask("GET", "/api/v1/generate/status", params=_query(operation))
        found = _Status.model_validate(answer)
        match found.status:
            case "completed":
                return Succeeded()
            case "failed":
                return Failed(detail=self._api.quote(found.error or "no reason given"))
            case _:
                return Pending()

    async def download(
        self,
        operation: Operation,
        video: Succeeded,  # noqa: ARG002 - it carries no link here
        sink: Sink,
    ) -> None:
        await self._api.download("/api/v1/generate/result", sink, params=_query(operation))

    async def verify(self) -> None:
        # A look at a task that never was: only a key that works gets as far as not finding it.
        try:
            await self.poll({"task_id": "key-check", "model": WAN_TURBO.id})
        except (NotFound, InvalidRequest):
            return


def _form(request: VideoRequest) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("model", request.model)
    form.add_field("prompt", request.prompt)
    for field, value in (("infer_steps", request.steps), ("seed", request.seed)):
        if value is not None:
            form.add_field(field, str(value))
    if request.image is not None:
        kind = request.image.media_type
        filename = f"picture.{kind.rpartition('/')[2]}"
        form.add_field("image", BytesIO(request.image.data), filename=filename, content_type=kind)
    return form


def _query(operation: Operation) -> Mapping[str, str]:
    """The task's id is called `jobId` here, and the model is asked for each time."""
    return {"jobId": str(operation["task_id"]), "model": str(operation["model"])}
