"""What Discord is told about the commands."""

from typing import Any

from bot.client import Stillmotion
from bot.commands import command_payload


async def nothing(_: object = None) -> None:
    pass


async def payload() -> dict[str, Any]:
    bot = Stillmotion(nothing, nothing)
    for extension in ("cogs.animate", "cogs.jobs"):
        await bot.load_extension(extension)
    return {command["name"]: command for command in command_payload(bot.tree)}


async def options_of(command: str) -> dict[str, Any]:
    return {option["name"]: option for option in (await payload())[command]["options"]}


async def test_only_pictures_are_offered_for_a_picture_and_only_sounds_for_a_sound() -> None:
    animate, video = await options_of("animate"), await options_of("video")

    assert animate["image"]["file_types"] == animate["end_image"]["file_types"] == ["image"]
    assert animate["audio_file"]["file_types"] == video["audio_file"]["file_types"] == ["audio"]
    assert "file_types" not in animate["prompt"]


async def test_every_attachment_says_which_files_it_takes() -> None:
    for command in (await payload()).values():
        for option in command.get("options", ()):
            assert option["type"] != 11 or option["file_types"], option["name"]
