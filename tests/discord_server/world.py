"""What Discord knows: one server, messages and their files, the bot's commands, and who asked for what."""

import itertools
import mimetypes
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.vendors.base import Upload

TOKEN = "token-of-the-bot"
APPLICATION, GUILD, CHANNEL, OTHER_CHANNEL, OWNER, ALICE, BOB = range(1001, 1008)
NAMES = {APPLICATION: "stillmotion", OWNER: "owner", ALICE: "alice", BOB: "bob"}
EVERYTHING = str(2**53 - 1)
"""All permissions, which the bot and the owner have."""
ORDINARY = str(1 << 10 | 1 << 11 | 1 << 31)
"""What members may do: see the channel, send messages, use commands."""
_EPOCH = 1_420_070_400_000

Body = Mapping[str, Any]
Uploads = Mapping[str, Upload]
Message = dict[str, Any]


class Refused(Exception):
    """Discord's own no: an HTTP status and a code from its list."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass
class Asked:
    """An interaction, and what the bot has answered so far."""

    id: int
    token: str
    callback: Body | None = None
    reply: Message | None = None

    @property
    def text(self) -> str:
        """What the person reads as the answer; empty while there is none."""
        return str(self.reply["content"]) if self.reply else ""


class World:
    def __init__(self) -> None:
        self.url = ""
        self.commands: dict[str, Message] = {}
        self.messages: dict[int, Message] = {}
        self.files: dict[str, Upload] = {}
        self.asked: dict[str, Asked] = {}
        self._nonces: dict[tuple[int, str], int] = {}
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
        """Post a message. An enforced nonce that was seen before answers with the first one, as it is now."""
        self._check_channel(channel)
        nonce = (channel, str(body.get("nonce")))
        if body.get("enforce_nonce") and nonce in self._nonces:
            return self.message(channel, self._nonces[nonce])
        reference = body.get("message_reference")
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
            self._nonces[nonce] = int(message["id"])
        return message

    def edit(self, channel: int, message_id: int, body: Body, uploads: Uploads) -> Message:
        message = self.message(channel, message_id)
        self._fill(message, body, uploads)
        message["edited_timestamp"] = _now()
        return message

    def delete(self, channel: int, message_id: int) -> None:
        self.message(channel, message_id)
        del self.messages[message_id]

    def message(self, channel: int, message_id: int) -> Message:
        self._check_channel(channel)
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
        asked.reply = asked.reply or self._new_message(CHANNEL)
        self._fill(asked.reply, body, uploads)
        return asked.reply

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

    def _check_channel(self, channel: int) -> None:
        if channel not in {CHANNEL, OTHER_CHANNEL}:
            raise Refused(404, 10003, "Unknown Channel")

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
            "timestamp": _now(),
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


def user(user_id: int) -> Message:
    return {
        "id": str(user_id),
        "username": NAMES[user_id],
        "discriminator": "0",
        "global_name": None,
        "avatar": None,
        "bot": user_id == APPLICATION,
    }


def member(user_id: int) -> Message:
    return {"user": user(user_id), "roles": [], "flags": 0, "joined_at": _now()}


def channel(channel_id: int) -> Message:
    return {
        "id": str(channel_id),
        "guild_id": str(GUILD),
        "name": f"channel-{channel_id}",
        "type": 0,
        "position": 0,
        "parent_id": None,
        "permission_overwrites": [],
    }


def guild() -> Message:
    everyone = {"id": str(GUILD), "name": "@everyone", "permissions": EVERYTHING, "position": 0}
    looks = {"color": 0, "hoist": False, "managed": False, "mentionable": False, "flags": 0}
    return {
        "id": str(GUILD),
        "name": "Workshop",
        "owner_id": str(OWNER),
        "roles": [everyone | looks],
        "channels": [channel(CHANNEL), channel(OTHER_CHANNEL)],
        "members": [member(APPLICATION)],
        "member_count": 4,
        "preferred_locale": "en-US",
        "verification_level": 0,
        "default_message_notifications": 0,
        "premium_tier": 0,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat()
