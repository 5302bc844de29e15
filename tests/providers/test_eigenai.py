import json
from collections.abc import AsyncIterator, Callable

import pytest
from pydantic import SecretStr, ValidationError

from providers.base import Failed, Pending, Resources, Succeeded
from providers.eigenai import WAN_TURBO, EigenAI, EigenAIConfig
from providers.errors import Forbidden, InvalidRequest, NotFound, ProviderError, Unauthorized, Uncertain
from providers.options import SourceImage
from providers.specs import OptionRefused, VideoRequest
from tests.providers.conftest import Received
from tests.vendors.eigenai import EigenAIServer
from tests.vendors.faults import sample_video, says, status

AskFor = Callable[..., VideoRequest]


@pytest.fixture
async def vendor() -> AsyncIterator[EigenAIServer]:
    async with EigenAIServer() as server:
        yield server


@pytest.fixture
def eigenai(vendor: EigenAIServer, resources: Resources) -> EigenAI:
    return EigenAI(EigenAIConfig(api_key=SecretStr(vendor.KEY), base_url=vendor.url), resources)


async def test_a_video_is_made(
    eigenai: EigenAI, vendor: EigenAIServer, ask_for: AskFor, sink: Received
) -> None:
    operation = await eigenai.submit(ask_for(WAN_TURBO.id, steps=5))
    assert operation == {"task_id": "job-1", "model": WAN_TURBO.id}
    assert await eigenai.poll(operation) == Pending()
    video = await eigenai.poll(operation)
    assert video == Succeeded()
    await eigenai.download(operation, video, sink)
    assert sink.data == sample_video()
    assert [(asked.method, asked.path) for asked in vendor.requests] == [
        ("POST", "/api/v1/generate"),
        ("GET", "/api/v1/generate/status"),
        ("GET", "/api/v1/generate/status"),
        ("GET", "/api/v1/generate/result"),
    ]
    assert vendor.requests[1].query == vendor.requests[3].query == {"jobId": "job-1", "model": WAN_TURBO.id}


async def test_everything_chosen_is_sent_as_a_form(
    eigenai: EigenAI, vendor: EigenAIServer, ask_for: AskFor, picture: SourceImage
) -> None:
    await eigenai.submit(ask_for(WAN_TURBO.id, steps=20, seed=7))
    [asked] = vendor.seen("submit")
    assert asked.fields == {
        "model": WAN_TURBO.id,
        "prompt": "a slow pan",
        "infer_steps": "20",
        "seed": "7",
    }
    assert asked.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    upload = asked.files["image"]
    assert (upload.filename, upload.media_type, upload.data) == ("picture.jpeg", "image/jpeg", picture.data)


async def test_seed_zero_is_a_seed(eigenai: EigenAI, vendor: EigenAIServer, ask_for: AskFor) -> None:
    await eigenai.submit(ask_for(WAN_TURBO.id, seed=0))
    assert vendor.requests[0].fields["seed"] == "0"


async def test_what_was_not_chosen_is_not_sent(
    eigenai: EigenAI, vendor: EigenAIServer, ask_for: AskFor
) -> None:
    await eigenai.submit(ask_for(WAN_TURBO.id))
    assert set(vendor.requests[0].fields) == {"model", "prompt"}


async def test_the_largest_picture_is_sent_whole(
    eigenai: EigenAI, vendor: EigenAIServer, ask_for: AskFor, picture: SourceImage
) -> None:
    large = picture.model_copy(update={"data": bytes(WAN_TURBO.image.max_bytes)})
    await eigenai.submit(ask_for(WAN_TURBO.id, image=large))
    assert len(vendor.requests[0].files["image"].data) == WAN_TURBO.image.max_bytes


async def test_without_a_picture_the_vendor_refuses(eigenai: EigenAI, ask_for: AskFor) -> None:
    with pytest.raises(InvalidRequest, match="image or image_url is required"):
        await eigenai.submit(ask_for(WAN_TURBO.id, image=None))


@pytest.mark.parametrize("answer", [b"{}", b'{"task_id": ""}', b'{"task_id": null}', b'{"task_id": [1]}'])
async def test_a_submit_without_a_task_id_is_a_purchase_in_doubt(
    eigenai: EigenAI, vendor: EigenAIServer, ask_for: AskFor, answer: bytes
) -> None:
    vendor.next("submit", says(answer))
    with pytest.raises(Uncertain, match="no task_id"):
        await eigenai.submit(ask_for(WAN_TURBO.id))


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (b'{"status": "pending"}', Pending()),
        (b'{"status": "processing", "error": null, "new_field": 1}', Pending()),
        (b'{"status": "COMPLETED"}', Succeeded()),
        (b'{"status": "failed", "error": "out of memory"}', Failed(detail="out of memory")),
        (b'{"status": "Failed", "error": {"message": "no  GPU"}}', Failed(detail="no GPU")),
        (b'{"status": "failed", "error": null}', Failed(detail="no reason given")),
        (b'{"status": "failed"}', Failed(detail="no reason given")),
        (b'{"status": null}', Pending()),
        (b'{"status": 3}', Pending()),
        (b'{"task_status": "completed"}', Pending()),
        (b"{}", Pending()),
    ],
)
async def test_verdicts(eigenai: EigenAI, vendor: EigenAIServer, answer: bytes, verdict: object) -> None:
    vendor.next("poll", says(answer))
    assert await eigenai.poll({"task_id": "job-1", "model": WAN_TURBO.id}) == verdict


async def test_a_task_the_vendor_forgot_is_not_found(eigenai: EigenAI) -> None:
    with pytest.raises(NotFound):
        await eigenai.poll({"task_id": "job-9", "model": WAN_TURBO.id})


@pytest.mark.parametrize("code", [400, 404, 422])
async def test_the_key_is_good_when_the_vendor_gets_as_far_as_the_task(
    eigenai: EigenAI, vendor: EigenAIServer, code: int
) -> None:
    vendor.next("poll", status(code))
    await eigenai.verify()
    assert vendor.seen("submit") == []


@pytest.mark.parametrize(("code", "kind"), [(401, Unauthorized), (403, Forbidden)])
async def test_a_bad_key_is_found_out_for_free(
    eigenai: EigenAI, vendor: EigenAIServer, code: int, kind: type[ProviderError]
) -> None:
    vendor.next("poll", status(code))
    with pytest.raises(kind):
        await eigenai.verify()


async def test_the_model_takes_steps_and_seeds_only(eigenai: EigenAI, ask_for: AskFor) -> None:
    [spec] = await eigenai.models()
    assert spec.complete(ask_for(spec.id)).steps == 5
    spec.check(ask_for(spec.id, steps=20, seed=2**31 - 1))
    for refused in ({"steps": 0}, {"steps": 21}, {"seed": -1}, {"seed": 2**31}, {"duration": 5}):
        with pytest.raises(OptionRefused):
            spec.check(ask_for(spec.id, **refused))


async def test_without_a_key_it_is_not_enabled(resources: Resources) -> None:
    assert not EigenAIConfig().enabled
    assert not EigenAIConfig.model_validate({"api_key": " \n"}).enabled
    assert EigenAI(EigenAIConfig(), resources).config.base_url == "https://api-web.eigenai.com"


def test_a_key_read_from_a_file_loses_its_newline() -> None:
    config = EigenAIConfig.model_validate({"api_key": "key\n"})
    assert config.api_key is not None
    assert config.api_key.get_secret_value() == "key"


@pytest.mark.parametrize(
    "address", ["api.eigenai.com", "ftp://host", "https://", "https://u:p@host", "https://h?x", "https://h:x"]
)
def test_the_base_url_is_an_http_address(address: str) -> None:
    with pytest.raises(ValidationError):
        EigenAIConfig(base_url=address)


def test_the_base_url_loses_its_last_slash() -> None:
    assert EigenAIConfig(base_url="http://127.0.0.1:8100/").base_url == "http://127.0.0.1:8100"


@pytest.mark.parametrize("task_id", [True, None, "", {}, [1]])
async def test_only_a_word_or_a_number_is_a_task(
    eigenai: EigenAI, vendor: EigenAIServer, ask_for: AskFor, task_id: object
) -> None:
    vendor.next("submit", says(json.dumps({"task_id": task_id}).encode()))
    with pytest.raises(Uncertain):
        await eigenai.submit(ask_for(WAN_TURBO.id))


def test_looks_are_no_closer_than_every_five_seconds() -> None:
    assert EigenAI.terms.poll_interval == 5
