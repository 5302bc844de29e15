import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, Literal

import pytest
from pydantic import SecretStr, ValidationError

from providers.base import Failed, Pending, Resources, Succeeded
from providers.errors import InvalidRequest, NotFound, ProviderError, Unauthorized, Uncertain
from providers.openai_videos import OpenAIVideos, OpenAIVideosConfig
from providers.options import SourceImage
from providers.specs import Mode, OptionRefused, VideoRequest
from tests.providers.conftest import FileHost, Received
from tests.vendors.base import VendorServer
from tests.vendors.faults import sample_video, says
from tests.vendors.openai_videos import OpenAIVideosServer, SGLangServer

MODEL = OpenAIVideosServer.MODEL
IMAGE, TEXT = Mode.IMAGE_TO_VIDEO, Mode.TEXT_TO_VIDEO

AskFor = Callable[..., VideoRequest]


@pytest.fixture
async def vllm() -> AsyncIterator[OpenAIVideosServer]:
    async with OpenAIVideosServer() as server:
        yield server


@pytest.fixture
async def sglang() -> AsyncIterator[SGLangServer]:
    async with SGLangServer() as server:
        yield server


@pytest.fixture
def connect(resources: Resources) -> Callable[..., OpenAIVideos]:
    def build(server: VendorServer, /, **settings: object) -> OpenAIVideos:
        kind = "sglang" if isinstance(server, SGLangServer) else "vllm"
        values = {"base_url": server.url, "api_key": server.KEY, "server": kind, **settings}
        return OpenAIVideos(OpenAIVideosConfig.model_validate(values), resources)

    return build


Connect = Callable[..., OpenAIVideos]


@pytest.fixture
def provider(connect: Connect, vllm: OpenAIVideosServer) -> OpenAIVideos:
    return connect(vllm)


async def test_a_video_is_made_and_forgotten(
    provider: OpenAIVideos, vllm: OpenAIVideosServer, ask_for: AskFor, sink: Received
) -> None:
    operation = await provider.submit(ask_for(MODEL))
    assert operation == {"id": "job-1"}
    assert await provider.poll(operation) == Pending(progress=0.4)
    video = await provider.poll(operation)
    assert video == Succeeded()
    await provider.download(operation, video, sink)
    await provider.cleanup(operation)
    assert sink.data == sample_video()
    assert vllm.deleted == ["job-1"]
    assert [(seen.method, seen.path) for seen in vllm.requests] == [
        ("POST", "/v1/videos"),
        ("GET", "/v1/videos/job-1"),
        ("GET", "/v1/videos/job-1"),
        ("GET", "/v1/videos/job-1/content"),
        ("DELETE", "/v1/videos/job-1"),
    ]


async def test_everything_chosen_is_sent_to_vllm_as_a_form(
    provider: OpenAIVideos, vllm: OpenAIVideosServer, ask_for: AskFor, picture: SourceImage
) -> None:
    options = {"duration": 3, "resolution": "720p", "negative_prompt": "text", "seed": 0}
    await provider.submit(ask_for(MODEL, steps=30, guidance=3.5, **options))
    [asked] = vllm.requests
    assert asked.fields == {
        "model": MODEL,
        "prompt": "a slow pan",
        "seconds": "3",
        "num_frames": "49",
        "fps": "16",
        "size": "1120x832",
        "seed": "0",
        "negative_prompt": "text",
        "num_inference_steps": "30",
        "guidance_scale": "3.5",
    }
    upload = asked.files["input_reference"]
    assert (upload.filename, upload.media_type, upload.data) == ("picture.jpeg", "image/jpeg", picture.data)


async def test_sglang_gets_words_as_json_and_a_picture_as_a_form(
    connect: Connect, sglang: SGLangServer, ask_for: AskFor
) -> None:
    provider = connect(sglang)
    await provider.submit(ask_for("/models/wan", image=None, seed=1))
    assert sglang.requests[0].json == {
        "model": "/models/wan",
        "prompt": "a slow pan",
        "seconds": 5,
        "num_frames": 81,
        "fps": 16,
        "size": "832x480",
        "seed": 1,
    }
    await provider.submit(ask_for("/models/wan"))
    assert set(sglang.requests[1].files) == {"input_reference"}
    assert sglang.requests[1].fields["seconds"] == "5"


@pytest.mark.parametrize(
    ("fps", "seconds", "frames"), [(16, 5, 81), (24, 5, 121), (25, 3, 73), (15, 3, 45), (8, 1, 9)]
)
async def test_vllm_is_always_told_how_many_frames_to_make(
    connect: Connect, vllm: OpenAIVideosServer, ask_for: AskFor, fps: int, seconds: int, frames: int
) -> None:
    await connect(vllm, fps=fps, durations=(seconds,)).submit(ask_for(MODEL))
    assert vllm.frames == {"job-1": frames}


@pytest.mark.parametrize(
    ("resolution", "ratio", "size"),
    [
        ("480p", None, "832x480"),
        ("480p", "9:16", "480x832"),
        ("480p", "1:1", "640x640"),
        ("720p", "16:9", "1280x704"),
        ("720p", "3:4", "832x1120"),
    ],
)
async def test_the_size_follows_from_resolution_and_aspect_ratio(
    provider: OpenAIVideos,
    vllm: OpenAIVideosServer,
    ask_for: AskFor,
    resolution: str,
    ratio: str | None,
    size: str,
) -> None:
    await provider.submit(ask_for(MODEL, image=None, resolution=resolution, aspect_ratio=ratio))
    assert vllm.requests[0].fields["size"] == size


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(1920, 1080, "832x480"), (300, 900, "352x1088"), (9000, 1, "1248x320"), (1, 9000, "320x1248")],
)
async def test_a_picture_keeps_its_shape(
    provider: OpenAIVideos,
    vllm: OpenAIVideosServer,
    ask_for: AskFor,
    picture: SourceImage,
    width: int,
    height: int,
    size: str,
) -> None:
    shaped = picture.model_copy(update={"width": width, "height": height})
    await provider.submit(ask_for(MODEL, image=shaped))
    assert vllm.requests[0].fields["size"] == size


async def test_a_model_that_does_both_is_offered_for_both_and_called_by_its_name(
    provider: OpenAIVideos, vllm: OpenAIVideosServer, ask_for: AskFor
) -> None:
    picture, text = await provider.models()
    assert (picture.id, picture.mode, picture.aspect_ratio) == (MODEL, IMAGE, None)
    assert (text.id, text.mode) == (f"{MODEL}:text", TEXT)
    assert picture.name == text.name == "Wan2.2-TI2V-5B-Diffusers"
    wish = text.complete(ask_for(text.id, image=None))
    assert (wish.duration, wish.resolution, wish.aspect_ratio) == (5, "480p", "16:9")
    await provider.submit(wish)
    assert vllm.seen("submit")[0].fields["model"] == MODEL


@pytest.mark.parametrize(
    ("card", "mode", "modes"),
    [
        ({"id": "Wan-AI/Wan2.2-T2V-A14B-Diffusers"}, None, [TEXT]),
        ({"id": "wan2.2-i2v-a14b"}, None, [IMAGE]),
        ({"id": "/models/mine"}, None, [IMAGE, TEXT]),
        ({"id": "/models/mine"}, "text-to-video", [TEXT]),
        ({"id": "/models/wan-t2v"}, "image-to-video", [IMAGE]),
        ({"id": "/models/wan-t2v"}, "both", [IMAGE, TEXT]),
        ({"id": "/models/wan-t2v", "task_type": "I2V"}, None, [IMAGE]),
        ({"id": "/models/wan", "task_type": "TI2V"}, None, [IMAGE, TEXT]),
        ({"id": "/models/flux", "task_type": "T2I"}, None, []),
    ],
)
async def test_what_a_model_works_from(
    connect: Connect, vllm: OpenAIVideosServer, card: dict[str, str], mode: str | None, modes: list[Mode]
) -> None:
    vllm.next("models", says(json.dumps({"object": "list", "data": [card]}).encode()))
    assert [spec.mode for spec in await connect(vllm, mode=mode).models()] == modes


async def test_sglang_says_what_its_model_works_from(connect: Connect, sglang: SGLangServer) -> None:
    [spec] = await connect(sglang).models()
    assert (spec.id, spec.name, spec.mode) == ("/models/wan", "wan", TEXT)
    sglang.task = "I2V"
    [spec] = await connect(sglang).models()
    assert spec.mode is IMAGE


async def test_a_list_that_is_none_is_an_outage(provider: OpenAIVideos, vllm: OpenAIVideosServer) -> None:
    vllm.next("models", says(b'{"data": "soon"}'))
    with pytest.raises(Uncertain, match="no list of models"):
        await provider.models()


async def test_what_is_on_offer_is_the_operators_choice(
    connect: Connect, vllm: OpenAIVideosServer, ask_for: AskFor
) -> None:
    provider = connect(vllm, durations=(2, 4), resolutions=("720p",), mode="image-to-video")
    [spec] = await provider.models()
    wish = spec.complete(ask_for(spec.id))
    assert (wish.duration, wish.resolution, wish.steps, wish.guidance) == (2, "720p", None, None)
    spec.check(ask_for(spec.id, duration=4, steps=200, guidance=20, seed=0))
    for refused in ({"duration": 5}, {"resolution": "480p"}, {"steps": 201}, {"aspect_ratio": "1:1"}):
        with pytest.raises(OptionRefused):
            spec.check(ask_for(spec.id, **refused))


@pytest.mark.parametrize("answer", [b"{}", b'{"id": ""}', b'{"id": [1], "file_path": "/srv/outputs"}'])
async def test_a_submit_without_an_id_is_in_doubt_and_no_path_is_told(
    provider: OpenAIVideos, vllm: OpenAIVideosServer, ask_for: AskFor, answer: bytes
) -> None:
    vllm.next("submit", says(answer))
    with pytest.raises(Uncertain, match=r"^no id in the answer$"):
        await provider.submit(ask_for(MODEL))


async def test_the_servers_words_about_a_refusal_are_kept(
    provider: OpenAIVideos, connect: Connect, sglang: SGLangServer, ask_for: AskFor
) -> None:
    with pytest.raises(InvalidRequest, match="num_inference_steps must be"):
        await provider.submit(ask_for(MODEL, steps=201))
    with pytest.raises(InvalidRequest, match="input_reference file is required"):
        await connect(sglang, server="vllm").submit(ask_for(MODEL, image=None))


STATUSES = {
    **dict.fromkeys(("queued", "pending", "submitted", "starting", "in_progress"), Pending()),
    **dict.fromkeys(("processing", "running", "", "thinking"), Pending()),
    **dict.fromkeys(("completed", "succeeded", "success", "SUCCESS"), Succeeded()),
    **{
        word: Failed(detail=f"{word}: no reason given")
        for word in ("failed", "error", "cancelled", "canceled", "expired", "aborted", "deleted")
    },
}


@pytest.mark.parametrize(("word", "verdict"), STATUSES.items())
async def test_each_status_has_its_meaning(
    provider: OpenAIVideos, vllm: OpenAIVideosServer, word: str, verdict: object
) -> None:
    vllm.next("poll", says(json.dumps({"status": word}).encode()))
    assert await provider.poll({"id": "job-1"}) == verdict


@pytest.mark.parametrize(
    ("said", "progress"),
    [(1, 0.01), (55, 0.55), (99.5, 0.995), (100, 1), (0, None), (-1, None), (101, None)]
    + [(said, None) for said in (None, "55", [1])],
)
async def test_progress_is_told_where_it_moves(
    provider: OpenAIVideos, vllm: OpenAIVideosServer, said: object, progress: float | None
) -> None:
    vllm.next("poll", says(json.dumps({"status": "in_progress", "progress": said}).encode()))
    assert await provider.poll({"id": "job-1"}) == Pending(progress=progress)


async def test_sglangs_progress_is_none(connect: Connect, sglang: SGLangServer, ask_for: AskFor) -> None:
    provider = connect(sglang)
    operation = await provider.submit(ask_for("/models/wan", image=None))
    assert [await provider.poll(operation) for _ in range(2)] == [Pending(), Succeeded()]


@pytest.mark.parametrize("code", [500, "out_of_memory"])
async def test_an_errors_code_may_be_a_number_or_a_word(
    provider: OpenAIVideos, vllm: OpenAIVideosServer, ask_for: AskFor, code: int | str
) -> None:
    vllm.finish_after(looks=1)
    vllm.reason, vllm.code = "CUDA out of memory", code
    assert await provider.poll(await provider.submit(ask_for(MODEL))) == Failed(detail="CUDA out of memory")


async def test_sglangs_error_has_no_code(connect: Connect, sglang: SGLangServer, ask_for: AskFor) -> None:
    sglang.finish_after(looks=1)
    sglang.reason = "CUDA out of memory"
    provider = connect(sglang)
    operation = await provider.submit(ask_for("/models/wan", image=None))
    assert await provider.poll(operation) == Failed(detail="CUDA out of memory")


async def test_a_file_that_is_not_ready_can_be_asked_for_again(
    provider: OpenAIVideos,
    connect: Connect,
    vllm: OpenAIVideosServer,
    sglang: SGLangServer,
    ask_for: AskFor,
    sink: Received,
) -> None:
    refusals: dict[OpenAIVideosServer, type[ProviderError]] = {vllm: InvalidRequest, sglang: NotFound}
    for server, refusal in refusals.items():
        early = connect(server)
        operation = await early.submit(ask_for(MODEL))
        with pytest.raises(refusal, match="still in-progress"):
            await early.download(operation, Succeeded(), sink)
        assert sink.data == b""
        server.finish("job-1")
        await early.poll(operation)
        await early.download(operation, Succeeded(), sink)
        assert sink.data == sample_video()
        sink.data = b""


async def test_a_file_that_sglang_keeps_in_cloud_storage_is_fetched_there_without_the_key(
    connect: Connect, resources: Resources, sglang: SGLangServer, ask_for: AskFor, sink: Received
) -> None:
    trusting = replace(resources, trusted_hosts=frozenset({"127.0.0.1"}))
    provider = OpenAIVideos(connect(sglang).config, trusting)
    sglang.finish_after(looks=1)
    async with FileHost() as bucket:
        sglang.cloud = f"{bucket.url}/file"
        operation = await provider.submit(ask_for("/models/wan", image=None))
        video = await provider.poll(operation)
        assert video == Succeeded(url=sglang.cloud)
        await provider.download(operation, video, sink)
        [asked] = bucket.requests
    assert sink.data == sample_video()
    assert sglang.KEY not in str(asked)
    assert sglang.seen("result") == []


@pytest.mark.parametrize(
    "url", [None, "", 7, "job-1.mp4", "/v1/videos/job-1/content", "s3://bucket/job-1.mp4"]
)
async def test_what_is_no_link_to_a_file_is_passed_over(
    connect: Connect, sglang: SGLangServer, url: object
) -> None:
    sglang.next("poll", says(json.dumps({"status": "completed", "url": url}).encode()))
    assert await connect(sglang).poll({"id": "job-1"}) == Succeeded()


async def test_a_cancelled_job_is_deleted_and_need_not_be_there_any_more(
    provider: OpenAIVideos, vllm: OpenAIVideosServer, ask_for: AskFor
) -> None:
    operation = await provider.submit(ask_for(MODEL))
    await provider.cancel(operation)
    await provider.cleanup(operation)
    assert vllm.deleted == ["job-1"]
    assert len(vllm.seen("delete")) == 2
    with pytest.raises(NotFound):
        await provider.poll(operation)


async def test_sglang_deletes_as_well(connect: Connect, sglang: SGLangServer, ask_for: AskFor) -> None:
    provider = connect(sglang)
    await provider.cancel(await provider.submit(ask_for("/models/wan", image=None)))
    assert sglang.deleted == ["job-1"]


async def test_a_job_id_stays_inside_its_path(provider: OpenAIVideos, vllm: OpenAIVideosServer) -> None:
    with pytest.raises(NotFound):
        await provider.poll({"id": "../models?x=#"})
    assert vllm.seen("models") == []


@pytest.mark.parametrize("key", [None, ""])
async def test_a_server_without_keys_is_sent_none(
    connect: Connect, vllm: OpenAIVideosServer, key: str | None
) -> None:
    with pytest.raises(Unauthorized):
        await connect(vllm, api_key=key).verify()
    assert "Authorization" not in vllm.requests[0].headers


@pytest.mark.parametrize(("server", "stops"), [("vllm", True), ("sglang", False)])
def test_of_the_two_servers_only_vllm_stops_what_is_cancelled(
    resources: Resources, server: Literal["vllm", "sglang"], *, stops: bool
) -> None:
    config = OpenAIVideosConfig(base_url="http://127.0.0.1:8091/v1", server=server)
    assert OpenAIVideos(config, resources).terms.stops_on_cancel is stops


async def test_its_address_enables_it_with_a_key_or_without(resources: Resources) -> None:
    assert not OpenAIVideosConfig().enabled
    assert not OpenAIVideosConfig(api_key=SecretStr("key")).enabled
    config = OpenAIVideosConfig(base_url="http://127.0.0.1:8091/v1/")
    assert config.enabled
    assert (config.base_url, config.max_jobs) == ("http://127.0.0.1:8091/v1", 1)
    OpenAIVideos(OpenAIVideosConfig(), resources)


@pytest.mark.parametrize(
    "wrong",
    [{"durations": ()}, {"durations": (0,)}, {"resolutions": ("999p",)}, {"fps": 7}, {"server": "other"}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OpenAIVideosConfig.model_validate(wrong)
