"""What is suggested while somebody fills in a command, and instead of what a model does not take."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from discord import AppCommandOptionType

from cogs._suggestions import matching
from providers.specs import OPTIONS
from tests.e2e.conftest import Shop, World, picture
from tests.helpers import as_read, wav
from tests.vendors.base import VendorServer
from tests.vendors.ecohash import EcoHashServer
from tests.vendors.eigenai import EigenAIServer
from tests.vendors.eternalai import EternalAIServer
from tests.vendors.openai_videos import OpenAIVideosServer
from tests.vendors.venice import I2V, VeniceServer, model

Start = Callable[..., Awaitable[World]]
OpenShop = Callable[..., Awaitable[Shop]]
WAN = "wan2p2-i2v-14b-turbo"
BETWEEN = "kling-2-5-first-last-frame-image-to-video"
GPU = "Wan2.2-TI2V-5B-Diffusers (OpenAI Videos)"
KLING = "Kling-2-5-First-Last-Frame-Image-To-Video (Venice)"
LIGHTNING = "Wan 2.2 Lightning (EternalAI)"
WAN_3 = "Wan-3-0-Image-To-Video (Venice)"
TYPED = (
    AppCommandOptionType.string.value,
    AppCommandOptionType.integer.value,
    AppCommandOptionType.number.value,
)


async def offered(
    world: World, option: str, typed: str = "", command: str = "animate", **filled: Any
) -> list[Any]:
    choices = await world.alice.autocomplete(world.channel, command, option, typed, **filled)
    return [choice["value"] for choice in choices]


SUGGESTED = (
    ("provider", "", {}, ["eigenai", "local"]),
    ("provider", "mach", {}, ["local"]),
    ("model", "", {}, [WAN, "pan-and-zoom"]),
    ("model", "", {"provider": "local"}, ["pan-and-zoom"]),
    ("duration", "", {"provider": "local"}, [2, 3, 4, 5, 6, 7, 8]),
    ("duration", "", {"provider": "eigenai"}, []),
    ("resolution", "7", {"provider": "local"}, ["720p"]),
    ("aspect_ratio", "9", {"provider": "local"}, ["16:9", "9:16"]),
    ("steps", "", {}, list(range(1, 21))),
    ("steps", "2", {"model": WAN}, [2, 12, 20]),
    ("steps", "21", {"model": WAN}, []),
    ("resolution", "", {"provider": "no such"}, []),
)


async def test_suggestions_come_from_what_the_chosen_model_takes(
    start: Start,
    subtests: pytest.Subtests,
) -> None:
    world = await start(local_on=True)
    for option, typed, filled, values in SUGGESTED:
        with subtests.test(option=option, typed=typed):
            assert await offered(world, option, typed, **filled) == values


async def test_every_option_that_can_be_typed_is_suggested(world: World) -> None:
    (synced,) = [entry for entry in world.env.http_requests if entry.method == "PUT"]
    commands = {command["name"]: command.get("options", ()) for command in synced.json}
    for command in ("animate", "video"):
        typed = {option["name"] for option in commands[command] if option["type"] in TYPED}
        filled = {option["name"] for option in commands[command] if option.get("autocomplete")}
        assert filled == typed - {"prompt"}
        assert filled - {"provider", "model"} <= set(OPTIONS)


@pytest.mark.parametrize(
    ("provider", "server", "command", "option", "some"),
    [
        ("ecohash", EcoHashServer, "video", "steps", [20, 25, 50, 80]),
        ("ecohash", EcoHashServer, "video", "guidance", [1.0, 3.0, 5.0, 20.0]),
        ("eternalai", EternalAIServer, "animate", "effect", ["tiktok_hip_dance", "good_thing_dance"]),
        ("venice", VeniceServer, "animate", "negative_prompt", ["blurry, distorted"]),
        ("openai_videos", OpenAIVideosServer, "animate", "guidance", [0.0, 5.0, 20.0]),
    ],
)
async def test_each_provider_s_own_options_are_suggested(
    open_shop: OpenShop,
    provider: str,
    server: Callable[[], VendorServer],
    command: str,
    option: str,
    some: list[Any],
) -> None:
    values = await offered((await open_shop(provider, server())).world, option, command=command)
    assert set(some) <= set(values)
    assert {type(value) for value in values} == {type(some[0])}


@pytest.fixture
async def several(open_shop: OpenShop) -> World:
    """EigenAI, this machine, and a GPU with 1 to 200 steps, which is the default."""
    shop = await open_shop(
        "openai_videos",
        OpenAIVideosServer(),
        eigenai_api_key=EigenAIServer.KEY,
        local_on=True,
        openai_videos_durations=(5, 3),
    )
    return shop.world


async def test_with_no_model_named_all_of_them_are_suggested_from(several: World) -> None:
    assert await offered(several, "duration") == [5, 3, 2, 4, 6, 7, 8]
    assert await offered(several, "duration", provider="local") == [2, 3, 4, 5, 6, 7, 8]
    assert await offered(several, "steps", "4") == [4, 40, 140, 14]
    assert await offered(several, "steps", "4", model=WAN) == [4, 14]


TYPED_FIRST = (
    ("steps", "33", 33),
    ("guidance", "3", 3.0),
    ("guidance", "7.25", 7.25),
    ("seed", "42", 42),
    ("negative_prompt", "blur", "blur"),
)


async def test_what_was_typed_comes_first_if_a_model_allows_it(
    several: World,
    subtests: pytest.Subtests,
) -> None:
    for option, typed, first in TYPED_FIRST:
        with subtests.test(option=option, typed=typed):
            value = (await offered(several, option, typed))[0]
            assert (value, type(value)) == (first, type(first))


NOT_SUGGESTED = (
    ("steps", "233"),
    ("steps", "3.5"),
    ("steps", "many"),
    ("guidance", "nan"),
    ("guidance", "-1"),
    ("seed", ""),
    ("seed", "9" * 5000),
    ("negative_prompt", "x" * 101),
)


async def test_what_no_model_allows_or_discord_would_not_take_is_not_suggested(
    several: World,
    subtests: pytest.Subtests,
) -> None:
    for option, typed in NOT_SUGGESTED:
        with subtests.test(option=option, typed=typed):
            assert await offered(several, option, typed) == []


async def test_there_are_never_more_suggestions_than_discord_shows(several: World) -> None:
    assert len(await offered(several, "steps")) == 25


def test_doubles_and_what_discord_would_refuse_are_left_out() -> None:
    values = [("", "nothing"), ("x" * 101, "long"), ("pan", " "), ("pan", "twice"), ("tilt", "y" * 101)]
    shown = [(choice.name, choice.value) for choice in matching(values, "")]
    assert shown == [("pan", "pan"), ("y" * 100, "tilt")]


def test_a_value_is_found_by_its_own_text_as_well_as_by_its_words() -> None:
    values = [("wan-2", "Second"), ("kling", "Wan-like"), ("seedance", "Third")]
    assert [choice.value for choice in matching(values, "WAN-")] == ["wan-2", "kling"]


@pytest.mark.parametrize("option", ["provider", "model", "seed", "steps"])
async def test_before_the_bot_has_started_nothing_is_suggested(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, option: str
) -> None:
    with monkeypatch.context() as starting:
        starting.delattr(world.bot, "booking")
        assert await offered(world, option) == []
    assert world.env.http_requests[-1].json["data"] == {"choices": []}, "Discord got an answer"
    caplog.clear()


@pytest.fixture
async def many(open_shop: OpenShop, vendors: AsyncExitStack) -> World:
    """Venice, EternalAI, a GPU, and this machine, which takes the fewest options."""
    venice = VeniceServer()
    venice.catalogue = [model(I2V, audio_input=True), model(BETWEEN, audio_configurable=False)]
    eternalai = await vendors.enter_async_context(EternalAIServer())
    gpu = await vendors.enter_async_context(OpenAIVideosServer())
    shop = await open_shop(
        "venice",
        venice,
        local_on=True,
        eternalai_api_key=eternalai.KEY,
        eternalai_base_url=eternalai.url,
        openai_videos_base_url=gpu.url,
        openai_videos_api_key=gpu.KEY,
    )
    return shop.world


@pytest.mark.parametrize(
    ("option", "value", "takers"),
    [
        ("negative_prompt", "rain", f"{WAN_3}, {KLING}, {GPU}"),
        ("audio", False, f"{WAN_3}, {LIGHTNING}"),
        ("effect", "good_thing_dance", LIGHTNING),
        ("enhance_prompt", False, LIGHTNING),
        ("fast", True, LIGHTNING),
        ("steps", 30, GPU),
        ("guidance", 5.0, GPU),
        ("end_image", ("end.png", picture()), KLING),
        ("audio_file", ("hum.wav", wav(2)), WAN_3),
    ],
)
async def test_an_option_that_the_model_does_not_take_is_refused_and_those_that_do_are_named(
    many: World, option: str, value: object, takers: str
) -> None:
    reply = await many.animate(provider="local", **{option: value})
    said = as_read(reply.response.content)
    assert f"leave it out. Models that do take it: {takers}. Nothing was charged" in said


def test_a_suggestion_is_one_line_that_looks_like_what_it_is() -> None:
    values = [("a", "na\u202eme\x1b[31m\u200b\n two"), ("b", "\u200b\u202e"), ("c", "x" * 300)]
    assert [choice.name for choice in matching(values, "")] == ["name[31m two", "b", "x" * 100]
