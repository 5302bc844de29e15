"""What members do: run a command, type into an option, press a button."""

from typing import Any

from tests.discord_server.gateway import Gateway
from tests.discord_server.places import (
    ALICE,
    APPLICATION,
    CHANNEL,
    EVERYTHING,
    GUILD,
    ORDINARY,
    OWNER,
    Message,
    member,
)
from tests.discord_server.world import Asked, World
from tests.helpers import eventually
from tests.vendors.base import Upload

COMMAND, COMPONENT, TYPING = 2, 3, 4
ATTACHMENT = 11
BUTTON = 2


class People:
    def __init__(self, world: World, gateway: Gateway) -> None:
        self._world = world
        self._gateway = gateway

    async def run(
        self, command: str, user_id: int = ALICE, *, channel: int = CHANNEL, **options: Any
    ) -> Asked:
        """Send a slash command such as `jobs list`; bytes are sent as an attached picture."""
        files: dict[str, Message] = {}
        data = self._command(command, options, files) | {"resolved": {"attachments": files}}
        return await self._send(COMMAND, user_id, channel, data)

    async def type_into(
        self, command: str, option: str, typed: Any, *, user_id: int = ALICE, **filled: Any
    ) -> list[Message]:
        """The suggestions for one option, while the others are filled in so."""
        data = self._command(command, {**filled, option: typed}, {}, focused=option)
        asked = await self._send(TYPING, user_id, CHANNEL, data)
        answer: Any = await eventually(lambda: asked.callback)
        return list(answer["data"]["choices"])

    async def press(self, message: Message, label: str, user_id: int = ALICE) -> Asked:
        """Press the button of a message that has this label."""
        buttons = [button for row in message["components"] for button in row["components"]]
        button = next(button for button in buttons if button["label"] == label)
        data = {"custom_id": button["custom_id"], "component_type": BUTTON}
        return await self._send(COMPONENT, user_id, int(message["channel_id"]), data, message=message)

    def _command(self, words: str, options: Message, files: dict[str, Message], focused: str = "") -> Message:
        """A command's data: what is given to a subcommand is an option of an option."""
        first, *others = words.split()
        command = known = self._world.commands[first]
        path: list[Message] = []
        for word in others:
            known = next(option for option in known["options"] if option["name"] == word)
            path.append(known)
        given = self._options(known, options, files)
        for entry in given:
            if entry["name"] == focused:
                entry["focused"] = True
        for option in reversed(path):
            given = [{"name": option["name"], "type": option["type"], "options": given}]
        return {"id": command["id"], "name": first, "type": 1, "options": given}

    def _options(self, command: Message, options: Message, files: dict[str, Message]) -> list[Message]:
        types = {option["name"]: option["type"] for option in command.get("options", ())}
        entries: list[Message] = []
        for name, given in options.items():
            value = given
            if types[name] == ATTACHMENT:
                file = self._world.store(Upload("picture.png", "image/png", given), ephemeral=True)
                files[file["id"]] = file
                value = file["id"]
            entries.append({"name": name, "type": types[name], "value": value})
        return entries

    async def _send(self, kind: int, user_id: int, place: int, data: Message, **more: Any) -> Asked:
        interaction = self._world.snowflake()
        asked = Asked(interaction, f"token-{interaction}", place)
        self._world.asked[asked.token] = asked
        payload: Message = {
            "id": str(interaction),
            "application_id": str(APPLICATION),
            "type": kind,
            "token": asked.token,
            "version": 1,
            "data": data,
            "guild_id": str(GUILD),
            "guild": {"id": str(GUILD), "features": [], "locale": "en-US"},
            "channel_id": str(place),
            "channel": self._world.channel(place),
            "member": member(user_id) | {"permissions": str(EVERYTHING if user_id == OWNER else ORDINARY)},
            "app_permissions": self._world.permissions(place),
            "locale": "en-US",
            "guild_locale": "en-US",
            "entitlements": [],
            "authorizing_integration_owners": {"0": str(GUILD)},
            "context": 0,
            "attachment_size_limit": 20 * 1024 * 1024,
            **more,
        }
        await self._gateway.dispatch("INTERACTION_CREATE", payload)
        return asked
