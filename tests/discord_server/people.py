"""What members do: run a command, type into an option, press a button."""

from typing import Any

from tests.discord_server.gateway import Gateway
from tests.discord_server.places import (
    ALICE,
    APPLICATION,
    CHANNEL,
    GUILD,
    HIGH_ROLE,
    LOW_ROLE,
    Message,
    role,
)
from tests.discord_server.world import Asked, World
from tests.helpers import eventually
from tests.vendors.base import Upload

COMMAND, COMPONENT, TYPING, FORM = 2, 3, 4, 5
USER, PLACE, MENTIONABLE, ATTACHMENT = 6, 7, 9, 11
BUTTON = 2
ON_A_MEMBER = 2


class People:
    def __init__(self, world: World, gateway: Gateway) -> None:
        self._world = world
        self._gateway = gateway

    async def run(
        self, command: str, user_id: int = ALICE, *, channel: int = CHANNEL, **options: Any
    ) -> Asked:
        """Send a slash command such as `jobs list`.

        Bytes are sent as an attached picture, members, roles and channels by their ids. An option that is
        called `channel` itself is given as `channel_`.
        """
        resolved: Message = {}
        options = {name.removesuffix("_"): value for name, value in options.items()}
        data = self._command(command, options, resolved) | {"resolved": resolved}
        return await self._send(COMMAND, user_id, channel, data)

    async def choose(self, entry: str, member_id: int, user_id: int = ALICE) -> Asked:
        """Use an entry of a member's Apps menu."""
        resolved: Message = {}
        self._resolve(resolved, USER, member_id)
        known = self._world.commands[entry]
        data = {"id": known["id"], "name": entry, "type": ON_A_MEMBER, "target_id": str(member_id)}
        return await self._send(COMMAND, user_id, CHANNEL, data | {"resolved": resolved})

    async def fill(self, asked: Asked, user_id: int = ALICE, **typed: str) -> Asked:
        """Send the form that the bot has answered with, filled in."""
        form: Any = await eventually(lambda: asked.callback)
        rows = [
            {"type": 1, "components": [{"type": 4, "custom_id": name, "value": value}]}
            for name, value in typed.items()
        ]
        data = {"custom_id": form["data"]["custom_id"], "components": rows}
        return await self._send(FORM, user_id, asked.channel, data)

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

    async def forge(
        self, custom_id: str, user_id: int = ALICE, *, kind: int = BUTTON, server: int = GUILD, **more: Any
    ) -> Asked:
        """Press a button that the bot has never shown, or that stands in a message of another server."""
        button = {"type": kind, "style": 2, "label": "x", "custom_id": custom_id}
        message = self._world.create(CHANNEL, {"content": "x"}, {})
        message["components"] = [{"type": 1, "components": [button]}]
        data = {"custom_id": custom_id, "component_type": kind}
        own = {"message": message, "guild_id": str(server), "guild": {"id": str(server), "features": []}}
        return await self.send(COMPONENT, data, user_id, **{**own, **more})

    async def send(self, kind: int, data: Message, user_id: int = ALICE, **more: Any) -> Asked:
        """Send any interaction, as a client of somebody's own making can."""
        return await self._send(kind, user_id, CHANNEL, data, **more)

    def _command(self, words: str, options: Message, resolved: Message, focused: str = "") -> Message:
        """A command's data: what is given to a subcommand is an option of an option."""
        first, *others = words.split()
        command = known = self._world.commands[first]
        path: list[Message] = []
        for word in others:
            known = next(option for option in known["options"] if option["name"] == word)
            path.append(known)
        given = self._options(known, options, resolved)
        for entry in given:
            if entry["name"] == focused:
                entry["focused"] = True
        for option in reversed(path):
            given = [{"name": option["name"], "type": option["type"], "options": given}]
        return {"id": command["id"], "name": first, "type": 1, "options": given}

    def _options(self, command: Message, options: Message, resolved: Message) -> list[Message]:
        types = {option["name"]: option["type"] for option in command.get("options", ())}
        entries: list[Message] = []
        for name, given in options.items():
            value = given
            if types[name] == ATTACHMENT:
                file = self._world.store(Upload("picture.png", "image/png", given), ephemeral=True)
                resolved.setdefault("attachments", {})[file["id"]] = file
                value = file["id"]
            elif types[name] in {USER, PLACE, MENTIONABLE}:
                self._resolve(resolved, types[name], given)
                value = str(given)
            entries.append({"name": name, "type": types[name], "value": value})
        return entries

    def _resolve(self, resolved: Message, kind: int, given: int) -> None:
        """Describe what an option names, as Discord does."""
        if kind == PLACE:
            found = {"permissions": self._world.member(ALICE)["permissions"]}
            resolved.setdefault("channels", {})[str(given)] = self._world.channel(given) | found
        elif given in {GUILD, LOW_ROLE, HIGH_ROLE}:
            resolved.setdefault("roles", {})[str(given)] = role(given)
        else:
            described = self._world.member(given)
            resolved.setdefault("users", {})[str(given)] = described.pop("user")
            resolved.setdefault("members", {})[str(given)] = described

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
            "member": self._world.member(user_id),
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
