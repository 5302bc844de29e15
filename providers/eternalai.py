"""EternalAI: JSON with the picture inside goes in, a request is looked at, a link to the video comes out.

Its host serves several generations of one API. Two are spoken here, the flavours; a key is for one of them.
"""

import asyncio
import logging
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal
from urllib.parse import quote

from pydantic import JsonValue, field_validator

import providers._eternalai_answers as answers
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
    Advice,
    Forbidden,
    InvalidRequest,
    NotFound,
    Problem,
    ProviderError,
    Unauthorized,
    Uncertain,
    Unusable,
)
from providers.fields import identifier, link
from providers.http import Api, JsonObject, link_expiry
from providers.options import Choice, Decimals, Flag, ImageLimits, SourceImage, Span, Text
from providers.specs import LONGEST_PROMPT, Mode, ModelSpec, Per, Price, VideoRequest

log = logging.getLogger(__name__)

# 5 MB, whichever way the vendor counts: base64 makes four bytes out of three, and the data URI has a head.
_IMAGE = ImageLimits(max_bytes=3_700_000)
_USD_MICROS_PER_SECOND: Mapping[str, int] = {"480p": 5_000, "580p": 15_000, "720p": 15_000}

CREATIVE_AI = ModelSpec(
    id="Wan-AI/Wan2.2-I2V-A14B-Lightning",
    name="Wan 2.2 Lightning",
    mode=Mode.IMAGE_TO_VIDEO,
    image=_IMAGE,
    duration=Choice(values=(5,), default=5),
    audio=Flag(default=True),
    enhance_prompt=Flag(),
    fast=Flag(),
)
IMAGE_TO_VIDEO = ModelSpec(
    id="wan-ai/wan2.2-i2v-a14b-lightning",
    name="Wan 2.2 Lightning",
    mode=Mode.IMAGE_TO_VIDEO,
    image=_IMAGE,
    duration=Choice(values=(1, 2, 3, 4, 5), default=5),
    resolution=Choice(values=tuple(_USD_MICROS_PER_SECOND), default="720p"),
    negative_prompt=Text(limit=LONGEST_PROMPT),
    seed=Span(low=0, high=2**31 - 1),
    guidance=Decimals(low=0, high=1),
    end_image=_IMAGE,
    price=Price(usd_micros=_USD_MICROS_PER_SECOND["720p"], per=Per.SECOND),
    typical_seconds=60,
)

_EFFECTS = "/creative-ai/video/effects"
_HOUR = 3600.0


class EternalAIConfig(RemoteConfig):
    base_url: BaseUrl = "https://open.eternalai.org"
    flavour: Literal["creative-ai", "image-to-video"] = "creative-ai"
    """The API that the key is for; what was submitted in the other is lost."""
    effects: tuple[str, ...] = ("tiktok_hip_dance", "good_thing_dance", "behind_the_scene")
    """The effects on offer, as far as the vendor has them; only creative-ai knows any.

    An effect is a LoRA, and a LoRA listens to words of its own in the prompt. Each entry is an effect, or an
    effect, a colon and its words, in which a semicolon stands for a comma.
    """

    @field_validator("effects")
    @classmethod
    def _have_names(cls, effects: tuple[str, ...]) -> tuple[str, ...]:
        if any(not name for name in _words_of(effects)):
            raise ValueError("should be effects, each with its words after a colon or alone")
        return effects

    @property
    def effect_words(self) -> Mapping[str, str]:
        """The words by effect; none where they are not known."""
        return _words_of(self.effects)


def _words_of(effects: Iterable[str]) -> Mapping[str, str]:
    parts = (effect.partition(":") for effect in effects)
    return {name.strip(): " ".join(words.replace(";", ",").split()) for name, _, words in parts}


@dataclass(frozen=True)
class _Flavour:
    spec: ModelSpec
    submit: str
    poll: str
    link: str
    """The field with the video's address."""
    headers: Callable[[str], Mapping[str, str]]
    body: Callable[[VideoRequest], JsonObject]


class EternalAI(Provider[EternalAIConfig]):
    name = "eternalai"
    label = "EternalAI"
    Config = EternalAIConfig
    terms = Terms(poll_interval=5.0)

    def __init__(self, config: EternalAIConfig, resources: Resources) -> None:
        super().__init__(config, resources)
        key = config.api_key.get_secret_value() if config.api_key else ""
        self._flavour = _FLAVOURS[config.flavour]
        self._api = Api(resources, config, config.base_url, self._flavour.headers(key), refine=_refined)
        # Files need no key, wherever they are; one kept on the vendor's own host would be sent it.
        self._files = Api(resources, config, config.base_url, {})
        self._listed: frozenset[str] = frozenset()
        self._stale_at = 0.0
        self._told_of: frozenset[str] = frozenset()
        """Effects without words, as they were last named in the log."""

    async def models(self) -> Sequence[ModelSpec]:
        effects = await self._effects()
        effect = Choice(values=effects) if effects else None
        words = {name: said for name, said in self.config.effect_words.items() if said and name in effects}
        self._warn_of(frozenset(effects) - words.keys())
        return [self._flavour.spec.model_copy(update={"effect": effect, "effect_words": words})]

    async def submit(self, request: VideoRequest) -> Operation:
        answer = await self._api.submit(self._flavour.submit, json=self._flavour.body(request))
        # Whatever else the answer says: where there is an id, there is something to look at.
        if request_id := identifier(answers.read(answer, "request_id")):
            return {"request_id": request_id, "flavour": self.config.flavour}
        if said := answers.refusal(answer):
            raise InvalidRequest(self._api.quote(said))
        raise Uncertain(f"no request_id in the answer: {self._api.quote(answer)}")

    async def poll(self, operation: Operation) -> Pending | Succeeded | Failed:
        # The key at hand is not for the other flavour: to be refused would pause the provider.
        if (flavour := operation.get("flavour", self.config.flavour)) != self.config.flavour:
            return Failed(detail=f"it was submitted with the flavour {flavour}, which is no longer set")
        request_id = quote(str(operation["request_id"]), safe="")
        answer = await self._api.ask("GET", self._flavour.poll.format(request_id), with_picture=True)
        found = link(answers.read(answer, self._flavour.link))
        word = answers.word(answers.read(answer, "status"))
        if answers.read(answer, "encrypted_aes_key") is not None:
            return Failed(detail="the video is encrypted", advice=Advice(problem=Problem.ENCRYPTED))
        if found is not None:
            return Succeeded(url=found, expires_at=link_expiry(found))
        if word in answers.DONE:
            return Failed(detail=f"{word}, but without a link to the video")
        if word in answers.FAILED:
            return Failed(detail=self._api.quote(answers.said(answer) or "no reason given"))
        if said := answers.refusal(answer):
            # It is the look that did not work; the video may be well.
            raise Uncertain(self._api.quote(said), status=HTTPStatus.OK)
        return Pending(progress=answers.progress(answers.read(answer, "progress")))

    async def download(
        self,
        operation: Operation,  # noqa: ARG002 - the link is enough
        video: Succeeded,
        sink: Sink,
    ) -> None:
        if video.url is None:
            raise Unusable("no link to the video")
        await self._files.download(video.url, sink)

    async def quote(self, request: VideoRequest, spec: ModelSpec) -> int | None:
        wish = spec.complete(request)
        rate = _USD_MICROS_PER_SECOND.get(wish.resolution or "")
        return None if rate is None or wish.duration is None else rate * wish.duration

    async def verify(self) -> None:
        # A look at a request that never was: only a key that works gets as far as not finding it. Where looks
        # are open to everybody, the list of effects may still ask for the key.
        if self._flavour.spec is CREATIVE_AI:
            with suppress(NotFound, InvalidRequest, Uncertain):
                await self._api.ask("GET", _EFFECTS)
        with suppress(NotFound, InvalidRequest):
            await self._api.ask("GET", self._flavour.poll.format("key-check"))

    def _warn_of(self, wordless: frozenset[str]) -> None:
        if wordless and wordless != self._told_of:
            log.warning(
                "no trigger words are set for %s; these effects may show little (ETERNALAI_EFFECTS)",
                ", ".join(sorted(wordless)),
            )
        self._told_of = wordless

    async def _effects(self) -> tuple[str, ...]:
        """The operator's list without what the vendor lacks; the whole list where that is not known."""
        if self._flavour.spec is not CREATIVE_AI:
            return ()
        now = asyncio.get_running_loop().time()
        if now >= self._stale_at:
            try:
                self._listed = await self._api.catalogue(_EFFECTS, answers.effect_names)
            except ProviderError as error:
                log.warning("%s did not list its effects: %s", self.label, error.detail)
                return tuple(self.config.effect_words)
            self._stale_at = now + _HOUR
        if not self._listed:
            return tuple(self.config.effect_words)
        return tuple(effect for effect in self.config.effect_words if effect in self._listed)


def _refined(error: ProviderError, _: JsonObject) -> ProviderError:
    """A wrong key may be answered with 403."""
    return Unauthorized(error.detail, status=error.status) if isinstance(error, Forbidden) else error


def _creative(request: VideoRequest) -> JsonObject:
    content: list[JsonValue] = [{"type": "text", "text": request.prompt}]
    if request.image is not None:
        filename = f"picture.{request.image.media_type.rpartition('/')[2]}"
        picture: JsonValue = {"url": _data_uri(request.image), "filename": filename}
        content.append({"type": "image_url", "image_url": picture})
    config = _chosen(is_fast_video=request.fast, loras=[request.effect] if request.effect else None)
    return _chosen(
        messages=[{"role": "user", "content": content}],
        model_id=request.model,
        is_magic_prompt=request.enhance_prompt,
        duration=request.duration,
        audio=request.audio,
        video_config=config or None,
    )


def _image_to_video(request: VideoRequest) -> JsonObject:
    return _chosen(
        prompt=request.prompt,
        image_url=_data_uri(request.image),
        end_image_url=_data_uri(request.end_image),
        model_id=request.model,
        # A number is answered with `invalid JSON body`.
        duration=None if request.duration is None else str(request.duration),
        resolution=request.resolution,
        negative_prompt=request.negative_prompt,
        cfg_scale=request.guidance,
        seed=request.seed,
    )


_FLAVOURS: Mapping[str, _Flavour] = {
    "creative-ai": _Flavour(
        spec=CREATIVE_AI,
        submit="/creative-ai/video",
        poll="/creative-ai/poll-result/{}",
        link="result_url",
        headers=lambda key: {"x-api-key": key},
        body=_creative,
    ),
    "image-to-video": _Flavour(
        spec=IMAGE_TO_VIDEO,
        submit="/api/image-to-video",
        poll="/api/image-to-video/{}/status",
        link="video_url",
        headers=lambda key: {"Authorization": f"Bearer {key}"},
        body=_image_to_video,
    ),
}


def _chosen(**fields: JsonValue) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}


def _data_uri(image: SourceImage | None) -> str | None:
    return None if image is None else f"data:{image.media_type};base64,{b64encode(image.data).decode()}"
