"""What members do: run a command, type into an option, press a button."""

from typing import Any

from tests.discord_server.gateway import Gateway
from tests.discord_server.world import (
    ALICE,
    APPLICATION,
    CHANNEL,
    EVERYTHING,
    GUILD,
    ORDINARY,
    OWNER,
    Asked,
    Message,
    World,
    channel,
    member,
)
from tests.helpers import eventually
from tests.vendors.base import Upload

COMMAND, COMPONENT, TYPING = 2, 3, 4
ATTACHMENT = 11
BUTTON = 2


class People:
    def __init__(self, world: World, gateway: Gateway) -> None:
        self._world = world
        self._gateway = gateway

    async def run(self, command: str, user_id: int = ALICE, **options: Any) -> Asked:
        """Send a slash command; bytes are sent as an attached picture."""
        files: dict[str, Message] = {}
        given = self._options(command, options, files)
        data = self._command(command) | {"options": given, "resolved": {"attachments": files}}
        return await self._send(COMMAND, user_id, data)

    async def type_into(self, command: str, option: str, typed: Any, **filled: Any) -> list[Message]:
        """The suggestions for one option, while the others are filled in so."""
        options = self._options(command, {**filled, option: typed}, {})
        for entry in options:
            entry["focused"] = entry["name"] == option
        asked = await self._send(TYPING, ALICE, self._command(command) | {"options": options})
        answer = await eventually(lambda: asked.callback)
        return list(answer["data"]["choices"])

    async def press(self, message: Message, label: str, user_id: int = ALICE) -> Asked:
        """Press the button of a message that has this label."""
        buttons = [button for row in message["components"] for button in row["components"]]
        button = next(button for button in buttons if button["label"] == label)
        data = {"custom_id": button["custom_id"], "component_type": BUTTON}
        return await self._send(COMPONENT, user_id, data, message=message)

    def _command(self, name: str) -> Message:
        return {"id": self._world.commands[name]["id"], "name": name, "type": 1}

    def _options(self, command: str, options: Message, files: dict[str, Message]) -> list[Message]:
        types = {option["name"]: option["type"] for option in self._world.commands[command]["options"]}
        entries: list[Message] = []
        for name, given in options.items():
            value = given
            if types[name] == ATTACHMENT:
                file = self._world.store(Upload("picture.png", "image/png", given), ephemeral=True)
                files[file["id"]] = file
                value = file["id"]
            entries.append({"name": name, "type": types[name], "value": value})
        return entries

    async def _send(self, kind: int, user_id: int, data: Message, **more: Any) -> Asked:
        interaction = self._world.snowflake()
        asked = Asked(interaction, f"token-{interaction}")
        self._world.asked[asked.token] = asked
        payload = {
            "id": str(interaction),
            "application_id": str(APPLICATION),
            "type": kind,
            "token": asked.token,
            "version": 1,
            "data": data,
            "guild_id": str(GUILD),
            "guild": {"id": str(GUILD), "features": [], "locale": "en-US"},
            "channel_id": str(CHANNEL),
            "channel": channel(CHANNEL),
            "member": member(user_id) | {"permissions": EVERYTHING if user_id == OWNER else ORDINARY},
            "app_permissions": EVERYTHING,
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
