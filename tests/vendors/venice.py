"""Venice as documented: JSON in, and one call that tells how a video stands or is the video.

What a client must never do is kept in `complaints`, and fails the test at the end.
"""

import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web

from tests.vendors.base import Job, Recorded, Stage, VendorServer, serve
from tests.vendors.faults import Exchange, Fault, sample_video
from tests.vendors.venice_document import problem

I2V = "wan-3-0-image-to-video"
T2V = "wan-3-0-text-to-video"
FIELDS = {
    "model",
    "prompt",
    "negative_prompt",
    "duration",
    "resolution",
    "aspect_ratio",
    "audio",
    "image_url",
    "end_image_url",
    "audio_url",
}
RETRIEVAL = {"model", "queue_id", "delete_media_on_completion"}


def model(name: str, *, spec: dict[str, Any] | None = None, **constraints: Any) -> dict[str, Any]:
    """An entry of the catalogue."""
    kind = "text-to-video" if "text-to-video" in name else "image-to-video"
    usual = {
        "model_type": kind,
        "durations": ["5s", "10s"],
        "resolutions": ["720p", "1080p"],
        "aspect_ratios": ["16:9", "9:16"] if kind == "text-to-video" else [],
        "audio": True,
        "audio_configurable": True,
        "audio_input": False,
        "per_reference_audio": False,
        "video_input": False,
    }
    shown = {"name": name.title(), "privacy": "anonymized", "offline": False, "traits": [], **(spec or {})}
    listed = {"created": 1758825748, "id": name, "object": "model", "owned_by": "venice.ai", "type": "video"}
    return {**listed, "model_spec": {"constraints": usual | constraints, **shown}}


class VeniceServer(VendorServer):
    """Routes: models, quote, submit, poll (which brings the file as well), complete, file, revoke, ..."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.catalogue = [model(I2V), model(T2V, audio_configurable=False)]
        self.remaps: dict[str, str] = {}
        """Models that are quietly replaced by others."""
        self.is_private = False
        """Whether videos are fetched from a link that the answer to submit names."""
        self.media_type = "video/mp4"
        self.balance: dict[str, Any] = {"canConsume": True, "consumptionCurrency": "USD"}
        self.access = True
        self.complaints: list[str] = []
        self.forgotten: list[str] = []
        """Jobs whose media were deleted."""
        self.now: Callable[[], float] = time.monotonic
        self.locked = 0
        """How many calls met the abuse lock."""
        self.headers: dict[str, str] = {}
        """What is said beside every answer."""
        self._failures: deque[float] = deque(maxlen=21)

    def routes(self) -> list[web.RouteDef]:
        return [
            self.route("models", "GET", "/models", self._models),
            self.route("quote", "POST", "/video/quote", self._quote),
            self.route("submit", "POST", "/video/queue", self._queue),
            self.route("poll", "POST", "/video/retrieve", self._retrieve),
            self.route("complete", "POST", "/video/complete", self._complete),
            self.route("limits", "GET", "/api_keys/rate_limits", self._limits),
            self.route("balance", "GET", "/billing/balance", lambda _: web.json_response(self.balance)),
            self.route("file", "GET", "/file/{id}", self._file),
            self.route("revoke", "DELETE", "/file/{id}", self._revoke),
        ]

    def route(
        self, name: str, method: str, path: str, answer: Callable[[Recorded], web.StreamResponse]
    ) -> web.RouteDef:
        def checked(asked: Recorded) -> web.StreamResponse:
            if name in {"file", "revoke"}:
                self._complain_if("Authorization" in asked.headers, f"{name} with a key")
            elif words := problem(method, path, asked.json):
                self.complaints.append(words)
            return answer(asked)

        inner = super().route(name, method, path, checked).handler

        async def handle(request: web.Request) -> web.StreamResponse:
            if len(self._failures) > 20 and self.now() - self._failures[0] < 30:
                self.locked += 1
                return _error(HTTPStatus.TOO_MANY_REQUESTS, "Too many failed requests")
            response = await inner(request)
            response.headers.update(self.headers)
            if response.status >= 400:
                self._failures.append(self.now())
            return response

        return web.route(method, path, handle)

    def authorized(self, request: web.Request) -> bool:
        is_open = request.path in {"/models", "/video/quote"} or request.path.startswith("/file/")
        return is_open or super().authorized(request)

    async def __aexit__(self, *raised: object) -> None:
        await super().__aexit__(*raised)
        assert not self.complaints, self.complaints

    def _complain_if(self, is_wrong: object, words: str) -> None:
        if is_wrong:
            self.complaints.append(words)

    def _models(self, asked: Recorded) -> web.Response:
        listed = self.catalogue if asked.query.get("type") == "video" else []
        return web.json_response({"object": "list", "type": "video", "data": listed})

    def _quote(self, asked: Recorded) -> web.Response:
        return web.json_response({"quote": 0.07 * int(asked.json["duration"].rstrip("s"))})

    def _queue(self, asked: Recorded) -> web.Response:
        if fault := self._objection(asked.json):
            return _error(HTTPStatus.BAD_REQUEST, "Invalid request parameters", issues=[fault])
        job = self.begin(self.remaps.get(asked.json["model"], asked.json["model"]))
        link = {"download_url": f"{self.url}/file/{job.id}"} if self.is_private else {}
        return web.json_response({"model": job.model, "queue_id": job.id, **link})

    def _objection(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """Every option has to be one of the model's, and is sent if and only if the model has it."""
        if extra := set(body) - FIELDS:
            self.complaints.append(f"fields: {extra}")
        listed = next((entry for entry in self.catalogue if entry["id"] == body["model"]), None)
        if listed is None:
            return {"path": ["model"], "message": "unknown model"}
        limits = listed["model_spec"]["constraints"]
        for field, names in (("duration", "durations"), ("resolution", "resolutions")):
            if limits[names] and body.get(field) not in limits[names]:
                return {"path": [field], "expected": str(limits[names]), "message": "not supported"}
        if bool(limits["aspect_ratios"]) is not ("aspect_ratio" in body):
            return {"path": ["aspect_ratio"], "message": "wrong for this model"}
        if ("image_url" in body) is not (limits["model_type"] == "image-to-video"):
            return {"path": ["image_url"], "message": "wrong for this model"}
        if "audio" in body and not limits["audio_configurable"]:
            return {"path": ["audio"], "message": "not configurable"}
        return None

    def _retrieve(self, asked: Recorded) -> web.StreamResponse:
        self._complain_if(asked.json.get("delete_media_on_completion"), "deleted on retrieval")
        self._complain_if(extra := set(asked.json) - RETRIEVAL, f"fields: {extra}")
        job = self._find(asked)
        if job is None:
            return _error(HTTPStatus.NOT_FOUND, "Media could not be found")
        stage = self.look(job)
        if stage is Stage.FAILED:
            policy = {
                "message": self.reason,
                "type": "provider_content_policy",
                "recommended_model": T2V,
                "credits_refunded": True,
            }
            return _error(HTTPStatus.UNPROCESSABLE_ENTITY, policy)
        if stage is Stage.FINISHED and not self.word and not self.is_private:
            return web.Response(body=sample_video(), content_type=self.media_type)
        word = "COMPLETED" if stage is Stage.FINISHED else "PROCESSING"
        return web.json_response(
            {
                "status": self.word or word,
                "average_execution_time": 145000,
                "execution_duration": 10000 * job.looks,
            }
        )

    def _complete(self, asked: Recorded) -> web.Response:
        job = self._find(asked)
        if job is not None:
            self.forgotten.append(job.id)
            del self.jobs[job.id]
        return web.json_response({"success": job is not None})

    def _limits(self, _: Recorded) -> web.Response:
        return web.json_response({"data": {"accessPermitted": self.access, "rateLimits": []}})

    def _file(self, asked: Recorded) -> web.Response:
        job = self.jobs.get(asked.path.rpartition("/")[2])
        if job is None or not job.over:
            return _error(HTTPStatus.NOT_FOUND, "no such file")
        return web.Response(body=sample_video(), content_type="video/mp4")

    def _revoke(self, asked: Recorded) -> web.Response:
        job = self.jobs.pop(asked.path.rpartition("/")[2])
        self.forgotten.append(job.id)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    def _find(self, asked: Recorded) -> Job | None:
        job = self.jobs.get(asked.json["queue_id"])
        self._complain_if(job and job.model != asked.json["model"], "a queue_id with another model")
        return job if job and job.model == asked.json["model"] else None


def untyped(body: bytes, *, split_at: int | None = None) -> Fault:
    """An answer that does not say what it is; its first bytes may come alone."""

    async def answer(exchange: Exchange) -> web.StreamResponse:
        response = _Untyped(headers={"Content-Length": str(len(body))})
        await response.prepare(exchange.request)
        for part in (body[:split_at], body[split_at:] if split_at else b""):
            await response.write(part)
        return response

    return answer


class _Untyped(web.StreamResponse):
    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        del self.headers["Content-Type"]


def _error(code: int, words: object, **more: object) -> web.Response:
    return web.json_response({"error": words, **more}, status=code)


if __name__ == "__main__":
    serve(VeniceServer)
