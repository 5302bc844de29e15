"""Venice: JSON with the picture inside goes in; asking how it stands brings the MP4 once there is one.

Sources: Venice's OpenAPI document of 2026-08-21 and its guides; where those are silent, its own command line.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress

from pydantic import Field

from providers._venice_errors import UNPROCESSABLE, refined, verdict
from providers._venice_models import specs
from providers._venice_warnings import Warnings
from providers._venice_wire import (
    Queued,
    Status,
    handle,
    micros,
    order,
    priced,
    remaining,
    retrieval,
)
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
from providers.errors import (
    InvalidRequest,
    OutOfFunds,
    ProviderError,
    Unauthorized,
    Uncertain,
)
from providers.fields import LONGEST_TEXT
from providers.http import Api, JsonObject, link_expiry
from providers.limits import FailureLimit, RateLimit, rate_below
from providers.specs import ModelSpec, VideoRequest

QUEUES_PER_MINUTE = 40
RETRIEVES_PER_MINUTE = 120
FAILURES = 20
"""More failed calls in 30 seconds, and Venice answers none for 30 seconds."""

_OVER = {"failed", "failure", "error", "errored", "cancelled", "canceled", "expired", "rejected"}
"""Status words for the end without a video. The document has none; clients have met FAILED."""


class VeniceConfig(RemoteConfig):
    base_url: BaseUrl = "https://api.venice.ai/api/v1"
    low_balance: float = Field(default=5.0, ge=0)
    """US dollars (or DIEM) below which the log has a warning."""


class Venice(Provider[VeniceConfig]):
    name = "venice"
    label = "Venice"
    Config = VeniceConfig
    terms = Terms(
        poll_interval=5.0,
        polls_per_minute=rate_below(RETRIEVES_PER_MINUTE),
        hopeless_after=300.0,  # a 500 means that inference failed, or that Venice is down for a moment
        quotes=True,
        publishes_models=True,
    )

    def __init__(self, config: VeniceConfig, resources: Resources) -> None:
        super().__init__(config, resources)
        key = config.api_key.get_secret_value() if config.api_key else ""
        self._queues = RateLimit(QUEUES_PER_MINUTE)
        self._retrieves = RateLimit(RETRIEVES_PER_MINUTE)
        self._failure_limit = failure_limit = FailureLimit(FAILURES, 30)
        warnings = Warnings(config.low_balance)
        self._api = Api(
            resources,
            config,
            config.base_url,
            {"Authorization": f"Bearer {key}"},
            failure_limit=failure_limit,
            refine=self._refined,
            notice=warnings.read,
        )
        # They wait in `rate_limit`.
        self._orders = Api(
            resources,
            config,
            config.base_url,
            {"Authorization": f"Bearer {key}"},
            refine=self._refined,
            notice=warnings.read,
        )
        # A download link is a key by itself, and takes no other, on whatever host it is.
        self._links = Api(resources, config, config.base_url, {}, failure_limit=failure_limit)

    async def models(self) -> Sequence[ModelSpec]:
        found = await self._api.catalogue("/models", specs, params={"type": "video"})
        if not found:
            raise Uncertain("no model in the catalogue can be used")
        return found

    @asynccontextmanager
    async def rate_limit(self) -> AsyncGenerator[None]:
        async with self._failure_limit.watch():
            await self._queues.spend()
            yield

    async def submit(self, request: VideoRequest) -> Operation:
        answer = await self._orders.submit("/video/queue", json=order(request))
        queued = Queued.model_validate(answer)
        if queued.queue_id is None:
            raise Uncertain(f"no queue_id in the answer: {self._api.quote(answer)}")
        # The model may be another than the one asked for, and only the one returned finds the video again.
        operation: Operation = {"queue_id": queued.queue_id, "model": queued.model or request.model}
        # Some models have a link, which is named here and never again.
        if queued.download_url is not None:
            operation["download_url"] = queued.download_url
        return operation

    async def poll(self, operation: Operation) -> Pending | Succeeded | Failed:
        try:
            answer = await self._api.ask_or_file(
                "/video/retrieve", json=retrieval(operation), rate_limit=self._retrieves
            )
        except InvalidRequest as error:
            if error.status != UNPROCESSABLE:
                raise
            return verdict(error)
        if answer is None:
            return _succeeded(operation)
        found = Status.model_validate(answer)
        if found.status == "completed":
            return _succeeded(operation)
        if found.status in _OVER:
            said = InvalidRequest(self._api.quote(found.error or "no reason given"), status=UNPROCESSABLE)
            error = self._refined(said, answer if isinstance(found.error, dict) else {**answer, "error": {}})
            return verdict(error) if isinstance(error, InvalidRequest) else Failed(detail=said.detail)
        return Pending(remaining_seconds=remaining(found))

    async def download(
        self,
        operation: Operation,
        video: Succeeded,  # noqa: ARG002 - what it needs is in the operation from the start
        sink: Sink,
    ) -> None:
        if "download_url" in operation:
            await self._links.download(str(operation["download_url"]), sink)
            return
        await self._api.download(
            "/video/retrieve", sink, json=retrieval(operation), rate_limit=self._retrieves
        )

    async def cleanup(self, operation: Operation) -> None:
        with suppress(ProviderError):
            if "download_url" in operation:
                await self._links.delete(str(operation["download_url"]))
            else:
                await self._api.ask("POST", "/video/complete", json=handle(operation))

    async def quote(self, request: VideoRequest, spec: ModelSpec) -> int | None:
        with suppress(ProviderError):
            body = await self._api.ask_bytes("/video/quote", json=priced(spec.complete(request)))
            return micros(body)
        return None

    async def verify(self) -> None:
        # The catalogue is public: it proves no key.
        limits = (await self._api.ask("GET", "/api_keys/rate_limits")).get("data")
        if isinstance(limits, dict) and limits.get("accessPermitted") is False:
            raise Unauthorized("the key may not be used to make anything")
        balance: JsonObject = {}
        with suppress(ProviderError):  # not every key may see the balance
            balance = await self._api.ask("GET", "/billing/balance")
        if balance.get("canConsume") is False:
            raise OutOfFunds("the balance does not allow any use")

    def _refined(self, error: ProviderError, body: JsonObject) -> ProviderError:
        return refined(error, body, lambda said: self._api.quote(said, limit=LONGEST_TEXT))


def _succeeded(operation: Operation) -> Succeeded:
    link = operation.get("download_url")
    return Succeeded(expires_at=link_expiry(link) if isinstance(link, str) else None)
