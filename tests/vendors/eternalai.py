"""EternalAI as documented: two generations of its API on one host, each with a header for the key of its own.

What only one of them does is said at the attribute that switches it on.
"""

from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from aiohttp import web

from tests.vendors.base import Job, Recorded, Stage, VendorServer, serve
from tests.vendors.faults import sample_video

EFFECTS = ("tiktok_hip_dance", "good_thing_dance", "behind_the_scene", "lanterns_in_the_wind")
MAX_IMAGE = 5_000_000
CREDENTIALS = ("x-api-key", "api-key", "Authorization")

CREATIVE_MODELS = {"Wan-AI/Wan2.2-I2V-A14B-Lightning"}
CREATIVE_FIELDS = {"messages", "model_id", "is_magic_prompt", "duration", "audio", "video_config"}
CREATIVE_WORDS = {
    Stage.WAITING: "pending",
    Stage.WORKING: "processing",
    Stage.FINISHED: "success",
    Stage.FAILED: "failed",
}

API_MODELS = {"wan-ai/wan2.2-i2v-a14b-lightning"}
API_TEXTS = {
    "prompt",
    "image_url",
    "end_image_url",
    "model_id",
    "duration",
    "resolution",
    "negative_prompt",
}
API_WORDS = {**CREATIVE_WORDS, Stage.FINISHED: "completed"}


class EternalAIServer(VendorServer):
    """Routes: submit, poll and result, whichever API is used; and effects."""

    def __init__(self, *, record: Path | None = None) -> None:
        super().__init__(record=record)
        self.status: Literal["word", "number", "object"] = "word"
        """What the status in a creative-ai poll is: `success`; 1, with the word in `data`; or an object."""
        self.progress = 0
        """Percent, in a creative-ai poll; it does not get anywhere, as in the documentation's examples."""
        self.picture_bytes = 0
        """The size of a base64 picture that comes with every creative-ai poll."""
        self.aes_key = ""
        """What a creative-ai poll has as `encrypted_aes_key`."""
        self.without_link = False
        """Finished, but no word about where the video is."""
        self.late_looks = 0
        """Looks at each job that do not find it yet."""
        self.effects: Any = {"data": [{"id": name} for name in EFFECTS]}

    def routes(self) -> list[web.RouteDef]:
        creative, api = _admit_x_api_key, _admit_bearer
        return [
            self._guarded(creative, "submit", "POST", "/creative-ai/video", self._submit_creative),
            self._guarded(creative, "poll", "GET", "/creative-ai/poll-result/{id}", self._poll_creative),
            self._guarded(creative, "effects", "GET", "/creative-ai/video/effects", self._effects),
            self._guarded(api, "submit", "POST", "/api/image-to-video", self._submit_api),
            self._guarded(api, "poll", "GET", "/api/image-to-video/{id}/status", self._poll_api),
            self._guarded(_admit_nobody_with_a_key, "result", "GET", "/files/{file}", _file),
        ]

    def authorized(self, _: web.Request) -> bool:
        """Each route asks for itself, since their headers differ."""
        return True

    def _guarded(
        self,
        admit: Callable[[Recorded], web.Response | None],
        name: str,
        method: str,
        path: str,
        answer: Callable[[Recorded], web.Response],
    ) -> web.RouteDef:
        return self.route(name, method, path, lambda asked: admit(asked) or answer(asked))

    def _submit_creative(self, asked: Recorded) -> web.Response:
        if fault := _creative_objection(asked.json):
            return web.json_response({"message": fault}, status=HTTPStatus.BAD_REQUEST)
        job = self.begin(asked.json["model_id"])
        data = {"request_id": job.id, "status": "pending", "result": "", "progress": 0}
        return web.json_response({"status": 1, "data": data, "request_id": job.id})

    def _poll_creative(self, asked: Recorded) -> web.Response:
        job = self._find(asked.path.rpartition("/")[2])
        if job is None:
            return web.json_response({"message": "request not found"}, status=HTTPStatus.NOT_FOUND)
        stage = self.look(job)
        word = self.word or CREATIVE_WORDS[stage]
        found = {
            "request_id": job.id,
            "status": {"status": word, "code": 1} if self.status == "object" else word,
            "progress": self.progress,
            "result_url": self._link(job, stage),
            "effect_type": "video",
            "encrypted_aes_key": self.aes_key,
            "result_image": "A" * self.picture_bytes,
        }
        if stage is Stage.FAILED:
            found["error"] = self.reason
        return web.json_response({"status": 1, "data": found} if self.status == "number" else found)

    def _effects(self, _: Recorded) -> web.Response:
        return web.json_response(self.effects)

    def _submit_api(self, asked: Recorded) -> web.Response:
        if fault := _api_objection(asked.json):
            return _envelope(error=fault, code=HTTPStatus.BAD_REQUEST)
        job = self.begin(asked.json["model_id"])
        return _envelope({"request_id": job.id, "status": "pending"})

    def _poll_api(self, asked: Recorded) -> web.Response:
        job = self._find(asked.path.split("/")[-2])
        if job is None:
            return _envelope(error="request not found", code=HTTPStatus.NOT_FOUND)
        stage = self.look(job)
        found = {"request_id": job.id, "status": self.word or API_WORDS[stage]}
        if stage is Stage.FINISHED:
            found["video_url"] = self._link(job, stage)
        if stage is Stage.FAILED:
            found["error"] = str(self.reason)
        return _envelope(found)

    def _find(self, job_id: str) -> Job | None:
        job = self.jobs.get(job_id)
        if job is not None and job.looks < self.late_looks:
            job.looks += 1
            return None
        return job

    def _link(self, job: Job, stage: Stage) -> str:
        ready = stage is Stage.FINISHED and not self.without_link and self.word is None
        return f"{self.url}/files/{job.id}.mp4" if ready else ""


def _admit_x_api_key(asked: Recorded) -> web.Response | None:
    if asked.headers.get("x-api-key") == VendorServer.KEY:
        return None
    text = "invalid API key (expected header x-api-key)"
    return web.json_response({"message": text}, status=HTTPStatus.UNAUTHORIZED)


def _admit_bearer(asked: Recorded) -> web.Response | None:
    bearer = asked.headers.get("Authorization") == f"Bearer {VendorServer.KEY}"
    if bearer or asked.headers.get("api-key") == VendorServer.KEY:
        return None
    text = "missing or invalid API key (expected Authorization: Bearer sk_... or api-key header)"
    return _envelope(error=text, code=HTTPStatus.UNAUTHORIZED)


def _admit_nobody_with_a_key(asked: Recorded) -> web.Response | None:
    if not any(name in asked.headers for name in CREDENTIALS):
        return None
    return web.Response(text="only one way to authenticate is allowed", status=HTTPStatus.BAD_REQUEST)


def _file(_: Recorded) -> web.Response:
    return web.Response(body=sample_video(), content_type="video/mp4")


def _envelope(
    result: dict[str, str] | None = None, error: str | None = None, code: int = HTTPStatus.OK
) -> web.Response:
    return web.json_response({"status": error is None, "error": error, "result": result}, status=code)


def _creative_objection(asked: dict[str, Any]) -> str | None:
    config = asked.get("video_config", {})
    if not isinstance(config, dict) or not set(config) <= {"is_fast_video", "loras"}:
        return "video_config must be an object"
    loras = config.get("loras", [])
    wrong = {
        f"unknown fields: {sorted(set(asked) - CREATIVE_FIELDS)}": not set(asked) <= CREATIVE_FIELDS,
        "unknown LoRA": not set(loras) <= set(EFFECTS),
        "model_id is needed with LoRAs": bool(loras) and "model_id" not in asked,
        "unknown model": asked.get("model_id") not in {None, *CREATIVE_MODELS},
        "duration must be 5": type(asked.get("duration", 5)) is not int or asked.get("duration", 5) != 5,
        "is_magic_prompt must be a bool": not isinstance(asked.get("is_magic_prompt", True), bool),
        "audio must be a bool": not isinstance(asked.get("audio", True), bool),
        "is_fast_video must be a bool": not isinstance(config.get("is_fast_video", True), bool),
    }
    return next((text for text, is_wrong in wrong.items() if is_wrong), None) or _message_objection(asked)


def _message_objection(asked: dict[str, Any]) -> str | None:
    match asked.get("messages"):
        case [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": str(text)},
                    {"type": "image_url", "image_url": {"url": str(url), "filename": str(filename)}},
                ],
            }
        ] if text and filename:
            return _image_objection(url)
        case _:
            return "messages must be one of the user, with a text and an image_url"


def _api_objection(asked: dict[str, Any]) -> str | None:
    if not all(isinstance(asked.get(field, ""), str) for field in API_TEXTS):
        return "invalid JSON body"
    wrong = {
        "unknown fields": not set(asked) <= API_TEXTS | {"cfg_scale", "seed"},
        "prompt is required": not asked.get("prompt"),
        "unknown model": asked.get("model_id") not in API_MODELS,
        "duration must be 1 to 5": asked.get("duration", "5") not in {"1", "2", "3", "4", "5"},
        "resolution must be 480p, 580p or 720p": asked.get("resolution", "720p")
        not in {"480p", "580p", "720p"},
        "cfg_scale must be 0 to 1": not 0 <= asked.get("cfg_scale", 0.5) <= 1,
        "seed must be an integer": not isinstance(asked.get("seed", 0), int),
    }
    pictures = [asked.get("image_url", ""), *([asked["end_image_url"]] if "end_image_url" in asked else [])]
    faults = (fault for url in pictures if (fault := _image_objection(url)))
    return next((text for text, is_wrong in wrong.items() if is_wrong), None) or next(faults, None)


def _image_objection(url: str) -> str | None:
    if url.startswith(("http://", "https://")):
        return None
    head, _, data = url.partition(";base64,")
    if head.removeprefix("data:image/") not in {"jpeg", "jpg", "png", "webp"}:
        return "the picture must be jpg, png or webp"
    try:
        b64decode(data, validate=True)
    except NoBase64:
        return "the picture is not base64"
    return "the picture is larger than 5 MB" if len(url) > MAX_IMAGE else None


if __name__ == "__main__":
    serve(EternalAIServer)
