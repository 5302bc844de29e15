"""EcoHash as documented: JSON submit, a job to look at, a link to the MP4; and the S3 where that leads."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.vendors.base import Recorded, Stage, VendorServer, serve
from tests.vendors.faults import sample_video

CAP = 5
FIELDS = {"model", "prompt", "num_frames", "fps", "num_inference_steps", "guidance_scale", "seed"}
SIGNATURE = "X-Amz-Signature=5f3c"
WORDS = {
    Stage.WAITING: "queued",
    Stage.WORKING: "processing",
    Stage.FINISHED: "completed",
    Stage.FAILED: "failed",
}


def entry(model: str, *inputs: str, price: object = 0.042, **fields: Any) -> dict[str, Any]:
    return {
        "model_id": model,
        "display_name": model.upper(),
        "category": "video",
        "input_modalities": list(inputs),
        "aliases": [],
        "status": "active",
        "billing_meter": "video_second",
        "min_price_per_second": price,
        **fields,
    }


CATALOGUE = [
    entry("wan22-t2v-a14b", "text"),
    entry("wan22-s2v-14b", "text", "image", "audio"),
    entry("ecolink-video-gen-2.0", "text", "image", aliases=["seedance-2.0"]),
    entry("qwen3-32b", "text", category="text", price=None),
]


def _file(name: str, server: VendorServer) -> web.RouteDef:
    file = {"body": sample_video(), "content_type": "video/mp4"}
    return server.route("result", "GET", name, lambda _: web.Response(**file))


class Storage(VendorServer):
    """S3: it knows a link by its signature, and takes no other credentials beside it."""

    def routes(self) -> list[web.RouteDef]:
        return [_file("/{name}", self)]

    def authorized(self, request: web.Request) -> bool:
        return _is_signed(request)


class EcoHashServer(VendorServer):
    """Routes: submit, poll, result, catalogue, models."""

    def __init__(self, *, record: Path | None = None) -> None:
        super().__init__(record=record)
        self.catalogue: Any = CATALOGUE
        self.storage: str | None = None
        """Where finished videos are, if not here."""
        self.full = HTTPStatus.TOO_MANY_REQUESTS
        """What the sixth job meets; the documentation does not say."""
        self.error: Any = None
        """A failed job's error, where it is more than its reason."""

    def routes(self) -> list[web.RouteDef]:
        return [
            self.route("submit", "POST", "/v1/video/generations", self._submit),
            self.route("poll", "GET", "/v1/video/generations/{id}", self._look),
            self.route("catalogue", "GET", "/platform/models", self._catalogue),
            self.route("models", "GET", "/v1/models", self._models),
            _file("/files/{name}", self),
        ]

    def authorized(self, request: web.Request) -> bool:
        if request.path.startswith("/files/"):
            return _is_signed(request)
        return request.path == "/platform/models" or super().authorized(request)

    def _submit(self, asked: Recorded) -> web.Response:
        if fault := _objection(asked.json):
            return _error(HTTPStatus.BAD_REQUEST, "invalid_request", fault)
        if asked.json["model"] not in {"wan21-t2v-1-3b", "wan22-t2v-a14b"}:
            return _error(HTTPStatus.NOT_FOUND, "model_not_found", "no such model")
        if len([job for job in self.jobs.values() if not job.over]) >= CAP:
            return _error(self.full, "too_many_jobs", f"at most {CAP} jobs pending or processing")
        job = self.begin(asked.json["model"])
        known = {"id": job.id, "model": job.model, "created": 1767268800}
        return web.json_response({**known, "object": "video.job", "status": "queued"})

    def _look(self, asked: Recorded) -> web.Response:
        job = self.jobs.get(asked.path.rpartition("/")[2])
        if job is None:
            return _error(HTTPStatus.NOT_FOUND, "not_found", "no such job")
        stage = self.look(job)
        answer: dict[str, Any] = {"id": job.id, "object": "video.job", "model": job.model}
        answer["status"] = self.word or WORDS[stage]
        if stage is Stage.FINISHED:
            link = f"{self.storage or f'{self.url}/files'}/{job.id}.mp4?{SIGNATURE}"
            answer |= {"video_url": link, "duration_seconds": 2.06, "completed_at": 1767268920}
        if stage is Stage.FAILED:
            answer["error"] = self.error or self.reason
        return web.json_response(answer)

    def _catalogue(self, asked: Recorded) -> web.Response:
        return web.json_response(self.catalogue if asked.query == {"status": "active"} else [])

    def _models(self, _: Recorded) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "wan22-t2v-a14b", "object": "model"}]})


def _is_signed(request: web.Request) -> bool:
    return request.query_string == SIGNATURE and "Authorization" not in request.headers


def _objection(asked: dict[str, Any]) -> str | None:
    if unknown := set(asked) - FIELDS:
        return f"unknown fields: {sorted(unknown)}"
    if not asked.get("model") or not asked.get("prompt"):
        return "model and prompt are required"
    frames = asked.get("num_frames", 33)
    if frames % 4 != 1 or not 5 <= frames <= 81:
        return "num_frames must be 4n + 1 and at most 81"
    if not 20 <= asked.get("num_inference_steps", 50) <= 80:
        return "num_inference_steps must be between 20 and 80"
    return None


def _error(code: HTTPStatus, error: str, message: str) -> web.Response:
    return web.json_response({"error": error, "message": message}, status=code)


if __name__ == "__main__":
    serve(EcoHashServer)
