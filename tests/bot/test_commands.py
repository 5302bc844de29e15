"""What Discord is told about the commands."""

import json
from typing import Any

from bot.client import Stillmotion
from bot.clock import Clock
from bot.commands import command_payload, difference
from bot.delivery.brake import Brake


async def nothing(_: object = None) -> None:
    pass


async def payload() -> dict[str, Any]:
    bot = Stillmotion(nothing, nothing, Brake(Clock()))
    for extension in ("cogs.animate", "cogs.jobs"):
        await bot.load_extension(extension)
    return {command["name"]: command for command in command_payload(bot.tree, frozenset())}


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


def known(sent: dict[str, Any]) -> dict[str, Any]:
    """A command as Discord answers with it."""
    return {
        "id": "1",
        "version": "2",
        "application_id": "3",
        "dm_permission": True,
        "name_localizations": None,
        "nsfw": False,
        **json.loads(json.dumps(sent)),
    }


async def test_what_discord_adds_by_itself_is_no_difference() -> None:
    ours = list((await payload()).values())
    theirs = [known(command) for command in reversed(ours)]
    for command in theirs:
        command["contexts"] = list(reversed(command["contexts"]))
        for option in command.get("options", ()):
            if not option.get("required"):
                option.pop("required", None)
            option.setdefault("choices", [])
    assert difference(ours, theirs) is None


async def test_every_change_of_a_command_is_a_difference() -> None:
    ours = await payload()

    def found(**changes: Any) -> str | None:
        theirs = {name: known(command) for name, command in ours.items()}
        theirs["animate"] |= changes
        return difference(list(ours.values()), list(theirs.values()))

    options = known(ours["animate"])["options"]
    assert found() is None
    assert found(description="another") == "animate: description"
    assert found(default_member_permissions="32") == "animate: default_member_permissions"
    assert found(options=options[:-1]) == "animate: options"
    assert found(options=[*reversed(options)]) == "animate: options"
    assert found(options=[{**options[0], "choices": [{"name": "a", "value": "b"}]}, *options[1:]])
    assert difference(list(ours.values()), []) is not None
