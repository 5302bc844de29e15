"""What Discord knows: one server, messages and their files, the bot's commands, and who asked for what."""

import itertools
import mimetypes
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.clock import passed
from tests.discord_server.places import (
    ALICE,
    APPLICATION,
    BOB,
    CHANNEL,
    GUILD,
    OTHER_CHANNEL,
    OWNER,
    SYSTEM_CHANNEL,
    THREAD,
    TOKEN,
    Act,
    Fate,
    Message,
    Places,
    Refused,
    direct,
    guild,
    now,
    user,
)
from tests.vendors.base import Upload

__all__ = [
    "ALICE",
    "APPLICATION",
    "BOB",
    "CHANNEL",
    "GUILD",
    "OTHER_CHANNEL",
    "OWNER",
    "SYSTEM_CHANNEL",
    "THREAD",
    "TOKEN",
    "Asked",
    "Fate",
    "Message",
    "Refused",
    "World",
    "direct",
    "guild",
    "user",
]

_EPOCH = 1_420_070_400_000
_HOUR = 3_600_000

Body = Mapping[str, Any]
Uploads = Mapping[str, Upload]


@dataclass
class Asked:
    """An interaction, and what the bot has answered so far."""

    id: int
    token: str
    channel: int
    callback: Body | None = None
    reply: Message | None = None
    more: list[Message] = field(default_factory=list[Message])
    """Replies beside the first one."""

    @property
    def text(self) -> str:
        """What the person reads as the answer; empty while there is none."""
        return str(self.reply["content"]) if self.reply else ""


class World(Places):
    def __init__(self) -> None:
        super().__init__()
        self.url = ""
        self.commands: dict[str, Message] = {}
        self.messages: dict[int, Message] = {}
        self.files: dict[str, Upload] = {}
        self.asked: dict[str, Asked] = {}
        self.nonce_seconds = 300.0
        """How long a nonce is remembered."""
        self.old: set[int] = set()
        """Messages that count as older than an hour, beside those that are."""
        self._nonces: dict[str, tuple[int, float]] = {}
        """By author, and there is one: whatever the channel or the server (discord-api-docs#6647)."""
        self._count = itertools.count()

    def snowflake(self) -> int:
        return (int(time.time() * 1000) - _EPOCH) << 22 | next(self._count)

    def cards(self) -> list[Message]:
        """Status cards, oldest first."""
        return [message for message in self.messages.values() if message["embeds"]]

    def replies(self) -> list[Message]:
        """Messages that carry a video, or are about to."""
        return [message for message in self.messages.values() if not message["embeds"]]

    def videos(self) -> list[Upload]:
        """Every video in every message."""
        return [
            self.files[attachment["id"]]
            for message in self.messages.values()
            for attachment in message["attachments"]
            if attachment["filename"].endswith(".mp4")
        ]

    def create(self, channel: int, body: Body, uploads: Uploads) -> Message:
        """Post a message. An enforced nonce that was seen before, wherever, answers with the first one."""
        reference = body.get("message_reference")
        self.check(channel, Act.CREATE, *((Act.REPLY,) if reference else ()), uploads=uploads)
        if (known := self._known(body)) is not None:
            if known not in self.messages:
                raise Refused(404, 10008, "Unknown Message")
            return self.messages[known]
        if reference and int(reference["message_id"]) not in self.messages:
            if reference.get("fail_if_not_exists", True):
                raise Refused(400, 50035, "Unknown message")
            reference = None
        if not (body.get("content") or body.get("embeds") or uploads):
            raise Refused(400, 50006, "Cannot send an empty message")
        message = self._new_message(channel)
        if reference:
            message |= {"message_reference": reference, "type": 19}
        self._fill(message, body, uploads)
        self.messages[int(message["id"])] = message
        if body.get("enforce_nonce"):
            self._nonces[str(body["nonce"])] = int(message["id"]), passed()
        if self.fates.get(channel) is Fate.ARCHIVED:
            del self.fates[channel]
        return message | ({"nonce": body["nonce"]} if "nonce" in body else {})

    def history(self, channel: int, query: Mapping[str, str]) -> list[Message]:
        """The newest first: those right behind `after`, or the last ones before `before`."""
        self.check(channel, Act.READ)
        if self.fates.get(channel) is Fate.NO_HISTORY:
            return []
        after, before = int(query.get("after", 0)), int(query.get("before", 2**63))
        limit = int(query.get("limit", 50))
        found = [
            message
            for message_id, message in sorted(self.messages.items())
            if int(message["channel_id"]) == channel and after < message_id < before
        ]
        return list(reversed(found[:limit] if "after" in query else found[-limit:]))

    def look(self, channel: int, message_id: int) -> Message:
        self.check(channel, Act.READ)
        if self.fates.get(channel) is Fate.NO_HISTORY:
            raise Refused(403, 50001, "Missing Access")
        return self.message(channel, message_id)

    def place(self, channel: int) -> Message:
        self.check(channel, Act.READ)
        return self.channel(channel)

    def is_old(self, message_id: int) -> bool:
        """Whether it was posted more than an hour ago."""
        age = time.time() * 1000 - _EPOCH - (message_id >> 22)
        return message_id in self.old or age > _HOUR

    def edit(self, channel: int, message_id: int, body: Body, uploads: Uploads) -> Message:
        self.check(channel, Act.EDIT, uploads=uploads)
        message = self.message(channel, message_id)
        self._fill(message, body, uploads)
        message["edited_timestamp"] = now()
        return message

    def delete(self, channel: int, message_id: int) -> None:
        self.check(channel, Act.DELETE)
        self.message(channel, message_id)
        del self.messages[message_id]

    def message(self, channel: int, message_id: int) -> Message:
        message = self.messages.get(message_id)
        if message is None or int(message["channel_id"]) != channel:
            raise Refused(404, 10008, "Unknown Message")
        return message

    def answer(self, token: str, body: Body) -> Asked:
        """The bot's first answer to an interaction."""
        asked = self._asked(token)
        if asked.callback is not None:
            raise Refused(400, 40060, "Interaction has already been acknowledged")
        asked.callback = body
        if body["type"] == 4:
            self.rewrite(token, body["data"], {})
        return asked

    def rewrite(self, token: str, body: Body, uploads: Uploads) -> Message:
        """The bot writes or edits its reply to an interaction."""
        asked = self._asked(token)
        if asked.callback is None:
            raise Refused(404, 10015, "Unknown Webhook")
        asked.reply = asked.reply or self._new_message(asked.channel)
        self._fill(asked.reply, body, uploads)
        return asked.reply

    def follow(self, token: str, body: Body, uploads: Uploads) -> Message:
        """The bot says something beside its first answer."""
        asked = self._asked(token)
        message = self._new_message(asked.channel)
        self._fill(message, body, uploads)
        asked.more.append(message)
        return message

    def register(self, commands: Sequence[Body]) -> list[Message]:
        self.commands = {
            command["name"]: {
                "description": "",  # as entries of a context menu have none
                **command,
                "id": str(self.snowflake()),
                "application_id": str(APPLICATION),
                "version": str(self.snowflake()),
            }
            for command in commands
        }
        return list(self.commands.values())

    def store(self, upload: Upload, **more: Any) -> Message:
        """Keep a file and describe it as an attachment."""
        file_id = str(self.snowflake())
        self.files[file_id] = upload
        url = f"{self.url}/files/{file_id}/{upload.filename}"
        return {
            "id": file_id,
            "filename": upload.filename,
            "size": len(upload.data),
            "content_type": mimetypes.guess_type(upload.filename or "")[0],
            "url": url,
            "proxy_url": url,
            **more,
        }

    def _asked(self, token: str) -> Asked:
        if token not in self.asked:
            raise Refused(404, 10062, "Unknown interaction")
        return self.asked[token]

    def _known(self, body: Body) -> int | None:
        """The message that this nonce has made, while that is remembered."""
        if not body.get("enforce_nonce"):
            return None
        message_id, at = self._nonces.get(str(body["nonce"]), (None, 0.0))
        return message_id if passed() - at < self.nonce_seconds else None

    def _fill(self, message: Message, body: Body, uploads: Uploads) -> None:
        for name in ("content", "embeds", "components"):
            if name in body:
                message[name] = body[name] or ("" if name == "content" else [])
        message["attachments"] = self._attachments(message["attachments"], body, uploads)
        self._place_pictures(message)

    def _attachments(self, present: list[Message], body: Body, uploads: Uploads) -> list[Message]:
        """Where the request lists attachments, that list is all there will be."""
        if "attachments" not in body:
            return present + [self.store(upload) for upload in uploads.values()]
        kept = {attachment["id"]: attachment for attachment in present}
        return [self._attachment(entry, kept, uploads) for entry in body["attachments"] or ()]

    def _attachment(self, entry: Body, kept: Mapping[str, Message], uploads: Uploads) -> Message:
        name = str(entry["id"])
        if (upload := uploads.get(f"files[{name}]")) is not None:
            return self.store(upload, description=entry.get("description"))
        if name not in kept:
            raise Refused(400, 50035, "Invalid Form Body: unknown attachment")
        return kept[name]

    def _place_pictures(self, message: Message) -> None:
        """A file that an embed refers to is shown there, and no longer among the attachments."""
        for embed in message["embeds"]:
            thumbnail = embed.get("thumbnail", {})
            name = thumbnail.get("url", "").removeprefix("attachment://")
            for attachment in [found for found in message["attachments"] if found["filename"] == name]:
                thumbnail["url"] = attachment["url"]
                message["attachments"].remove(attachment)
            if thumbnail.get("url", "").startswith("attachment://"):
                raise Refused(400, 50035, "Invalid Form Body: the embed refers to no attachment")

    def _new_message(self, channel: int) -> Message:
        return {
            "id": str(self.snowflake()),
            "channel_id": str(channel),
            "author": user(APPLICATION),
            "timestamp": now(),
            "edited_timestamp": None,
            "type": 0,
            "flags": 0,
            "tts": False,
            "pinned": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "content": "",
            "embeds": [],
            "components": [],
            "attachments": [],
        }
