"""Where messages stand: a server's channels and a thread, direct messages, and what becomes of each of them.

world.fates[CHANNEL] = Fate.HIDDEN           # what REST answers from now on
await discord.befalls(THREAD, Fate.LOCKED)   # the same, and the gateway tells the bot of it
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any

from tests.vendors.base import Upload

TOKEN = "token-of-the-bot"
APPLICATION, GUILD, CHANNEL, OTHER_CHANNEL, OWNER, ALICE, BOB, SYSTEM_CHANNEL, THREAD = range(1001, 1010)
"""Any other number is a member, too."""
LOW_ROLE, HIGH_ROLE = 1011, 1012
NAMES = {APPLICATION: "stillmotion", OWNER: "owner", ALICE: "alice", BOB: "bob"}
EVERYTHING = 2**53 - 1
"""All permissions, which the bot and the owner have."""
ORDINARY = 1 << 10 | 1 << 11 | 1 << 15 | 1 << 31 | 1 << 38
"""What members may do: see the channel, send messages (also in threads) and files, use commands."""
_ADMINISTRATOR, _VIEW, _SEND, _ATTACH, _HISTORY = 1 << 3, 1 << 10, 1 << 11, 1 << 15, 1 << 16
_MANAGE_THREADS, _SEND_IN_THREADS = 1 << 34, 1 << 38
_DIRECT = 1_000_000
TEXT, PRIVATE, VOICE, PUBLIC_THREAD, PRIVATE_THREAD, FORUM = 0, 1, 2, 11, 12, 15

Message = dict[str, Any]


class Refused(Exception):
    """Discord's own no: an HTTP status and a code from its list, or a page of what stands before Discord."""

    def __init__(self, status: int, code: int, message: str, *, page: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.page = page


class Act(Enum):
    READ = auto()
    CREATE = auto()
    EDIT = auto()
    DELETE = auto()
    UPLOAD = auto()
    REPLY = auto()


class Fate(Enum):
    """What became of one place. Without one, everything works there."""

    DELETED = auto()
    HIDDEN = auto()
    MUTE = auto()
    """The bot may no longer send; what it has sent it may edit (says Discord in discord-api-docs#3096)."""
    FILELESS = auto()
    NO_HISTORY = auto()
    """The bot may not read what was said: history is empty, and nothing can be replied to."""
    ARCHIVED = auto()
    """A thread that sleeps: a message wakes it, an edit does not."""
    LOCKED = auto()
    """As bots have met it: code 50083 (discord-api-docs#6884, #7707)."""
    LOCKED_AS_DOCUMENTED = auto()
    """With the code that Discord's list has for it, 160005, and that nobody seems to have met."""
    CLOSED = auto()
    """A member who takes no direct messages."""


_Refusals = Mapping[Act, tuple[int, int, str]]
_REFUSALS: Mapping[Fate, _Refusals] = {
    Fate.DELETED: dict.fromkeys(Act, (404, 10003, "Unknown Channel")),
    Fate.HIDDEN: dict.fromkeys(Act, (403, 50001, "Missing Access")),
    Fate.MUTE: {Act.CREATE: (403, 50013, "Missing Permissions")},
    Fate.FILELESS: {Act.UPLOAD: (403, 50013, "Missing Permissions")},
    Fate.NO_HISTORY: {Act.REPLY: (403, 160002, "Cannot reply without permission to read message history")},
    Fate.ARCHIVED: {Act.EDIT: (400, 50083, "Thread is archived")},
    Fate.LOCKED: dict.fromkeys((Act.CREATE, Act.EDIT), (403, 50083, "Thread is archived")),
    Fate.LOCKED_AS_DOCUMENTED: dict.fromkeys((Act.CREATE, Act.EDIT), (400, 160005, "Thread is locked")),
    Fate.CLOSED: {Act.CREATE: (403, 50007, "Cannot send messages to this user")},
}
_TAKEN: Mapping[Fate, int] = {
    Fate.HIDDEN: _VIEW,
    Fate.MUTE: _SEND | _SEND_IN_THREADS,
    Fate.FILELESS: _ATTACH,
    Fate.NO_HISTORY: _HISTORY,
    Fate.LOCKED: _MANAGE_THREADS,
    Fate.LOCKED_AS_DOCUMENTED: _MANAGE_THREADS,
}
"""Permissions that the bot has lost there."""


class Places:
    """Every place, its fate, and how much Discord takes."""

    def __init__(self) -> None:
        self.channels = [CHANNEL, OTHER_CHANNEL, SYSTEM_CHANNEL]
        """Of the server, without its thread; a test may add any number as one more."""
        self.fates: dict[int, Fate] = {}
        self.bot_is_member = True
        """Of the server; `DiscordServer.remove_bot` also tells the gateway."""
        self.roles: dict[int, list[int]] = {}
        """Of members, by their ids."""
        self.may: dict[int, int] = {}
        """Permissions of members who are no ordinary ones, everywhere."""
        self.bot_may = EVERYTHING
        """Permissions of the bot, where its fate has not taken any."""
        self.kinds: dict[int, int] = {}
        """Of places that are no text channels or public threads."""
        self.upload_limit: int | None = None
        """Bytes of one file; None takes everything."""
        self.upload_page = False
        """Whether what is too large is refused by an HTML page instead of JSON."""

    def check(self, place: int, *decisions: Act, uploads: Mapping[str, Upload] | None = None) -> None:
        """Raise Refused where this place does not take that from the bot."""
        self._check_size(uploads or {})
        if place not in {*self.channels, THREAD} and place <= _DIRECT:
            raise Refused(404, 10003, "Unknown Channel")
        if not self.bot_is_member:
            self._check_membership(place, decisions)
        if Act.CREATE in decisions and self.kinds.get(place) == FORUM:
            raise Refused(400, 50008, "Cannot send messages in a non-text channel")
        refusals: _Refusals = _REFUSALS[self.fates[place]] if place in self.fates else {}
        for decision in (*decisions, *((Act.UPLOAD,) if uploads else ())):
            if decision in refusals:
                raise Refused(*refusals[decision])

    def permissions(self, place: int) -> str:
        """The bot's own, in this place."""
        taken = _TAKEN.get(self.fates[place], 0) if place in self.fates else 0
        return str(self.bot_may & ~(taken | _ADMINISTRATOR) if taken else self.bot_may)

    def member(self, user_id: int) -> Message:
        """A member as an interaction names them, with what they may do where it was used."""
        ordinary = EVERYTHING if user_id == OWNER else ORDINARY
        roles = [str(role) for role in self.roles.get(user_id, [])]
        return member(user_id) | {"roles": roles, "permissions": str(self.may.get(user_id, ordinary))}

    def channel(self, place: int) -> Message:
        if place > _DIRECT:
            return {"id": str(place), "type": PRIVATE, "flags": 0, "recipients": [user(place - _DIRECT)]}
        found = thread(self.fates.get(place)) if place == THREAD else channel(place)
        spoken = {"bitrate": 64_000, "user_limit": 0, "rtc_region": None}
        return found | ({"type": self.kinds[place], **spoken} if place in self.kinds else {})

    def guild(self) -> Message:
        """The server as the gateway tells of it: what is deleted, hidden or archived is left out."""
        gone = {place for place, fate in self.fates.items() if fate in {Fate.DELETED, Fate.HIDDEN}}
        asleep = self.fates.get(THREAD) is Fate.ARCHIVED or not gone.isdisjoint({THREAD, CHANNEL})
        return guild() | {
            "channels": [self.channel(place) for place in self.channels if place not in gone],
            "threads": [] if asleep else [self.channel(THREAD)],
        }

    def _check_size(self, uploads: Mapping[str, Upload]) -> None:
        largest = max((len(upload.data) for upload in uploads.values()), default=0)
        if self.upload_limit is not None and largest > self.upload_limit:
            raise Refused(413, 40005, "Request entity too large", page=self.upload_page)

    def _check_membership(self, place: int, decisions: tuple[Act, ...]) -> None:
        if place <= _DIRECT:
            raise Refused(403, 50001, "Missing Access")
        if Act.CREATE in decisions:
            raise Refused(403, 50278, "Cannot send messages to this user due to having no mutual guilds")


def direct(user_id: int) -> int:
    """The id of the channel that holds the direct messages of the bot and this member."""
    return _DIRECT + user_id


def user(user_id: int) -> Message:
    return {
        "id": str(user_id),
        "username": NAMES.get(user_id, f"member-{user_id}"),
        "discriminator": "0",
        "global_name": None,
        "avatar": None,
        "bot": user_id == APPLICATION,
    }


def member(user_id: int) -> Message:
    return {"user": user(user_id), "roles": [], "flags": 0, "joined_at": now()}


def channel(channel_id: int) -> Message:
    return {
        "id": str(channel_id),
        "guild_id": str(GUILD),
        "name": f"channel-{channel_id}",
        "type": TEXT,
        "flags": 0,
        "position": 0,
        "parent_id": None,
        "permission_overwrites": [],
    }


def thread(fate: Fate | None = None) -> Message:
    """The public thread below CHANNEL."""
    return {
        "id": str(THREAD),
        "guild_id": str(GUILD),
        "name": "thread",
        "type": PUBLIC_THREAD,
        "flags": 0,
        "parent_id": str(CHANNEL),
        "owner_id": str(ALICE),
        "message_count": 0,
        "member_count": 1,
        "total_message_sent": 0,
        "rate_limit_per_user": 0,
        "last_message_id": None,
        "thread_metadata": {
            "archived": fate is Fate.ARCHIVED,
            "archive_timestamp": now(),
            "auto_archive_duration": 1440,
            "locked": fate in {Fate.LOCKED, Fate.LOCKED_AS_DOCUMENTED},
        },
    }


def role(role_id: int) -> Message:
    """A role; the server's own number is everyone's."""
    looks = {"color": 0, "hoist": False, "managed": False, "mentionable": False, "flags": 0}
    name = "@everyone" if role_id == GUILD else f"role-{role_id}"
    position = 0 if role_id == GUILD else role_id - LOW_ROLE + 1
    permissions = str(EVERYTHING if role_id == GUILD else 0)
    return {"id": str(role_id), "name": name, "permissions": permissions, "position": position} | looks


def guild() -> Message:
    """The server while nothing has happened to any of its places."""
    return {
        "id": str(GUILD),
        "name": "Workshop",
        "owner_id": str(OWNER),
        "roles": [role(role_id) for role_id in (GUILD, LOW_ROLE, HIGH_ROLE)],
        "channels": [channel(place) for place in (CHANNEL, OTHER_CHANNEL, SYSTEM_CHANNEL)],
        "threads": [thread()],
        "system_channel_id": str(SYSTEM_CHANNEL),
        "system_channel_flags": 0,
        "members": [member(APPLICATION)],
        "member_count": 4,
        "preferred_locale": "en-US",
        "verification_level": 0,
        "default_message_notifications": 0,
        "premium_tier": 0,
    }


def now() -> str:
    return datetime.now(UTC).isoformat()
