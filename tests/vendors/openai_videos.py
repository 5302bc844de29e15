"""vLLM-Omni and SGLang as documented: OpenAI's shape of a video API, and where the two differ."""

from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar

from aiohttp import web

from tests.vendors.base import Job, Recorded, Stage, VendorServer, serve
from tests.vendors.faults import sample_video

FIELDS = {"model", "prompt", "seconds", "size", "num_frames", "fps", "seed", "negative_prompt"}
FIELDS |= {"num_inference_steps", "guidance_scale"}
WORDS = {
    Stage.WAITING: "queued",
    Stage.WORKING: "in_progress",
    Stage.FINISHED: "completed",
    Stage.FAILED: "failed",
}


class OpenAIVideosServer(VendorServer):
    """vLLM-Omni with the Wan that takes a picture or none. Routes: submit, poll, result, delete, models."""

    MODEL: ClassVar[str] = "Wan-AI/Wan2.2-TI2V-5B-Diffusers"
    PROGRESS: ClassVar[dict[Stage, int]] = {Stage.WAITING: 0, Stage.WORKING: 40, Stage.FINISHED: 100}
    NOT_READY = HTTPStatus.BAD_REQUEST

    def __init__(self, *, record: Path | None = None) -> None:
        super().__init__(record=record)
        self.code: int | str = 500
        """A failed job's error code."""
        self.frames: dict[str, int] = {}
        """How many frames each job makes: a single one, where it was not told."""
        self.deleted: list[str] = []

    async def start(self, port: int = 0) -> None:
        await super().start(port)
        self.url += "/v1"

    def routes(self) -> list[web.RouteDef]:
        return [
            self.route("submit", "POST", "/v1/videos", self._submit),
            self.route("poll", "GET", "/v1/videos/{id}", self._look),
            self.route("result", "GET", "/v1/videos/{id}/content", self._content),
            self.route("delete", "DELETE", "/v1/videos/{id}", self._delete),
            self.route("models", "GET", "/v1/models", self._models),
        ]

    def card(self) -> dict[str, Any]:
        """The served model, as the list of models shows it."""
        return {"id": self.MODEL, "object": "model", "owned_by": "vllm", "root": self.MODEL}

    def objection(self, asked: Recorded) -> str | None:
        """What this server has against the form of a submit."""
        return "a multipart form is required" if asked.json is not None else None

    def error(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.reason}

    def removed(self, job: Job) -> dict[str, Any]:
        return {"id": job.id, "deleted": True, "object": "video.deleted"}

    def _submit(self, asked: Recorded) -> web.Response:
        fields = asked.fields or asked.json or {}
        if fault := self.objection(asked) or _objection(fields):
            return _detail(HTTPStatus.BAD_REQUEST, fault)
        job = self.begin(fields.get("model", self.MODEL))
        self.frames[job.id] = int(fields.get("num_frames", 1))
        return web.json_response(self._shown(job, Stage.WAITING))

    def _look(self, asked: Recorded) -> web.Response:
        job = self._find(asked)
        if job is None:
            return _detail(HTTPStatus.NOT_FOUND, "Video not found")
        return web.json_response(self._shown(job, self.look(job)))

    def _content(self, asked: Recorded) -> web.Response:
        job = self._find(asked)
        if job is None:
            return _detail(HTTPStatus.NOT_FOUND, "Video not found")
        if not job.over:
            return _detail(self.NOT_READY, "Generation is still in-progress")
        return web.Response(body=sample_video(), content_type="video/mp4")

    def _delete(self, asked: Recorded) -> web.Response:
        job = self._find(asked)
        if job is None:
            return _detail(HTTPStatus.NOT_FOUND, "Video not found")
        self.deleted.append(job.id)
        del self.jobs[job.id]
        return web.json_response(self.removed(job))

    def _models(self, _: Recorded) -> web.Response:
        return web.json_response({"object": "list", "data": [self.card()]})

    def _find(self, asked: Recorded) -> Job | None:
        return self.jobs.get(asked.path.split("/")[3])

    def _shown(self, job: Job, stage: Stage) -> dict[str, Any]:
        return {
            "id": job.id,
            "object": "video",
            "model": job.model,
            "status": self.word or WORDS[stage],
            "progress": self.PROGRESS.get(stage, 0),
            "seconds": "4",
            "file_path": f"/srv/outputs/{job.id}.mp4",
            "error": self.error() if stage is Stage.FAILED else None,
        }


class SGLangServer(OpenAIVideosServer):
    """SGLang with the Wan that takes no picture; `task` is another Wan's."""

    MODEL = "/models/wan"
    PROGRESS: ClassVar[dict[Stage, int]] = {Stage.FINISHED: 100}
    NOT_READY = HTTPStatus.NOT_FOUND
    task: str = "T2V"
    cloud: str | None = None
    """The link to every finished video, where they are uploaded and not kept here."""

    def card(self) -> dict[str, Any]:
        return {**super().card(), "owned_by": "sglang", "task_type": self.task}

    def objection(self, asked: Recorded) -> str | None:
        if asked.json is None and "input_reference" not in asked.files:
            return "input_reference file is required"
        if asked.json is not None and not isinstance(asked.json.get("seconds", 4), int):
            return "seconds must be a whole number"
        return None

    def error(self) -> dict[str, Any]:
        return {"message": self.reason}

    def removed(self, job: Job) -> dict[str, Any]:
        return {**self._shown(job, Stage.WAITING), "status": "deleted"}

    def _shown(self, job: Job, stage: Stage) -> dict[str, Any]:
        link = self.cloud if stage is Stage.FINISHED else None
        return {**super()._shown(job, stage), "url": link, **({"file_path": None} if link else {})}

    def _content(self, asked: Recorded) -> web.Response:
        if self.cloud:
            return _detail(HTTPStatus.BAD_REQUEST, f"Video has been uploaded to cloud storage: {self.cloud}")
        return super()._content(asked)


def _objection(fields: dict[str, Any]) -> str | None:
    if unknown := set(fields) - FIELDS:
        return f"unknown fields: {sorted(unknown)}"
    if not fields.get("prompt"):
        return "prompt is required"
    if any(int(side) % 16 for side in str(fields.get("size", "832x480")).split("x")):
        return "width and height have to be divisible by 16"
    if not 1 <= int(fields.get("num_inference_steps", 40)) <= 200:
        return "num_inference_steps must be between 1 and 200"
    return None


def _detail(code: HTTPStatus, detail: str) -> web.Response:
    return web.json_response({"detail": detail}, status=code)


if __name__ == "__main__":
    serve(OpenAIVideosServer)
