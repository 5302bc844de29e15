"""Every provider through the slash command: what its vendor is sent, what the channel gets, what it costs."""

import io
import json
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from PIL import Image

from providers import discover
from tests.e2e.conftest import Shop, picture
from tests.helpers import as_read, eventually, wav
from tests.vendors.base import Recorded, VendorServer
from tests.vendors.ecohash import EcoHashServer
from tests.vendors.eigenai import EigenAIServer
from tests.vendors.eternalai import EternalAIServer
from tests.vendors.faults import after_accepting, cut, sample_video, status
from tests.vendors.openai_videos import OpenAIVideosServer, SGLangServer
from tests.vendors.venice import I2V, T2V, VeniceServer, model

OpenShop = Callable[..., Awaitable[Shop]]

PICTURE = ("in.png", picture())
END = ("end.png", picture(size=(180, 320)))
SOUND = ("hum.wav", wav(2))
WAN = "Wan-AI/Wan2.2-TI2V-5B-Diffusers"
BETWEEN = "kling-2-5-first-last-frame-image-to-video"
ALL = "5 of 5 credits left today"
ONE_SPENT = "4 of 5 credits left today"


@dataclass(frozen=True)
class Flow:
    """An order, and what has to become of it."""

    provider: str
    vendor: Callable[[], VendorServer]
    command: str
    options: Mapping[str, Any]
    sent: Mapping[str, Any]
    """The body of the submit, with every file as its kind and size."""
    maker: str
    price: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


def venice(*listed: Any) -> Callable[[], VeniceServer]:
    def server() -> VeniceServer:
        made = VeniceServer()
        made.catalogue = list(listed) or made.catalogue
        return made

    return server


FLOWS: Mapping[str, Flow] = {
    "EigenAI": Flow(
        "eigenai",
        EigenAIServer,
        "animate",
        {"image": PICTURE, "steps": 8, "seed": 0},
        {
            "model": "wan2p2-i2v-14b-turbo",
            "prompt": "slow zoom in",
            "infer_steps": "8",
            "seed": "0",
            "image": "image/jpeg 320x180",
        },
        "EigenAI, Wan 2.2 Turbo",
    ),
    "EternalAI creative-ai": Flow(
        "eternalai",
        EternalAIServer,
        "animate",
        {
            "image": PICTURE,
            "effect": "tiktok_hip_dance",
            "fast": True,
            "enhance_prompt": False,
            "audio": False,
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "slow zoom in"},
                        {
                            "type": "image_url",
                            "image_url": {"url": "image/jpeg 320x180", "filename": "picture.jpeg"},
                        },
                    ],
                }
            ],
            "model_id": "Wan-AI/Wan2.2-I2V-A14B-Lightning",
            "is_magic_prompt": False,
            "duration": 5,
            "audio": False,
            "video_config": {"is_fast_video": True, "loras": ["tiktok_hip_dance"]},
        },
        "EternalAI, Wan 2.2 Lightning",
    ),
    "EternalAI image-to-video": Flow(
        "eternalai",
        EternalAIServer,
        "animate",
        {
            "image": PICTURE,
            "end_image": END,
            "duration": 4,
            "resolution": "480p",
            "negative_prompt": "rain",
            "guidance": 0.7,
            "seed": 3,
        },
        {
            "prompt": "slow zoom in",
            "image_url": "image/jpeg 320x180",
            "end_image_url": "image/jpeg 180x320",
            "model_id": "wan-ai/wan2.2-i2v-a14b-lightning",
            "duration": "4",
            "resolution": "480p",
            "negative_prompt": "rain",
            "cfg_scale": 0.7,
            "seed": 3,
        },
        "EternalAI, Wan 2.2 Lightning",
        "$0.02",
        {"eternalai_flavour": "image-to-video"},
    ),
    "Venice from a picture": Flow(
        "venice",
        venice(),
        "animate",
        {
            "image": PICTURE,
            "duration": 10,
            "resolution": "1080p",
            "audio": True,
            "negative_prompt": "rain",
        },
        {
            "model": I2V,
            "prompt": "slow zoom in",
            "negative_prompt": "rain",
            "duration": "10s",
            "resolution": "1080p",
            "audio": True,
            "image_url": "image/jpeg 320x180",
        },
        "Venice, Wan-3-0-Image-To-Video",
        "$0.70",
    ),
    "Venice from words": Flow(
        "venice",
        venice(),
        "video",
        {"aspect_ratio": "9:16"},
        {
            "model": T2V,
            "prompt": "slow zoom in",
            "duration": "5s",
            "resolution": "720p",
            "aspect_ratio": "9:16",
        },
        "Venice, Wan-3-0-Text-To-Video",
        "$0.35",
    ),
    "Venice with a portrait picture": Flow(
        "venice",
        venice(model(I2V, aspect_ratios=["adaptive", "16:9", "1:1", "9:16"], resolutions=[])),
        "animate",
        {"image": END},
        {
            "model": I2V,
            "prompt": "slow zoom in",
            "duration": "5s",
            "aspect_ratio": "9:16",
            "image_url": "image/jpeg 180x320",
        },
        "Venice, Wan-3-0-Image-To-Video",
        "$0.35",
    ),
    "Venice with a sound file": Flow(
        "venice",
        venice(model(I2V, audio_input=True, resolutions=[])),
        "animate",
        {"image": PICTURE, "audio_file": SOUND},
        {
            "model": I2V,
            "prompt": "slow zoom in",
            "duration": "5s",
            "image_url": "image/jpeg 320x180",
            "audio_url": f"audio/wav {len(SOUND[1])}",
        },
        "Venice, Wan-3-0-Image-To-Video",
        "$0.35",
    ),
    "Venice between two pictures": Flow(
        "venice",
        venice(model(BETWEEN, audio_configurable=False, resolutions=[])),
        "animate",
        {"image": PICTURE, "end_image": END},
        {
            "model": BETWEEN,
            "prompt": "slow zoom in",
            "duration": "5s",
            "image_url": "image/jpeg 320x180",
            "end_image_url": "image/jpeg 180x320",
        },
        "Venice, Kling-2-5-First-Last-Frame-Image-To-Video",
        "$0.35",
    ),
    "EcoHash": Flow(
        "ecohash",
        EcoHashServer,
        "video",
        {"duration": 4, "steps": 30, "guidance": 6.5, "seed": 7},
        {
            "model": "wan22-t2v-a14b",
            "prompt": "slow zoom in",
            "num_frames": 65,
            "fps": 16,
            "num_inference_steps": 30,
            "guidance_scale": 6.5,
            "seed": 7,
        },
        "EcoHash, WAN22-T2V-A14B",
        "from $0.168",
    ),
    "vLLM from words": Flow(
        "openai_videos",
        OpenAIVideosServer,
        "video",
        {"duration": 3, "aspect_ratio": "9:16", "steps": 30, "guidance": 4.5, "negative_prompt": "rain"},
        {
            "model": WAN,
            "prompt": "slow zoom in",
            "seconds": "3",
            "num_frames": "49",
            "fps": "16",
            "size": "480x832",
            "negative_prompt": "rain",
            "num_inference_steps": "30",
            "guidance_scale": "4.5",
        },
        "OpenAI Videos, Wan2.2-TI2V-5B-Diffusers",
    ),
    "vLLM from a picture": Flow(
        "openai_videos",
        OpenAIVideosServer,
        "animate",
        {"image": PICTURE, "seed": 9},
        {
            "model": WAN,
            "prompt": "slow zoom in",
            "seconds": "5",
            "num_frames": "81",
            "fps": "16",
            "size": "832x480",
            "seed": "9",
            "input_reference": "image/jpeg 320x180",
        },
        "OpenAI Videos, Wan2.2-TI2V-5B-Diffusers",
    ),
    "SGLang from words": Flow(
        "openai_videos",
        SGLangServer,
        "video",
        {"seed": 9},
        {
            "model": "/models/wan",
            "prompt": "slow zoom in",
            "seconds": 5,
            "num_frames": 81,
            "fps": 16,
            "size": "832x480",
            "seed": 9,
        },
        "OpenAI Videos, wan",
        settings={"openai_videos_server": "sglang"},
    ),
}


def body(asked: Recorded) -> Any:
    """What was sent, JSON or a form, with every file as its kind and size."""
    files = {name: file_in(upload.media_type or "", upload.data) for name, upload in asked.files.items()}
    return told(asked.json) if asked.json is not None else {**asked.fields, **files}


def told(value: Any) -> Any:
    match value:
        case dict():
            return {name: told(inner) for name, inner in value.items()}
        case list():
            return [told(inner) for inner in value]
        case str() if value.startswith("data:"):
            head, _, data = value.partition(";base64,")
            return file_in(head.removeprefix("data:"), b64decode(data))
        case _:
            return value


def file_in(kind: str, data: bytes) -> str:
    if not kind.startswith("image/"):
        return f"{kind} {len(data)}"
    with Image.open(io.BytesIO(data)) as image:
        assert image.get_format_mimetype() == kind
        return f"{kind} {image.width}x{image.height}"


def refusal(code: int, **said: Any) -> Any:
    return status(code, json.dumps(said).encode())


def test_every_provider_with_a_vendor_has_a_flow() -> None:
    assert {flow.provider for flow in FLOWS.values()} == set(discover()) - {"local"}


@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
async def test_an_order_reaches_the_vendor_as_documented_and_its_video_the_channel(
    open_shop: OpenShop, flow: Flow
) -> None:
    shop = await open_shop(flow.provider, flow.vendor(), **flow.settings)
    world = shop.world
    await world.order(flow.command, **flow.options)
    message = await world.video()
    await world.card_says("Video ready")

    [asked] = shop.vendor.seen("submit")
    assert body(asked) == flow.sent
    assert await message.attachments[0].read() == sample_video()
    assert world.fields()["Made by"] == flow.maker
    assert world.fields().get("Price") == flow.price
    assert await world.quota() == ONE_SPENT


async def test_the_ratio_that_follows_from_the_picture_is_what_is_shown_and_priced(
    open_shop: OpenShop,
) -> None:
    vendor = VeniceServer()
    vendor.catalogue = [model(I2V, aspect_ratios=["16:9", "9:16"])]
    shop = await open_shop("venice", vendor)
    vendor.finish_after(1000)
    await shop.world.order("animate", image=END)
    await vendor.arrived("submit")
    assert "aspect ratio 9:16" in str(shop.world.fields())
    assert vendor.seen("quote")[-1].json["aspect_ratio"] == "9:16"
    assert vendor.seen("submit")[-1].json["aspect_ratio"] == "9:16"


async def test_the_operator_chooses_which_effects_are_offered(open_shop: OpenShop) -> None:
    world = (await open_shop("eternalai", EternalAIServer())).world
    offered = await world.alice.autocomplete(world.channel, "animate", "effect", "")
    names = [choice["value"] for choice in offered]
    assert names == ["tiktok_hip_dance", "good_thing_dance", "behind_the_scene"]
    reply = await world.order("animate", image=PICTURE, effect="lanterns_in_the_wind")
    assert "does not take lanterns_in_the_wind as effect; it takes tiktok_hip_dance" in as_read(
        reply.response.content
    )
    assert await world.quota() == ALL


async def test_the_words_that_go_with_an_effect_are_shown_on_the_card(open_shop: OpenShop) -> None:
    shop = await open_shop(
        "eternalai", EternalAIServer(), eternalai_effects="tiktok_hip_dance: dancing in a street"
    )
    shop.vendor.finish_after(1000)
    await shop.world.order("animate", image=PICTURE, effect="tiktok_hip_dance")
    text = await shop.world.card_says("slow zoom in")
    assert "slow zoom in, dancing in a street" in text
    await shop.vendor.arrived("submit")
    content = shop.vendor.seen("submit")[0].json["messages"][0]["content"]
    assert content[0]["text"] == "slow zoom in, dancing in a street"


async def test_progress_is_shown_where_the_vendor_reports_it(open_shop: OpenShop) -> None:
    shop = await open_shop("eternalai", EternalAIServer())
    shop.vendor.progress = 40
    shop.vendor.finish_after(1000)
    await shop.world.order("animate", image=PICTURE)
    await shop.world.card_says("40%")
    shop.vendor.finish_after(0)
    await shop.world.card_says("Video ready")


async def test_a_prompt_that_venice_refuses_comes_back_with_the_one_it_suggests(open_shop: OpenShop) -> None:
    shop = await open_shop("venice", VeniceServer())
    suggested = "**calm** waves, says @everyone at https://example.com"
    shop.vendor.next("submit", refusal(422, error="Content policy", suggested_prompt=suggested))
    await shop.world.order("animate", image=PICTURE)
    text = await shop.world.card_says("No video this time")
    assert "its own rules for content forbid it" in text
    assert "It suggests this prompt instead:\n> \\*\\*calm\\*\\* waves" in text
    assert "@everyone" not in text
    assert "https://" not in text
    assert "Nothing was charged" in text
    assert await shop.world.quota() == ALL
    assert len(shop.vendor.seen("submit")) == 1


async def test_a_consent_that_venice_wants_is_explained_and_never_given(open_shop: OpenShop) -> None:
    shop = await open_shop("venice", VeniceServer())
    error = {"code": "needs_consent", "message": "A face needs consent"}
    shop.vendor.next("submit", refusal(409, error=error, consent_flow="seedance"))
    await shop.world.order("animate", image=PICTURE)
    text = await shop.world.card_says("No video this time")
    assert "asks for the consent of the people in this picture" in text
    assert "Nothing was charged" in text
    assert await shop.world.quota() == ALL
    assert len(shop.vendor.seen("submit")) == 1


async def test_a_video_that_venice_refuses_to_finish_is_told_as_refused(open_shop: OpenShop) -> None:
    shop = await open_shop("venice", VeniceServer())
    shop.vendor.reason = "The result was flagged"
    await shop.world.order("animate", image=PICTURE)
    text = await shop.world.card_says("No video this time")
    assert "Venice does not make this video: its own rules for content forbid it." in text
    assert f"It recommends the model `{T2V}`" in text
    assert "gave this bot its money back" in text
    assert "flagged" not in text
    assert await shop.world.quota() == ALL


async def test_a_link_that_venice_names_once_outlives_a_restart(open_shop: OpenShop) -> None:
    server = VeniceServer()
    server.is_private = True
    server.finish_after(1000)
    shop = await open_shop("venice", server)
    await shop.world.order("animate", image=PICTURE)
    await shop.world.card_says("is making")
    await shop.restart()
    server.finish_after(0)
    message = await shop.world.video()
    assert await message.attachments[0].read() == sample_video()
    assert len(server.seen("submit")) == 1
    await eventually(lambda: server.forgotten == ["job-1"])


async def test_venice_forgets_a_video_once_it_is_in_the_channel_and_not_before(open_shop: OpenShop) -> None:
    shop = await open_shop("venice", VeniceServer())
    await shop.world.order("animate", image=PICTURE)
    await eventually(lambda: shop.vendor.forgotten == ["job-1"])
    assert len(shop.world.videos()) == 1


async def test_the_price_is_that_of_what_was_chosen(open_shop: OpenShop) -> None:
    shop = await open_shop("venice", VeniceServer())
    await shop.world.order("animate", image=PICTURE, duration=10, resolution="1080p", audio=False)
    [asked] = shop.vendor.seen("quote")
    assert asked.json == {"model": I2V, "duration": "10s", "resolution": "1080p", "audio": False}
    assert shop.world.fields()["Price"] == "$0.70"


async def test_a_job_that_falls_over_shows_the_price_of_who_takes_it(
    open_shop: OpenShop, vendor: EigenAIServer
) -> None:
    both = {"eigenai_api_key": vendor.KEY, "default_provider": "eigenai"}
    shop = await open_shop("venice", VeniceServer(), **both)
    vendor.next("submit", status(402))
    await shop.world.order("animate", image=PICTURE)
    await shop.world.video()
    assert shop.world.fields()["Made by"].endswith("(instead of EigenAI, which could not take it)")
    assert shop.world.fields()["Price"] == "$0.35"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (refusal(413, error="25 MB"), "Venice finds an attached file too large. Attach a smaller one."),
        (refusal(404, error="MODEL_NOT_FOUND"), "Venice does not offer this model any more."),
        (refusal(403, error="region"), "Venice does not let this bot use this model."),
        (
            refusal(400, error="Invalid", issues=[{"path": ["resolution"], "expected": "'480p' | '1080p'"}]),
            "Venice does not accept the resolution of this request. It takes `480p`, `1080p`.",
        ),
        (
            refusal(422, error={"message": "odd", "credits_refunded": True}),
            "a different prompt or another provider. Venice gave this bot its money back.",
        ),
    ],
)
async def test_what_venice_objects_to_reaches_the_member(open_shop: OpenShop, fault: Any, words: str) -> None:
    shop = await open_shop("venice", VeniceServer())
    shop.vendor.next("submit", fault)
    await shop.world.order("animate", image=PICTURE)
    text = await shop.world.card_says("No video this time")
    assert f"{words}" in text
    assert "Nothing was charged" in text


async def test_an_answer_in_doubt_is_bought_nowhere_else_whatever_its_words_say(
    open_shop: OpenShop, vendor: EigenAIServer
) -> None:
    both = {"eigenai_api_key": vendor.KEY}
    shop = await open_shop("venice", VeniceServer(), **both)
    words = status(500, json.dumps({"error": "PRO_ONLY_MODEL lookup failed"}).encode())
    shop.vendor.next("submit", after_accepting(words))
    await shop.world.order("animate", image=PICTURE)
    assert "nobody can tell" in await shop.world.card_says("No video this time")
    assert not vendor.seen("submit")


SAYS: Mapping[str, tuple[Any, str]] = {
    "400": (status(400), "did not accept this request"),
    "401": (status(401), "did not accept this bot's key"),
    "cut": (after_accepting(cut), "nobody can tell whether"),
}
"""One of each kind; of EigenAI, all there is is asked in test_failures."""
OTHERS = {flow.provider: name for name, flow in FLOWS.items() if flow.provider != "eigenai"}


@pytest.mark.parametrize("name", OTHERS.values())
async def test_whatever_a_vendor_answers_the_member_reads_what_happened_and_pays_nothing(
    open_shop: OpenShop, name: str
) -> None:
    flow = FLOWS[name]
    shop = await open_shop(flow.provider, flow.vendor(), **flow.settings, default_allowance=20)
    for number, (fault, words) in enumerate(SAYS.values()):
        shop.vendor.next("submit", fault)
        await shop.world.order(flow.command, **flow.options)
        text = await shop.world.card_says("No video this time", number)
        assert words in text
        assert text.endswith("Nothing was charged.")
        assert VendorServer.KEY not in text
        shop.world.bot.booking.catalogue.health[flow.provider].record_success()
    assert await shop.world.quota() == "20 of 20 credits left today"
    assert len(shop.vendor.seen("submit")) == len(SAYS), "none is sent twice"


async def test_a_price_that_cannot_be_had_stops_nobody(open_shop: OpenShop) -> None:
    shop = await open_shop("venice", VeniceServer())
    shop.vendor.next("quote", status(500))
    await shop.world.order("animate", image=PICTURE)
    await shop.world.card_says("Video ready")
    assert "Price" not in shop.world.fields()


async def test_a_sound_file_beyond_the_models_limits_is_refused_in_words(open_shop: OpenShop) -> None:
    server = VeniceServer()
    server.catalogue = [model(I2V, audio_input=True)]
    shop = await open_shop("venice", server)
    reply = await shop.world.order("animate", image=PICTURE, audio_file=("long.wav", wav(31)))
    assert "it takes WAV or MP3 of up to 30 seconds and 15 MB. Nothing was charged." in as_read(
        reply.response.content
    )
    assert not server.seen("submit")
    assert await shop.world.quota() == ALL


async def test_ecohash_never_has_more_than_five_jobs_of_ours_not_even_across_a_restart(
    open_shop: OpenShop,
) -> None:
    server = EcoHashServer()
    server.finish_after(10_000)
    shop = await open_shop("ecohash", server, member_jobs=6, default_allowance=6)
    for _ in range(6):
        await shop.world.order("video")
    await server.arrived("submit", 5)
    await shop.world.card_says("number 1", 5)
    before = len(server.seen("poll"))
    await shop.restart()
    await server.arrived("poll", before + 10)
    assert len(server.jobs) == 5

    server.finish("job-1")
    await server.arrived("submit", 6)
    server.finish_after(0)
    await shop.world.video(6)
    assert len(server.seen("submit")) == 6, "the vendor has refused none for being one too many"


async def test_a_cancelled_job_that_ecohash_cannot_stop_keeps_its_place_there(open_shop: OpenShop) -> None:
    server = EcoHashServer()
    server.finish_after(10_000)
    shop = await open_shop("ecohash", server, ecohash_max_jobs=1)
    await shop.world.order("video")
    await shop.world.card_says("is making")
    await shop.world.alice.click(shop.world.card(), label="Cancel")
    await shop.world.order("video")
    await shop.world.card_says("number 1", 1)
    assert len(server.seen("submit")) == 1


async def test_cancel_reaches_the_operators_own_server(open_shop: OpenShop) -> None:
    shop = await open_shop("openai_videos", OpenAIVideosServer())
    shop.vendor.finish_after(1000)
    await shop.world.order("animate", image=PICTURE)
    await shop.world.card_says("is making")
    await shop.world.alice.click(shop.world.card(), label="Cancel")
    await shop.world.card_says("Video cancelled")
    await shop.vendor.arrived("delete")
    assert shop.vendor.deleted == ["job-1"]
    assert await shop.world.quota() == ALL


async def test_an_operators_own_server_needs_no_key(open_shop: OpenShop) -> None:
    class Open(OpenAIVideosServer):
        def authorized(self, request: web.Request) -> bool:
            return "Authorization" not in request.headers

    shop = await open_shop("openai_videos", Open(), openai_videos_api_key=None)
    await shop.world.order("video")
    await shop.world.video()
