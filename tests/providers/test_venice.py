import asyncio
import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Any

import pytest
from pydantic import SecretStr

from providers import _venice_models
from providers._venice_models import ONE_OF_SEVERAL, ONLY_FILE, SOUND
from providers._venice_wire import micros
from providers.base import Failed, Operation, Pending, Resources, Succeeded
from providers.errors import (
    Advice,
    ContentRefused,
    Forbidden,
    InvalidRequest,
    NeedsConsent,
    NotFound,
    OutOfFunds,
    Overloaded,
    Problem,
    ProviderError,
    Unauthorized,
    Uncertain,
    Unusable,
)
from providers.limits import FailureLimit, RateLimit
from providers.options import Choice, Flag, SourceAudio, SourceImage, Text
from providers.specs import Mode, ModelSpec, OptionRefused, VideoRequest
from providers.venice import FAILURES, Venice, VeniceConfig
from tests.providers.conftest import Received
from tests.vendors.faults import cut, sample_video, says, status
from tests.vendors.venice import I2V, T2V, VeniceServer, model, untyped

AskFor = Callable[..., VideoRequest]
JOB: Operation = {"queue_id": "job-1", "model": I2V}
POLICY = {"message": "not allowed", "type": "provider_content_policy", "credits_refunded": True}


@pytest.fixture
async def vendor() -> AsyncIterator[VeniceServer]:
    async with VeniceServer() as server:
        yield server


@pytest.fixture
def venice(vendor: VeniceServer, resources: Resources) -> Venice:
    return Venice(VeniceConfig(api_key=SecretStr(vendor.KEY), base_url=vendor.url), resources)


@pytest.fixture
def wish(ask_for: AskFor) -> VideoRequest:
    return ask_for(I2V, duration=5, resolution="720p")


def body(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def spec_of(name: str = I2V, **listed: Any) -> ModelSpec:
    [spec] = _venice_models.specs([model(name, **listed)])
    return spec


async def test_a_video_is_made(
    venice: Venice, vendor: VeniceServer, wish: VideoRequest, picture: SourceImage, sink: Received
) -> None:
    operation = await venice.submit(wish)
    assert operation == JOB
    assert await venice.poll(operation) == Pending(remaining_seconds=135)
    video = await venice.poll(operation)
    assert video == Succeeded()
    await venice.download(operation, video, sink)
    assert sink.data == sample_video()
    await venice.cleanup(operation)
    assert vendor.forgotten == ["job-1"]
    look = {"model": I2V, "queue_id": "job-1", "delete_media_on_completion": False}
    assert [(asked.path, asked.json) for asked in vendor.requests] == [
        (
            "/video/queue",
            {
                "model": I2V,
                "prompt": "a slow pan",
                "duration": "5s",
                "resolution": "720p",
                "image_url": f"data:image/jpeg;base64,{b64encode(picture.data).decode()}",
            },
        ),
        *[("/video/retrieve", look)] * 3,
        ("/video/complete", {"model": I2V, "queue_id": "job-1"}),
    ]


async def test_everything_chosen_is_sent(
    venice: Venice, vendor: VeniceServer, ask_for: AskFor, picture: SourceImage
) -> None:
    vendor.catalogue = [model("x-transition", aspect_ratios=["16:9"], audio_input=True)]
    [spec] = await venice.models()
    sound = SourceAudio(data=b"RIFF", media_type="audio/wav", seconds=3)
    wish = ask_for(
        spec.id,
        duration=10,
        resolution="1080p",
        aspect_ratio="16:9",
        negative_prompt="rain",
        audio=False,
        end_image=picture,
        audio_file=sound,
    )
    spec.check(wish)
    await venice.submit(wish)
    [asked] = vendor.seen("submit")
    url = f"data:image/jpeg;base64,{b64encode(picture.data).decode()}"
    assert asked.json == {
        "model": spec.id,
        "prompt": "a slow pan",
        "negative_prompt": "rain",
        "duration": "10s",
        "resolution": "1080p",
        "aspect_ratio": "16:9",
        "audio": False,
        "image_url": url,
        "end_image_url": url,
        "audio_url": "data:audio/wav;base64,UklGRg==",
    }


async def test_the_largest_picture_fits(
    venice: Venice, vendor: VeniceServer, wish: VideoRequest, picture: SourceImage
) -> None:
    large = picture.model_copy(update={"data": bytes(ONLY_FILE.max_bytes)})
    await venice.submit(wish.model_copy(update={"image": large}))
    sizes = [len(vendor.requests[0].json["image_url"]), 2 * ONE_OF_SEVERAL.max_bytes + SOUND.max_bytes]
    assert sizes[0] < 35_000_000
    assert sizes[1] * 4 / 3 < 35_000_000


async def test_the_model_that_is_returned_is_the_one_to_ask_for(
    venice: Venice, vendor: VeniceServer, wish: VideoRequest
) -> None:
    vendor.remaps[I2V] = "wan-4-image-to-video"
    operation = await venice.submit(wish)
    assert operation["model"] == "wan-4-image-to-video"
    assert isinstance(await venice.poll(operation), Pending)


NO_ID = [{}, {"queue_id": ""}, {"queue_id": [7]}, {"model": I2V}]


async def test_a_submit_without_a_queue_id_is_a_purchase_in_doubt(
    venice: Venice, vendor: VeniceServer, wish: VideoRequest
) -> None:
    for answer in NO_ID:
        vendor.next("submit", says(body(**answer)))
        with pytest.raises(Uncertain, match="no queue_id"):
            await venice.submit(wish)


MISSING = [{}, {"model": None}, {"model": "", "download_url": None}]


async def test_what_was_bought_is_kept_whatever_else_is_missing(
    venice: Venice, vendor: VeniceServer, wish: VideoRequest
) -> None:
    for more in MISSING:
        vendor.next("submit", says(body(queue_id="job-1", **more)))
        assert await venice.submit(wish) == JOB


REFUSED = [
    (
        400,
        {"error": "Invalid", "issues": [{"path": ["duration"], "expected": "'4s' | '8s'"}]},
        InvalidRequest,
        """HTTP 400: Invalid [{"path": ["duration"], "expected": "'4s' | '8s'"}]""",
    ),
    (401, {"error": "Authentication failed"}, Unauthorized, "HTTP 401: Authentication failed"),
    (402, {"error": "INSUFFICIENT_BALANCE"}, OutOfFunds, "HTTP 402: INSUFFICIENT_BALANCE"),
    (401, {"error": "no", "code": "PRO_ONLY_MODEL"}, Forbidden, "HTTP 401: no"),
    (401, {"error": "PRO_ONLY_MODEL"}, Forbidden, "HTTP 401: PRO_ONLY_MODEL"),
    (
        401,
        {"error": "This model is only available to Pro users"},
        Forbidden,
        "HTTP 401: This model is only available to Pro users",
    ),
    (400, {"error": "no", "code": "INVALID_MODEL"}, NotFound, "HTTP 400: no"),
    (403, {"error": "not in your region"}, Forbidden, "HTTP 403: not in your region"),
    (
        409,
        {"error": {"code": "needs_consent", "message": "faces"}, "consent_flow": "seedance"},
        NeedsConsent,
        "HTTP 409: faces",
    ),
    (409, {"error": "busy"}, InvalidRequest, "HTTP 409: busy"),
    (413, {"code": "PAYLOAD_TOO_LARGE", "error": "25 MB"}, InvalidRequest, "HTTP 413: 25 MB"),
    (422, {"error": "no"}, ContentRefused, "HTTP 422: no"),
    (422, {"error": "no", "code": "IMAGE_TOO_LARGE"}, InvalidRequest, "HTTP 422: no"),
]


async def test_a_refused_order_says_why(venice: Venice, vendor: VeniceServer, wish: VideoRequest) -> None:
    for code, answer, kind, words in REFUSED:
        vendor.next("submit", status(code, body(**answer)))
        with pytest.raises(kind) as raised:
            await venice.submit(wish)
        assert type(raised.value) is kind
        assert (raised.value.detail, raised.value.status) == (words, code), answer


async def test_a_better_prompt_is_handed_on_whole_but_without_the_key(
    venice: Venice, vendor: VeniceServer, wish: VideoRequest
) -> None:
    better = "a calm sea " * 50
    vendor.next("submit", status(422, body(error="no", suggested_prompt=f"{better}{vendor.KEY}")))
    with pytest.raises(ContentRefused) as raised:
        await venice.submit(wish)
    assert raised.value.advice == Advice(suggested_prompt=f"{better}[key]")


OBJECTIONS = [
    (
        400,
        {"error": "Invalid", "issues": [{"path": ["duration"], "expected": "'4s' | '8s'"}]},
        Advice(option="duration", allowed=("4s", "8s")),
    ),
    (
        400,
        {"error": "Invalid", "issues": [{"path": ["resolution"], "options": ["480p", "1080p"]}]},
        Advice(option="resolution", allowed=("480p", "1080p")),
    ),
    (
        400,
        {
            "error": "Invalid",
            "issues": [7, {"path": []}, {"path": ["x"]}, {"path": ["end_image_url", 0]}],
        },
        Advice(option="end_image"),
    ),
    (
        400,
        {"error": "No", "issues": [{"path": ["audio"], "expected": "<@1>"}]},
        Advice(option="audio"),
    ),
    (
        400,
        {"error": "Invalid", "details": {"_errors": [], "aspect_ratio": {"_errors": ["no"]}}},
        Advice(option="aspect_ratio"),
    ),
    (
        400,
        {"error": "No", "issues": [{"path": ["duration"], "values": [5, "10s", "[x](y)"] * 9}]},
        Advice(option="duration", allowed=("5", "10s")),
    ),
    (
        400,
        {"error": "No", "issues": [{"path": ["duration"], "values": list(range(1, 100))}]},
        Advice(option="duration", allowed=tuple(map(str, range(1, 13)))),
    ),
    (400, {"error": "CORRUPTED_IMAGE"}, Advice(problem=Problem.FILE_UNREADABLE)),
    (400, {"error": "no", "code": "IMAGE_TOO_SMALL"}, Advice(problem=Problem.FILE_TOO_SMALL)),
    (413, {"error": "25 MB", "code": "PAYLOAD_TOO_LARGE"}, Advice(problem=Problem.FILE_TOO_LARGE)),
    (413, {}, Advice(problem=Problem.FILE_TOO_LARGE)),
    (422, {"error": "VIDEO_DURATION_TOO_LONG"}, Advice(problem=Problem.FILE_TOO_LONG)),
    (422, {"error": {"message": "odd", "credits_refunded": True}}, Advice(refunded=True)),
]


async def test_what_the_vendor_objects_to_is_handed_on(
    venice: Venice, vendor: VeniceServer, wish: VideoRequest
) -> None:
    for code, answer, advice in OBJECTIONS:
        vendor.next("submit", status(code, body(**answer)))
        with pytest.raises(InvalidRequest) as raised:
            await venice.submit(wish)
        assert raised.value.advice == advice, answer
        assert type(raised.value) is InvalidRequest


async def test_a_suggestion_that_is_no_text_is_none(
    venice: Venice, vendor: VeniceServer, wish: VideoRequest
) -> None:
    vendor.next(
        "submit",
        status(422, body(error="no", suggested_prompt=[1], recommended_model="x` [y](https://z.example)")),
    )
    with pytest.raises(ContentRefused) as raised:
        await venice.submit(wish)
    assert raised.value.advice == Advice()


NOT_MADE = [
    (
        {"error": {**POLICY, "recommended_model": T2V}},
        Failed(
            detail="HTTP 422: not allowed",
            refused=True,
            advice=Advice(recommended_model=T2V, refunded=True),
        ),
    ),
    (
        {"error": POLICY},
        Failed(
            detail="HTTP 422: not allowed",
            refused=True,
            advice=Advice(refunded=True),
        ),
    ),
    (
        {"error": "not allowed", "credits_refunded": False},
        Failed(
            detail="HTTP 422: not allowed",
            refused=True,
            advice=Advice(refunded=False),
        ),
    ),
    ({"error": "not allowed"}, Failed(detail="HTTP 422: not allowed", refused=True)),
    (
        {"error": {"message": "not allowed", "code": "CONTENT_POLICY_VIOLATION"}},
        Failed(detail="HTTP 422: not allowed", refused=True),
    ),
    (
        {"error": "too long", "code": "VIDEO_DURATION_TOO_LONG", "credits_refunded": True},
        Failed(
            detail="HTTP 422: too long",
            advice=Advice(problem=Problem.FILE_TOO_LONG, refunded=True),
        ),
    ),
    ({"error": {"message": "broken"}}, Failed(detail="HTTP 422: broken")),
]


async def test_a_video_that_the_vendor_will_not_make_is_a_verdict(
    venice: Venice, vendor: VeniceServer
) -> None:
    for answer, verdict in NOT_MADE:
        vendor.next("poll", status(422, body(**answer)))
        assert await venice.poll(JOB) == verdict, answer


VERDICTS = [
    ({"status": "PROCESSING"}, Pending()),
    (
        {"status": "PROCESSING", "average_execution_time": 1500.5, "execution_duration": 500.5},
        Pending(remaining_seconds=1),
    ),
    (
        {"status": "PROCESSING", "average_execution_time": 5, "execution_duration": 9},
        Pending(remaining_seconds=0),
    ),
    ({"status": "PROCESSING", "average_execution_time": "5", "execution_duration": None}, Pending()),
    (
        {"status": "PROCESSING", "average_execution_time": float("inf"), "execution_duration": 1},
        Pending(),
    ),
    ({"status": "PAUSED"}, Pending()),
    ({"status": None}, Pending()),
    ({"status": 3}, Pending()),
    ({}, Pending()),
    ({"status": "COMPLETED"}, Succeeded()),
    ({"status": "completed"}, Succeeded()),
    ({"status": "FAILED", "error": "no GPU"}, Failed(detail="no GPU")),
    ({"status": "Failed", "error": {"message": "no GPU"}}, Failed(detail="no GPU")),
    (
        {"status": "FAILED", "error": {"message": "no GPU", "credits_refunded": True}},
        Failed(detail="no GPU", advice=Advice(refunded=True)),
    ),
    (
        {"status": "FAILED", "error": {**POLICY, "recommended_model": T2V}},
        Failed(detail="not allowed", refused=True, advice=Advice(recommended_model=T2V, refunded=True)),
    ),
    ({"status": "CANCELLED"}, Failed(detail="no reason given")),
]


async def test_verdicts(venice: Venice, vendor: VeniceServer) -> None:
    for answer, verdict in VERDICTS:
        vendor.next("poll", says(body(**answer)))
        assert await venice.poll(JOB) == verdict, answer


FILES = [
    says(sample_video(), "video/mp4"),
    says(sample_video(), "application/octet-stream"),
    untyped(sample_video()),
    untyped(sample_video(), split_at=3),
]


async def test_a_file_is_a_file_whatever_it_is_called(venice: Venice, vendor: VeniceServer) -> None:
    for fault in FILES:
        sink = Received()
        vendor.next("poll", fault, fault)
        assert await venice.poll(JOB) == Succeeded()
        await venice.download(JOB, Succeeded(), sink)
        assert sink.data == sample_video()


async def test_a_status_is_a_status_whatever_it_is_called(venice: Venice, vendor: VeniceServer) -> None:
    vendor.next("poll", untyped(b' \n{"status": "FAILED"}', split_at=1), untyped(b"??"), untyped(b""))
    assert isinstance(await venice.poll(JOB), Failed)
    for _ in range(2):
        with pytest.raises(Uncertain):
            await venice.poll(JOB)


async def test_a_finished_file_is_not_read_to_see_that_it_is_finished(
    venice: Venice, vendor: VeniceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("providers._http_body.MAX_STATUS", 100)
    vendor.next("poll", says(sample_video(), "video/mp4"))
    assert await venice.poll(JOB) == Succeeded()


async def test_a_status_in_place_of_the_file_is_no_file(
    venice: Venice, vendor: VeniceServer, wish: VideoRequest, sink: Received
) -> None:
    operation = await venice.submit(wish)
    with pytest.raises(Unusable, match="PROCESSING"):
        await venice.download(operation, Succeeded(), sink)
    assert sink.data == b""


async def test_a_private_video_comes_from_its_link_without_the_key(
    venice: Venice, vendor: VeniceServer, wish: VideoRequest, sink: Received
) -> None:
    vendor.is_private = True
    operation = await venice.submit(wish)
    assert operation == {**JOB, "download_url": f"{vendor.url}/file/job-1"}
    assert isinstance(await venice.poll(operation), Pending)
    assert await venice.poll(operation) == Succeeded()
    vendor.next("file", cut, cut)
    with pytest.raises(Uncertain):
        await venice.download(operation, Succeeded(), sink)
    await venice.download(operation, Succeeded(), sink)
    assert sink.data == sample_video()
    await venice.cleanup(operation)
    assert vendor.forgotten == ["job-1"]
    assert vendor.seen("complete") == []


async def test_a_link_that_is_gone_is_not_found(venice: Venice, vendor: VeniceServer, sink: Received) -> None:
    operation: Operation = {**JOB, "download_url": f"{vendor.url}/file/job-1"}
    vendor.next("file", status(410), status(429, x_ratelimit_reset_requests=f"{time.time() + 20:.0f}"))
    with pytest.raises(NotFound):
        await venice.download(operation, Succeeded(), sink)
    with pytest.raises(Overloaded):
        await venice.download(operation, Succeeded(), sink)


@pytest.mark.parametrize(
    "operation",
    [JOB, {**JOB, "download_url": "https://10.0.0.1/x"}, {**JOB, "download_url": "https://"}],
)
async def test_what_cannot_be_cleaned_up_stays(
    venice: Venice, vendor: VeniceServer, operation: Operation
) -> None:
    vendor.next("complete", status(500))
    await venice.cleanup(operation)


@pytest.mark.parametrize("code", [429, 503])
async def test_a_rate_limit_says_when_it_ends(venice: Venice, vendor: VeniceServer, code: int) -> None:
    vendor.next("poll", status(code, x_ratelimit_reset_requests=f"{time.time() + 40:.0f}"))
    with pytest.raises(Overloaded) as raised:
        await venice.poll(JOB)
    assert raised.value.retry_after == pytest.approx(40, abs=3)


async def test_an_unknown_job_is_not_found(venice: Venice) -> None:
    with pytest.raises(NotFound):
        await venice.poll(JOB)


async def buy(venice: Venice, wish: VideoRequest) -> Operation:
    async with venice.rate_limit():
        return await venice.submit(wish)


async def test_a_turn_is_taken_after_the_wait_for_failures(venice: Venice, vendor: VeniceServer) -> None:
    class Watched(RateLimit):
        async def spend(self) -> None:
            assert venice._failure_limit._left.locked(), "the call has its place already"
            await super().spend()

    venice._failure_limit = venice._api._failure_limit = FailureLimit(1, 30, patience=0)
    venice._retrieves = Watched(1)
    with pytest.raises(NotFound):
        await venice.poll(JOB)


async def test_a_failed_purchase_counts_against_the_lock(
    venice: Venice, vendor: VeniceServer, wish: VideoRequest
) -> None:
    venice._failure_limit = FailureLimit(1, 30, patience=0)
    vendor.next("submit", status(400))
    with pytest.raises(InvalidRequest):
        await buy(venice, wish)
    with pytest.raises(Overloaded):
        await buy(venice, wish)
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(("code", "kind"), [(500, Uncertain), (503, Overloaded), (429, Overloaded)])
@pytest.mark.parametrize("words", ["PRO_ONLY_MODEL lookup failed", "MODEL_NOT_FOUND"])
async def test_what_is_in_doubt_stays_in_doubt_whatever_the_words_say(
    venice: Venice,
    vendor: VeniceServer,
    wish: VideoRequest,
    code: int,
    kind: type[ProviderError],
    words: str,
) -> None:
    vendor.next("submit", status(code, body(error=words)))
    with pytest.raises(kind):
        await venice.submit(wish)


async def test_looks_and_downloads_share_one_budget_and_purchases_have_another(
    venice: Venice, vendor: VeniceServer, wish: VideoRequest, sink: Received
) -> None:
    assert venice._queues._calls < 40
    assert venice._retrieves._calls < 120
    assert Venice.terms.polls_per_minute is not None
    assert Venice.terms.polls_per_minute < 120
    venice._queues = RateLimit(1, patience=0)
    venice._retrieves = RateLimit(2, margin=0, patience=0)
    vendor.finish_after(looks=1)
    operation = await buy(venice, wish)
    assert await venice.poll(operation) == Succeeded()
    await venice.download(operation, Succeeded(), sink)
    for call in (buy(venice, wish), venice.poll(operation), venice.download(operation, Succeeded(), sink)):
        with pytest.raises(Overloaded) as raised:
            await call
        assert raised.value.retry_after == pytest.approx(60, abs=3)
    assert len(vendor.requests) == 3


async def test_failures_stop_before_the_vendor_locks_us_out(venice: Venice, vendor: VeniceServer) -> None:
    venice._api._failure_limit = FailureLimit(FAILURES, 30, patience=0)
    looks = await asyncio.gather(*(venice.poll(JOB) for _ in range(40)), return_exceptions=True)
    assert [type(look) for look in looks].count(NotFound) == len(vendor.requests) == FAILURES - 1
    assert {type(look) for look in looks} == {NotFound, Overloaded}
    assert not vendor.locked


async def test_the_vendor_locks_out_who_fails_too_often(venice: Venice, vendor: VeniceServer) -> None:
    venice._api._failure_limit = None
    for _ in range(21):
        with pytest.raises(NotFound):
            await venice.poll(JOB)
    with pytest.raises(Overloaded):
        await venice.models()
    started = vendor.now()
    vendor.now = lambda: started + 31
    assert await venice.models()


async def test_a_quote_is_asked_for_what_would_be_made(
    venice: Venice, vendor: VeniceServer, ask_for: AskFor
) -> None:
    spec = spec_of(aspect_ratios=["1:1"])
    assert await venice.quote(ask_for(I2V, audio=False, negative_prompt="rain"), spec) == 350_000
    [asked] = vendor.seen("quote")
    assert asked.json == {
        "model": I2V,
        "duration": "5s",
        "resolution": "720p",
        "aspect_ratio": "1:1",
        "audio": False,
    }


@pytest.mark.parametrize(
    ("written", "price"),
    [
        ("0.1", 100_000),
        ("0.0000001", 0),
        ("0.0000005", 1),
        ("0.35000000000000003", 350_000),
        ("1.15", 1_150_000),
        ("9007199254.740993", None),
        ("0.29", 290_000),
        ("3", 3_000_000),
        ("0", 0),
        ("0.12345678901234567890", 123_457),
        ("-1", None),
        ("true", None),
        ("null", None),
        ('"0.5"', None),
        ("NaN", None),
        ("Infinity", None),
        ("1e999999999", None),
        ("1e99999999999999999999", None),
        ("1e-400", 0),
        ("{", None),
    ],
)
def test_a_quote_is_taken_digit_by_digit(written: str, price: int | None) -> None:
    assert micros(f'{{"quote": {written}}}'.encode()) == price


@pytest.mark.parametrize("answer", [b"[]", b"7", b"{}", b"\xff", b""])
def test_an_answer_without_a_quote_is_no_price(answer: bytes) -> None:
    assert micros(answer) is None


@pytest.mark.parametrize("fault", [status(400), status(500), cut, says(b"{}")])
async def test_a_quote_that_cannot_be_had_is_no_obstacle(
    venice: Venice, vendor: VeniceServer, wish: VideoRequest, fault: Any
) -> None:
    vendor.next("quote", fault)
    assert await venice.quote(wish, spec_of()) is None


async def test_the_catalogue_is_the_vendors(venice: Venice, vendor: VeniceServer) -> None:
    first, second = await venice.models()
    assert (first.id, first.mode, first.audio) == (I2V, Mode.IMAGE_TO_VIDEO, Flag())
    assert (second.id, second.mode, second.audio) == (T2V, Mode.TEXT_TO_VIDEO, None)
    assert vendor.seen("models")[0].query == {"type": "video"}


@pytest.mark.parametrize("answer", [b"{}", b'{"data": {}}', b'{"data": []}', b'{"data": [{"id": "a"}, 7]}'])
async def test_a_catalogue_without_models_is_none(
    venice: Venice, vendor: VeniceServer, answer: bytes
) -> None:
    vendor.next("models", says(answer), status(503))
    with pytest.raises(Uncertain):
        await venice.models()
    with pytest.raises(Overloaded):
        await venice.models()


def test_what_a_model_takes_is_what_its_entry_says() -> None:
    spec = spec_of(
        spec={"name": "Wan 3"},
        durations=["10s", "Auto", "6s", "8s", "8s", "-1", "1 gen", "0s"],
        resolutions=["768P", "true_1080p"],
        aspect_ratios=["9:16", "16:9"],
        prompt_character_limit=3500.0,
        audio_input=True,
    )
    assert spec == ModelSpec(
        id=I2V,
        name="Wan 3",
        mode=Mode.IMAGE_TO_VIDEO,
        prompt_limit=3500,
        image=ONE_OF_SEVERAL,
        duration=Choice(values=(6, 8, 10), default=6),
        resolution=Choice(values=("768P", "true_1080p"), default="768P"),
        aspect_ratio=Choice(values=("9:16", "16:9"), default="16:9"),
        negative_prompt=Text(limit=3500),
        audio=Flag(),
        audio_file=SOUND,
        deadline_seconds=3600,
    )


def test_what_an_entry_does_not_list_is_not_taken(ask_for: AskFor) -> None:
    spec = spec_of(resolutions=[], aspect_ratios=[], audio_configurable=False)
    assert (spec.prompt_limit, spec.negative_prompt, spec.image) == (2500, Text(limit=2500), ONLY_FILE)
    assert spec.complete(ask_for(I2V)) == ask_for(I2V, duration=5)
    refused: list[dict[str, object]] = [
        {"resolution": "720p"},
        {"aspect_ratio": "16:9"},
        {"audio": True},
        {"seed": 1},
    ]
    for option in refused:
        with pytest.raises(OptionRefused):
            spec.check(ask_for(I2V, **option))


def test_a_sound_is_short_small_and_of_a_kind_that_is_taken() -> None:
    for kind, seconds, size, allowed in [
        ("audio/wav", 30, 15_000_000, True),
        ("audio/mpeg", 1, 1, True),
        ("audio/ogg", 1, 1, False),
        ("audio/wav", 31, 1, False),
        ("audio/wav", 1, 15_000_001, False),
    ]:
        sound = SourceAudio(data=bytes(size), media_type=kind, seconds=seconds)
        assert SOUND.allows(sound) is allowed


@pytest.mark.parametrize(
    "entry",
    [
        model("topaz-upscale", model_type="video", durations=["Auto"]),
        model("kling-motion", video_input=True),
        model("upscale-image-to-video", durations=["Auto"]),
        model("auto-image-to-video", durations=[]),
        model("kling-o3-reference-to-video"),
        model(I2V, spec={"offline": True}),
        model(I2V, durations="5s"),
        {"id": I2V, "model_spec": {"name": "stripped"}},
        {"id": I2V},
        None,
    ],
)
def test_models_that_cannot_be_asked_from_here_are_left_out(entry: Any) -> None:
    assert [spec.id for spec in _venice_models.specs([entry, model(T2V)])] == [T2V]


@pytest.mark.parametrize("limit", [float("inf"), float("nan"), -1, 0, 0.5, "many", 1e9])
def test_an_absurd_prompt_limit_is_the_usual_one(limit: object) -> None:
    [spec] = _venice_models.specs([model(I2V, prompt_character_limit=limit)])
    assert spec.prompt_limit == 2500


def test_a_field_that_is_null_is_not_there() -> None:
    entry = model(I2V, spec={"deprecation": None, "offline": None}, audio_input=None, aspect_ratios=None)
    [spec] = _venice_models.specs([entry])
    assert (spec.retires, spec.audio_file, spec.aspect_ratio) == (None, None, None)


@pytest.mark.parametrize("name", ["veo3-first-last-frame-to-video", "pixverse-v6-transition"])
def test_a_model_that_leads_from_picture_to_picture_takes_two(name: str) -> None:
    spec = spec_of(name)
    assert spec.end_image == spec.image == ONE_OF_SEVERAL


def test_models_for_pictures_come_first_and_those_that_stay_before_those_that_go() -> None:
    going = {"deprecation": {"removesAt": "2026-09-24T00:00:00.000Z"}}
    listed = [model(T2V), model("a-transition"), model("b", spec=going), model("c"), model("c")]
    assert [spec.id for spec in _venice_models.specs(listed)] == ["c", "a-transition", "b", T2V]


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2026-09-24T00:00:00.000Z", date(2026, 9, 24)),
        ("2025-04-01 00:00:00+00:00", date(2025, 4, 1)),
        ("2025-04-01T01:00:00+02:00", date(2025, 3, 31)),
        ("soon", None),
        (None, None),
        (7, None),
    ],
)
def test_a_model_that_goes_says_when(instant: object, day: date | None) -> None:
    assert spec_of(spec={"deprecation": {"removesAt": instant}}).retires == day


def test_a_model_may_say_when_it_goes_by_its_old_name() -> None:
    old = {"deprecation": {"autoRemap": False, "date": "2026-09-24 00:00:00+00:00"}}
    assert spec_of(spec=old).retires == date(2026, 9, 24)


async def test_a_key_that_may_not_see_the_balance_is_good(venice: Venice, vendor: VeniceServer) -> None:
    vendor.next("balance", status(401), says(b"{}"))
    await venice.verify()
    await venice.verify()


async def test_a_bad_key_is_found_out_for_free(venice: Venice, vendor: VeniceServer) -> None:
    vendor.access = False
    with pytest.raises(Unauthorized, match="may not be used"):
        await venice.verify()
    vendor.next("limits", status(401))
    with pytest.raises(Unauthorized, match="HTTP 401"):
        await venice.verify()


async def test_an_empty_balance_is_found_out_for_free(venice: Venice, vendor: VeniceServer) -> None:
    vendor.balance = {"canConsume": False}
    with pytest.raises(OutOfFunds):
        await venice.verify()


def test_500_for_five_minutes_means_that_inference_failed() -> None:
    assert Venice.terms.hopeless_after == 300


async def test_without_a_key_it_is_not_enabled(resources: Resources) -> None:
    assert not VeniceConfig().enabled
    assert Venice(VeniceConfig(), resources).config.base_url == "https://api.venice.ai/api/v1"


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        ({"delete_media_on_completion": True}, "deleted on retrieval"),
        ({"model": "another"}, "another model"),
        ({"seed": 1}, "seed"),
    ],
)
async def test_the_vendor_notices_what_must_never_be_sent(
    venice: Venice, wish: VideoRequest, sent: dict[str, Any], complaint: str
) -> None:
    strict = VeniceServer()
    await strict.start()
    strict.begin(I2V)
    look = {**JOB, "delete_media_on_completion": False, **sent}
    headers = {"Authorization": f"Bearer {strict.KEY}"}
    async with venice.resources.session.post(f"{strict.url}/video/retrieve", json=look, headers=headers):
        pass
    with pytest.raises(AssertionError, match=complaint):
        await strict.__aexit__()
