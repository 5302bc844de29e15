import json
import logging
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from providers.base import Failed, Pending, Resources, Succeeded
from providers.errors import (
    Advice,
    InvalidRequest,
    NotFound,
    Problem,
    Unauthorized,
    Uncertain,
    Unusable,
)
from providers.eternalai import CREATIVE_AI, IMAGE_TO_VIDEO, EternalAI, EternalAIConfig
from providers.options import Choice, SourceImage
from providers.specs import ModelSpec, OptionRefused, VideoRequest
from tests.providers.conftest import FileHost, Received
from tests.vendors.base import nobody_home
from tests.vendors.eternalai import CREDENTIALS, EFFECTS, EternalAIServer
from tests.vendors.faults import html, redirect, sample_video, says, status

AskFor = Callable[..., VideoRequest]
Make = Callable[..., EternalAI]

SPECS = {"creative-ai": CREATIVE_AI, "image-to-video": IMAGE_TO_VIDEO}
SUBMITS = {"creative-ai": "/creative-ai/video", "image-to-video": "/api/image-to-video"}
POLLS = {
    "creative-ai": "/creative-ai/poll-result/job-1",
    "image-to-video": "/api/image-to-video/job-1/status",
}
HEADERS = {
    "creative-ai": ("x-api-key", EternalAIServer.KEY),
    "image-to-video": ("Authorization", f"Bearer {EternalAIServer.KEY}"),
}
OFFERED = ("tiktok_hip_dance", "good_thing_dance", "behind_the_scene")
both = pytest.mark.parametrize("flavour", SPECS)


@pytest.fixture
async def vendor() -> AsyncIterator[EternalAIServer]:
    async with EternalAIServer() as server:
        yield server


@pytest.fixture
def make(vendor: EternalAIServer, resources: Resources) -> Make:
    def build(flavour: str, **settings: Any) -> EternalAI:
        settings = {"api_key": vendor.KEY, "base_url": vendor.url, "flavour": flavour, **settings}
        return EternalAI(EternalAIConfig.model_validate(settings), resources)

    return build


@pytest.fixture
def creative(make: Make) -> EternalAI:
    return make("creative-ai")


@pytest.fixture
def api(make: Make) -> EternalAI:
    return make("image-to-video")


def body(vendor: EternalAIServer) -> dict[str, Any]:
    [asked] = vendor.seen("submit")
    return asked.json


def picture_in(url: str) -> bytes:
    head, _, data = url.partition(",")
    assert head == "data:image/jpeg;base64"
    return b64decode(data, validate=True)


@both
async def test_a_video_is_made(
    make: Make, vendor: EternalAIServer, ask_for: AskFor, sink: Received, flavour: str
) -> None:
    provider, spec = make(flavour), SPECS[flavour]
    operation = await provider.submit(spec.complete(ask_for(spec.id)))
    assert operation == {"request_id": "job-1", "flavour": flavour}
    assert await provider.poll(operation) == Pending()
    video = await provider.poll(operation)
    assert video == Succeeded(url=f"{vendor.url}/files/job-1.mp4")
    await provider.download(operation, video, sink)
    assert sink.data == sample_video()
    assert [(asked.method, asked.path) for asked in vendor.requests] == [
        ("POST", SUBMITS[flavour]),
        ("GET", POLLS[flavour]),
        ("GET", POLLS[flavour]),
        ("GET", "/files/job-1.mp4"),
    ]


@both
async def test_the_key_goes_into_the_flavours_own_header_and_never_to_the_file(
    make: Make, vendor: EternalAIServer, ask_for: AskFor, sink: Received, flavour: str
) -> None:
    provider, spec = make(flavour), SPECS[flavour]
    vendor.finish_after(looks=1)
    operation = await provider.submit(spec.complete(ask_for(spec.id)))
    video = await provider.poll(operation)
    assert isinstance(video, Succeeded)
    await provider.download(operation, video, sink)
    *calls, file = vendor.requests
    for asked in calls:
        sent = [(header, asked.headers[header]) for header in CREDENTIALS if header in asked.headers]
        assert sent == [HEADERS[flavour]]
    assert not [header for header in CREDENTIALS if header in file.headers]
    assert vendor.KEY not in str(file)


async def test_no_key_follows_a_redirect_back_to_the_vendors_own_host(
    creative: EternalAI, vendor: EternalAIServer, sink: Received
) -> None:
    vendor.next("result", redirect(f"{vendor.url}/files/moved.mp4"))
    await creative.download({}, Succeeded(url=f"{vendor.url}/files/job-1.mp4"), sink)
    assert sink.data == sample_video()
    assert vendor.KEY not in str(vendor.seen("result"))


async def test_a_link_may_lead_to_another_host(
    creative: EternalAI, resources: Resources, sink: Received
) -> None:
    trusting = replace(resources, trusted_hosts=frozenset({"127.0.0.1"}))
    async with FileHost() as files:
        await EternalAI(creative.config, trusting).download({}, Succeeded(url=f"{files.url}/file"), sink)
        assert EternalAIServer.KEY not in str(files.requests)
    assert sink.data == sample_video()


async def test_a_video_without_a_link_cannot_be_downloaded(creative: EternalAI, sink: Received) -> None:
    with pytest.raises(Unusable):
        await creative.download({}, Succeeded(), sink)


@pytest.mark.parametrize(
    ("flavour", "route", "words"),
    [
        ("creative-ai", "/api/image-to-video", "expected Authorization: Bearer"),
        ("image-to-video", "/creative-ai/video", "expected header x-api-key"),
    ],
)
async def test_one_flavours_header_is_no_good_for_the_other(
    make: Make, vendor: EternalAIServer, ask_for: AskFor, flavour: str, route: str, words: str
) -> None:
    provider = make(flavour)
    provider._flavour = replace(provider._flavour, submit=route)
    with pytest.raises(Unauthorized, match=words):
        await provider.submit(ask_for(SPECS[flavour].id))
    assert vendor.jobs == {}


async def test_creative_everything_chosen_is_sent(
    creative: EternalAI, vendor: EternalAIServer, ask_for: AskFor, picture: SourceImage
) -> None:
    chosen = {"duration": 5, "audio": False, "enhance_prompt": False, "fast": False, "effect": EFFECTS[0]}
    await creative.submit(ask_for(CREATIVE_AI.id, **chosen))
    sent = body(vendor)
    [message] = sent.pop("messages")
    text, image = message["content"]
    assert message["role"] == "user"
    assert text == {"type": "text", "text": "a slow pan"}
    assert image["type"] == "image_url"
    assert image["image_url"]["filename"] == "picture.jpeg"
    assert picture_in(image["image_url"]["url"]) == picture.data
    assert sent == {
        "model_id": CREATIVE_AI.id,
        "is_magic_prompt": False,
        "duration": 5,
        "audio": False,
        "video_config": {"is_fast_video": False, "loras": [EFFECTS[0]]},
    }


async def test_creative_what_was_not_chosen_is_not_sent(
    creative: EternalAI, vendor: EternalAIServer, ask_for: AskFor
) -> None:
    await creative.submit(ask_for(CREATIVE_AI.id))
    assert set(body(vendor)) == {"messages", "model_id"}


async def test_creative_without_a_picture_the_vendor_refuses(creative: EternalAI, ask_for: AskFor) -> None:
    with pytest.raises(InvalidRequest, match="image_url"):
        await creative.submit(ask_for(CREATIVE_AI.id, image=None))


async def test_api_everything_chosen_is_sent(
    api: EternalAI, vendor: EternalAIServer, ask_for: AskFor, picture: SourceImage
) -> None:
    end = picture.model_copy(update={"data": picture.data + b"\0"})
    chosen = {"duration": 3, "resolution": "480p", "negative_prompt": "rain", "guidance": 0, "seed": 0}
    await api.submit(ask_for(IMAGE_TO_VIDEO.id, end_image=end, **chosen))
    sent = body(vendor)
    assert picture_in(sent.pop("image_url")) == picture.data
    assert picture_in(sent.pop("end_image_url")) == end.data
    assert sent == {
        "prompt": "a slow pan",
        "model_id": IMAGE_TO_VIDEO.id,
        "duration": "3",
        "resolution": "480p",
        "negative_prompt": "rain",
        "cfg_scale": 0,
        "seed": 0,
    }


async def test_api_what_was_not_chosen_is_not_sent(
    api: EternalAI, vendor: EternalAIServer, ask_for: AskFor
) -> None:
    await api.submit(ask_for(IMAGE_TO_VIDEO.id))
    assert set(body(vendor)) == {"prompt", "image_url", "model_id"}


@both
async def test_the_largest_picture_is_below_the_vendors_limit_in_base64_too(
    make: Make, vendor: EternalAIServer, ask_for: AskFor, picture: SourceImage, flavour: str
) -> None:
    spec = SPECS[flavour]
    large = picture.model_copy(update={"data": bytes(spec.image.max_bytes), "media_type": "image/jpeg"})
    await make(flavour).submit(ask_for(spec.id, image=large))
    assert len(vendor.jobs) == 1


WITH_AN_ID = [
    {"status": 1, "data": {"request_id": "inside"}, "request_id": "outside"},
    {"status": True, "error": None, "result": {"request_id": "inside"}},
    {"request_id": "inside", "status": "pending", "result": "", "progress": 0},
    {"status": 1, "data": {"request_id": ""}, "request_id": "inside"},
    {"status": 1, "data": None, "request_id": "inside"},
    {"status": {"status": "pending", "request_id": "inside"}},
    {"status": 0, "message": "slow today", "request_id": "inside"},
]


@both
async def test_an_id_is_a_purchase_wherever_it_is(
    make: Make, vendor: EternalAIServer, ask_for: AskFor, flavour: str
) -> None:
    for answer in WITH_AN_ID:
        vendor.next("submit", says(json.dumps(answer).encode()))
        operation = await make(flavour).submit(ask_for(SPECS[flavour].id))
        assert operation["request_id"] == "inside", answer


async def test_an_id_may_be_a_number_and_may_need_quoting(
    creative: EternalAI, vendor: EternalAIServer, ask_for: AskFor
) -> None:
    vendor.next("submit", says(b'{"request_id": 921864}'))
    operation = await creative.submit(ask_for(CREATIVE_AI.id))
    assert operation["request_id"] == "921864"
    vendor.next("poll", says(b"{}"))
    await creative.poll({"request_id": "a/b?c"})
    assert vendor.seen("poll")[0].query == {}
    assert vendor.seen("poll")[0].path == "/creative-ai/poll-result/a/b?c"


REFUSED = [
    {"status": 0, "message": "no such model"},
    {"status": -1, "error": {"code": -1, "message": "no such model"}},
    {"status": 400, "error": "no such model"},
    {"status": False, "error": "no such model", "result": None},
    {"status": "failed", "error": "no such model"},
    {"status": "Error", "data": {"message": "no such model"}},
]


@both
async def test_a_status_of_failure_with_words_is_a_refusal(
    make: Make, vendor: EternalAIServer, ask_for: AskFor, flavour: str
) -> None:
    for answer in REFUSED:
        vendor.next("submit", says(json.dumps(answer).encode()))
        with pytest.raises(InvalidRequest, match="no such model"):
            await make(flavour).submit(ask_for(SPECS[flavour].id))


UNCLEAR = [
    {},
    {"status": 0},
    {"status": False, "error": "", "result": None},
    {"status": "failed"},
    {"status": 1, "error": "odd"},
    {"status": 200, "message": "odd"},
    {"status": True, "error": "odd", "result": {}},
    {"status": "whatever", "error": "odd"},
    {"error": "odd"},
    {"status": 1, "data": {"request_id": True}},
    {"status": 1, "data": {"request_id": ["odd"]}},
    {"status": None, "request_id": None},
]


@both
async def test_anything_less_clear_is_a_purchase_in_doubt(
    make: Make, vendor: EternalAIServer, ask_for: AskFor, flavour: str
) -> None:
    for answer in UNCLEAR:
        vendor.next("submit", says(json.dumps(answer).encode()))
        with pytest.raises(Uncertain, match="no request_id"):
            await make(flavour).submit(ask_for(SPECS[flavour].id))


LINK = "https://cdn.example.com/v.mp4"


VERDICTS = [
    ({"status": "success", "progress": 0, "result_url": LINK}, Succeeded(url=LINK)),
    ({"status": "COMPLETED", "result_url": LINK, "encrypted_aes_key": ""}, Succeeded(url=LINK)),
    ({"status": "processing", "result_url": LINK}, Succeeded(url=LINK)),
    ({"status": 1, "data": {"status": "done", "result_url": LINK}}, Succeeded(url=LINK)),
    ({"status": {"status": "success", "result_url": LINK}}, Succeeded(url=LINK)),
    ({"status": {"status": "success"}, "result_url": LINK}, Succeeded(url=LINK)),
    ({"status": 2, "result_url": LINK}, Succeeded(url=LINK)),
    ({"status": "pending", "progress": 0}, Pending()),
    ({"status": "pending", "progress": 25}, Pending(progress=0.25)),
    ({"status": "queued", "progress": 12.5, "result_url": ""}, Pending(progress=0.125)),
    ({"status": "processing", "progress": 10**400}, Pending(progress=1)),
    ({"status": "processing", "progress": -3}, Pending()),
    ({"status": "processing", "progress": "half"}, Pending()),
    ({"status": "processing", "result_url": "x" * 100}, Pending()),
    ({"status": 1, "data": {"status": "processing", "progress": 100}}, Pending(progress=1)),
    ({"status": {"status": "pending", "progress": 50}}, Pending(progress=0.5)),
    ({"status": {"state": "success"}}, Pending()),
    ({"status": 0}, Pending()),
    ({"status": 1, "message": "in the queue"}, Pending()),
    ({"status": False}, Pending()),
    ({"status": None}, Pending()),
    ({}, Pending()),
    ({"status": "failed", "error": "out of memory"}, Failed(detail="out of memory")),
    ({"status": "ERROR", "message": "no  GPU"}, Failed(detail="no GPU")),
    (
        {"status": 1, "data": {"status": "failed", "error": {"message": "no GPU"}}},
        Failed(detail="no GPU"),
    ),
    ({"status": {"status": "failed"}}, Failed(detail="no reason given")),
    ({"status": "success", "result_url": ""}, Failed(detail="success, but without a link to the video")),
    ({"status": "done", "result_url": "v.mp4"}, Failed(detail="done, but without a link to the video")),
]


async def test_creative_verdicts(creative: EternalAI, vendor: EternalAIServer) -> None:
    for answer, verdict in VERDICTS:
        vendor.next("poll", says(json.dumps(answer).encode()))
        assert await creative.poll({"request_id": "job-1"}) == verdict, answer


API_VERDICTS = [
    ({"status": "completed", "video_url": LINK}, Succeeded(url=LINK)),
    ({"status": "processing"}, Pending()),
    ({"status": "completed"}, Failed(detail="completed, but without a link to the video")),
    (
        {"status": "completed", "result_url": LINK},
        Failed(detail="completed, but without a link to the video"),
    ),
    ({"status": "failed", "error": "out of memory"}, Failed(detail="out of memory")),
    ({"status": "failed", "error": None}, Failed(detail="no reason given")),
    ({}, Pending()),
    (None, Pending()),
]


async def test_api_verdicts(api: EternalAI, vendor: EternalAIServer) -> None:
    for result, verdict in API_VERDICTS:
        answer = {"status": True, "error": None, "result": result}
        vendor.next("poll", says(json.dumps(answer).encode()))
        assert await api.poll({"request_id": "job-1"}) == verdict, result


NOT_LOOKED_AT = [
    {"status": False, "error": "try later", "result": None},
    {"status": 0, "message": "try later"},
]


@both
async def test_a_look_that_did_not_work_says_nothing_about_the_video(
    make: Make, vendor: EternalAIServer, flavour: str
) -> None:
    for answer in NOT_LOOKED_AT:
        vendor.next("poll", says(json.dumps(answer).encode()))
        with pytest.raises(Uncertain, match="try later"):
            await make(flavour).poll({"request_id": "job-1"})


@pytest.mark.parametrize("shape", ["word", "number", "object"])
async def test_creative_a_status_of_any_shape_leads_to_the_end(
    creative: EternalAI, vendor: EternalAIServer, ask_for: AskFor, shape: Any
) -> None:
    vendor.status = shape
    vendor.finish_after(looks=2)
    made, broken = [await creative.submit(ask_for(CREATIVE_AI.id)) for _ in range(2)]
    assert await creative.poll(made) == Pending()
    assert isinstance(await creative.poll(made), Succeeded)
    vendor.reason = "out of memory"
    vendor.finish("job-2")
    assert await creative.poll(broken) == Failed(detail="out of memory")


async def test_creative_progress_is_told_as_a_part_of_one(
    creative: EternalAI, vendor: EternalAIServer, ask_for: AskFor
) -> None:
    vendor.progress = 40
    assert await creative.poll(await creative.submit(ask_for(CREATIVE_AI.id))) == Pending(progress=0.4)


async def test_an_encrypted_video_is_a_failure_that_says_so(
    creative: EternalAI, vendor: EternalAIServer, ask_for: AskFor
) -> None:
    vendor.aes_key = "b64-of-a-key"
    vendor.finish_after(looks=1)
    verdict = await creative.poll(await creative.submit(ask_for(CREATIVE_AI.id)))
    assert verdict == Failed(detail="the video is encrypted", advice=Advice(problem=Problem.ENCRYPTED))


@both
async def test_finished_without_a_link_is_a_failure(
    make: Make, vendor: EternalAIServer, ask_for: AskFor, flavour: str
) -> None:
    vendor.without_link = True
    vendor.finish_after(looks=1)
    provider = make(flavour)
    verdict = await provider.poll(await provider.submit(ask_for(SPECS[flavour].id)))
    assert isinstance(verdict, Failed)
    assert "without a link" in verdict.detail


@both
async def test_what_was_submitted_in_the_other_flavour_is_lost_and_nobody_is_asked(
    make: Make, vendor: EternalAIServer, ask_for: AskFor, flavour: str
) -> None:
    operation = await make(flavour).submit(ask_for(SPECS[flavour].id))
    [other] = set(SPECS) - {flavour}
    verdict = await make(other).poll(operation)
    assert verdict == Failed(detail=f"it was submitted with the flavour {flavour}, which is no longer set")
    assert vendor.seen("poll") == []


@both
async def test_a_request_may_not_be_known_yet(
    make: Make, vendor: EternalAIServer, ask_for: AskFor, flavour: str
) -> None:
    vendor.late_looks = 1
    vendor.finish_after(looks=3)
    provider = make(flavour)
    operation = await provider.submit(ask_for(SPECS[flavour].id))
    with pytest.raises(NotFound):
        await provider.poll(operation)
    assert await provider.poll(operation) == Pending()


async def test_a_picture_that_comes_with_a_look_is_read_past(
    creative: EternalAI, vendor: EternalAIServer, ask_for: AskFor
) -> None:
    vendor.picture_bytes = 4_000_000
    vendor.finish_after(looks=1)
    assert isinstance(await creative.poll(await creative.submit(ask_for(CREATIVE_AI.id))), Succeeded)


async def test_an_endless_picture_is_no_verdict_and_is_not_quoted(
    creative: EternalAI,
    vendor: EternalAIServer,
    ask_for: AskFor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    vendor.picture_bytes = 9_000_000
    with pytest.raises(Uncertain) as raised:
        await creative.poll(await creative.submit(ask_for(CREATIVE_AI.id)))
    assert len(raised.value.detail) < 400
    assert "AAAA" not in raised.value.detail + caplog.text


async def offered(provider: EternalAI) -> Choice[str] | None:
    [spec] = await provider.models()
    return spec.effect


async def test_the_effects_on_offer_are_the_operators_as_far_as_the_vendor_has_them(
    make: Make, vendor: EternalAIServer
) -> None:
    provider = make("creative-ai", effects=("lanterns_in_the_wind", "snow_globe", "tiktok_hip_dance"))
    assert await offered(provider) == Choice(values=("lanterns_in_the_wind", "tiktok_hip_dance"))
    assert vendor.seen("effects")[0].headers["x-api-key"] == vendor.KEY


async def test_the_operator_gives_the_words_that_an_effect_listens_to(
    make: Make, vendor: EternalAIServer, ask_for: AskFor
) -> None:
    provider = make("creative-ai", effects=("tiktok_hip_dance: dancing;  in a street", "good_thing_dance"))
    [spec] = await provider.models()
    assert spec.effect == Choice(values=("tiktok_hip_dance", "good_thing_dance"))
    assert spec.effect_words == {"tiktok_hip_dance": "dancing, in a street"}
    await provider.submit(spec.complete(ask_for(spec.id, effect="tiktok_hip_dance")))
    sent = body(vendor)
    assert sent["messages"][0]["content"][0]["text"] == "a slow pan, dancing, in a street"
    assert sent["video_config"]["loras"] == ["tiktok_hip_dance"]


async def test_effects_without_words_are_named_in_the_log_once(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    provider = make("creative-ai", effects=("tiktok_hip_dance: dancing", "good_thing_dance"))
    await provider.models()
    await provider.models()
    [said] = [record.getMessage() for record in caplog.records]
    assert said.startswith("no trigger words are set for good_thing_dance;")


def test_an_effect_has_a_name() -> None:
    with pytest.raises(ValidationError, match="should be effects"):
        EternalAIConfig(effects=(": falling snow",))


@pytest.mark.parametrize(
    "listed",
    [
        {"data": [{"id": "b"}]},
        {"effects": [{"lora_id": "b", "id": 7}]},
        {"items": ["a", "b"]},
        {"status": 1, "data": {"effects": [{"effect_id": "b"}]}},
        {"data": [], "items": [{"name": "b"}]},
        {"data": [{"id": 1, "name": "Other", "tag": "b"}, None, 3.5, ["c"], {"id": ["c"]}]},
    ],
)
async def test_the_vendors_effects_are_found_in_any_likely_shape(
    make: Make, vendor: EternalAIServer, listed: object
) -> None:
    vendor.effects = listed
    effect = await offered(make("creative-ai", effects=("b", "c")))
    assert effect == Choice(values=("b",))


@pytest.mark.parametrize(
    "listed", [{}, {"data": []}, {"data": None}, {"data": "b"}, {"list": [{"id": "b"}]}, []]
)
async def test_a_list_of_effects_that_says_nothing_takes_none_away(
    creative: EternalAI, vendor: EternalAIServer, listed: object
) -> None:
    vendor.effects = listed
    assert await offered(creative) == Choice(values=OFFERED)


async def test_an_effect_may_be_known_by_a_number(make: Make, vendor: EternalAIServer) -> None:
    vendor.effects = {"data": [{"id": 17}]}
    assert await offered(make("creative-ai", effects=("17", "18"))) == Choice(values=("17",))


async def test_a_list_of_effects_without_end_is_read_in_part(make: Make, vendor: EternalAIServer) -> None:
    vendor.effects = {"data": [f"effect-{number}" for number in range(5000)]}
    effect = await offered(make("creative-ai", effects=("effect-999", "effect-1000")))
    assert effect == Choice(values=("effect-999",))


async def test_without_any_effect_there_is_no_such_option(
    make: Make, vendor: EternalAIServer, ask_for: AskFor
) -> None:
    assert await offered(make("creative-ai", effects=())) is None
    assert await offered(make("creative-ai", effects=("snow_globe",))) is None


async def test_effects_are_asked_for_once_an_hour(creative: EternalAI, vendor: EternalAIServer) -> None:
    await creative.models()
    vendor.effects = {"data": ["good_thing_dance"]}
    assert await offered(creative) == Choice(values=OFFERED)
    assert len(vendor.seen("effects")) == 1
    creative._stale_at -= 3600
    assert await offered(creative) == Choice(values=("good_thing_dance",))
    assert len(vendor.seen("effects")) == 2


async def test_while_effects_cannot_be_listed_the_operators_are_offered(
    creative: EternalAI, vendor: EternalAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.next("effects", status(500))
    assert await offered(creative) == Choice(values=OFFERED)
    assert "HTTP 500" in caplog.text
    assert vendor.KEY not in caplog.text
    vendor.effects = {"data": ["good_thing_dance"]}
    assert await offered(creative) == Choice(values=("good_thing_dance",))


async def test_effects_are_offered_where_nobody_answers(make: Make) -> None:
    async with nobody_home() as url:
        assert await offered(make("creative-ai", base_url=url)) == Choice(values=OFFERED)


async def test_api_knows_no_effects_and_asks_for_none(api: EternalAI, vendor: EternalAIServer) -> None:
    assert await offered(api) is None
    assert vendor.requests == []


@pytest.mark.parametrize(
    ("spec", "taken", "refused"),
    [
        (
            CREATIVE_AI,
            {"duration": 5, "audio": False, "enhance_prompt": True, "fast": True},
            {"duration": 10, "seed": 1, "resolution": "720p", "effect": "snow_globe", "guidance": 0.5},
        ),
        (
            IMAGE_TO_VIDEO,
            {"duration": 1, "resolution": "580p", "negative_prompt": "rain", "guidance": 1, "seed": 0},
            {"duration": 6, "resolution": "540p", "guidance": 1.1, "seed": -1, "audio": True, "fast": True},
        ),
    ],
)
def test_models_take_what_is_documented(
    ask_for: AskFor, spec: ModelSpec, taken: dict[str, object], refused: dict[str, object]
) -> None:
    spec.check(ask_for(spec.id, **taken))
    for option, value in refused.items():
        with pytest.raises(OptionRefused):
            spec.check(ask_for(spec.id, **{option: value}))


def test_defaults_are_the_documented_ones(ask_for: AskFor) -> None:
    creative = CREATIVE_AI.complete(ask_for(CREATIVE_AI.id))
    assert (creative.duration, creative.audio, creative.fast, creative.enhance_prompt) == (
        5,
        True,
        None,
        None,
    )
    api = IMAGE_TO_VIDEO.complete(ask_for(IMAGE_TO_VIDEO.id))
    assert (api.duration, api.resolution, api.guidance, api.seed) == (5, "720p", None, None)


@pytest.mark.parametrize(
    ("chosen", "usd_micros"),
    [
        ({}, 75_000),
        ({"resolution": "480p"}, 25_000),
        ({"resolution": "480p", "duration": 1}, 5_000),
        ({"resolution": "580p", "duration": 2}, 30_000),
        ({"resolution": "720p", "duration": 4}, 60_000),
    ],
)
async def test_api_the_price_depends_on_the_resolution(
    api: EternalAI, vendor: EternalAIServer, ask_for: AskFor, chosen: dict[str, object], usd_micros: int
) -> None:
    assert await api.quote(ask_for(IMAGE_TO_VIDEO.id, **chosen), IMAGE_TO_VIDEO) == usd_micros
    assert vendor.requests == []


async def test_creative_has_no_published_price(creative: EternalAI, ask_for: AskFor) -> None:
    assert await creative.quote(ask_for(CREATIVE_AI.id), CREATIVE_AI) is None


@both
async def test_the_key_is_good_when_the_vendor_gets_as_far_as_the_request(
    make: Make, vendor: EternalAIServer, flavour: str
) -> None:
    await make(flavour).verify()
    assert len(vendor.seen("poll")) == 1
    assert vendor.seen("submit") == []


@both
async def test_a_bad_key_is_found_out_for_free(make: Make, vendor: EternalAIServer, flavour: str) -> None:
    with pytest.raises(Unauthorized):
        await make(flavour, api_key="wrong").verify()
    assert vendor.seen("submit") == []


async def test_a_bad_key_is_found_out_where_looks_are_open_to_everybody(
    creative: EternalAI, vendor: EternalAIServer
) -> None:
    vendor.next("effects", status(401))
    vendor.next("poll", says(b"{}"))
    with pytest.raises(Unauthorized):
        await creative.verify()


@pytest.mark.parametrize("fault", [status(404), status(400), html()], ids=["404", "400", "html"])
async def test_a_key_is_good_although_the_effects_cannot_be_read(
    creative: EternalAI, vendor: EternalAIServer, fault: Any
) -> None:
    vendor.next("effects", fault)
    await creative.verify()


async def test_without_a_key_it_is_not_enabled(resources: Resources) -> None:
    assert not EternalAIConfig().enabled
    assert EternalAI(EternalAIConfig(), resources).config.base_url == "https://open.eternalai.org"
    assert EternalAIConfig(api_key=SecretStr("key")).enabled


def test_a_flavour_is_one_of_two() -> None:
    assert EternalAIConfig().flavour == "creative-ai"
    with pytest.raises(ValidationError):
        EternalAIConfig.model_validate({"flavour": "v2"})
