"""EigenAI as documented: multipart submit, status by jobId and model, the MP4 as the result."""

from http import HTTPStatus

from aiohttp import web

from tests.vendors.base import Job, Recorded, Stage, VendorServer, serve
from tests.vendors.faults import sample_video

MODELS = {"wan2p2-i2v-14b-turbo"}
FIELDS = {"model", "prompt", "image_url", "infer_steps", "seed"}
WORDS = {
    Stage.WAITING: "pending",
    Stage.WORKING: "processing",
    Stage.FINISHED: "completed",
    Stage.FAILED: "failed",
}


class EigenAIServer(VendorServer):
    """Routes: submit, poll, result."""

    def routes(self) -> list[web.RouteDef]:
        return [
            self.route("submit", "POST", "/api/v1/generate", self._submit),
            self.route("poll", "GET", "/api/v1/generate/status", self._status),
            self.route("result", "GET", "/api/v1/generate/result", self._result),
        ]

    def _submit(self, asked: Recorded) -> web.Response:
        if fault := _objection(asked):
            return _error(HTTPStatus.BAD_REQUEST, fault)
        job = self.begin(asked.fields["model"])
        return web.json_response({"task_id": job.id, "task_status": "pending"})

    def _status(self, asked: Recorded) -> web.Response:
        job = self._find(asked)
        if job is None:
            return _error(HTTPStatus.NOT_FOUND, "job not found")
        stage = self.look(job)
        return web.json_response(
            {
                "task_id": job.id,
                "status": self.word or WORDS[stage],
                "start_time": None if stage is Stage.WAITING else "2026-01-01T12:00:00Z",
                "end_time": "2026-01-01T12:01:00Z" if job.over else None,
                "error": self.reason if stage is Stage.FAILED else None,
            }
        )

    def _result(self, asked: Recorded) -> web.Response:
        job = self._find(asked)
        if job is None or not job.over or self.reason is not None:
            return _error(HTTPStatus.NOT_FOUND, "no result")
        return web.Response(body=sample_video(), content_type="video/mp4")

    def _find(self, asked: Recorded) -> Job | None:
        job = self.jobs.get(asked.query.get("jobId", ""))
        return job if job is not None and job.model == asked.query.get("model") else None


def _objection(asked: Recorded) -> str | None:
    fields = asked.fields
    if unknown := set(fields) - FIELDS:
        return f"unknown fields: {sorted(unknown)}"
    if fields.get("model") not in MODELS or not fields.get("prompt"):
        return "model and prompt are required"
    if "image" not in asked.files and "image_url" not in fields:
        return "image or image_url is required"
    if not 1 <= int(fields.get("infer_steps", "5")) <= 20:
        return "infer_steps must be between 1 and 20"
    int(fields.get("seed", "0"))
    return None


def _error(code: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=code)


if __name__ == "__main__":
    serve(EigenAIServer)
