"""What somebody asks for, and its files: brought here, looked at, and made ready for the model."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from bot.errors import NotNow
from bot.fair import FairShare
from bot.media import sounds
from bot.media.images import check_size, prepare
from providers.child import Children
from providers.options import SourceAudio, SourceImage
from providers.specs import ModelSpec, VideoRequest

DECODED_AT_ONCE = max(2, os.cpu_count() or 1)
"""Orders whose files are looked at at the same time; two at least, so that no server can have all places."""
_ROOM = 8
"""How many files of the largest size may be in memory. What does not come takes room from nobody for long."""
PREPARED = 5
"""Orders with files that one member may have under way here at once; one is worked on, the others wait."""


@dataclass(frozen=True)
class Attached:
    """A file that came with a command."""

    size: int
    """Bytes, as Discord states them."""
    read: Callable[[], Awaitable[bytes]]
    """Raises UserFault where the file cannot be had."""


@dataclass(frozen=True)
class Order:
    """What somebody asks for, as it comes from Discord and before anything is checked."""

    id: int
    """The interaction's id; it becomes the job's."""
    guild_id: int
    channel_id: int
    user_id: int
    role_ids: Collection[int]
    """The roles that the member has now."""
    prompt: str
    provider: str | None = None
    model: str | None = None
    options: Mapping[str, object] = field(default_factory=dict[str, object])
    """By field of VideoRequest; None is left to the model."""
    files: Mapping[str, Attached] = field(default_factory=dict[str, Attached])
    """By field of VideoRequest: image, end_image, audio_file."""
    parent_id: int | None = None
    is_public: bool = False
    """Both as in the job's row."""

    def wish(self) -> VideoRequest:
        """The request as far as it is known before any file is read: files stand in for themselves."""
        return VideoRequest.model_validate(
            {
                "model": self.model or "",
                "prompt": self.prompt,
                **self.options,
                **{name: _STANDINS[name] for name in self.files},
            }
        )


_SOME_IMAGE = SourceImage(data=b"", media_type="image/jpeg", width=1, height=1)
_STANDINS = {
    "image": _SOME_IMAGE,
    "end_image": _SOME_IMAGE,
    "audio_file": SourceAudio(data=b"", media_type="audio/mpeg", seconds=0),
}


class Intake:
    def __init__(self, children: Children, largest: int) -> None:
        """`largest` is what a file may have, in bytes."""
        self._children = children
        self._largest = largest
        self._room = FairShare(_ROOM * largest)
        self._decoding = FairShare(DECODED_AT_ONCE)
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._prepared: Counter[int] = Counter()
        """By member."""

    def check(self, files: Mapping[str, Attached]) -> None:
        """Refuse by what Discord states, before anything is read. Raises BadImage."""
        for attached in files.values():
            check_size(attached.size, self._largest)

    @asynccontextmanager
    async def place(self, order: Order) -> AsyncGenerator[None]:
        """A member's orders with files come one after the other, each booked before the next is looked at.

        So nobody has more files decoded than they have allowance for. Raises NotNow where too many wait.
        """
        if not order.files:
            yield
            return
        if self._prepared[order.user_id] >= PREPARED:
            raise NotNow(
                f"I am still preparing {PREPARED} pictures of yours. Try again when their cards are there. "
                "Nothing was charged."
            )
        self._prepared[order.user_id] += 1
        try:
            async with self._locks.setdefault(order.user_id, asyncio.Lock()):
                yield
        finally:
            self._prepared[order.user_id] -= 1
            self._prepared += Counter()  # keeps only what is above zero

    async def read(
        self, order: Order, spec: ModelSpec, wish: VideoRequest
    ) -> tuple[VideoRequest, bytes | None]:
        """The wish with its real files, and the picture's thumbnail, in the order's turn. Raises UserFault.

        A file that does not come, or takes long to decode, keeps its member waiting, and few others.
        """
        size = sum(attached.size for attached in order.files.values())
        async with self._room.take(order.user_id, order.guild_id, size):
            fetched = {name: await self._fetch(attached) for name, attached in order.files.items()}
            async with self._decoding.take(order.user_id, order.guild_id):
                return await self._prepare(fetched, spec, wish)

    async def _fetch(self, attached: Attached) -> bytes:
        data = await attached.read()
        check_size(len(data), self._largest)
        return data

    async def _prepare(
        self, fetched: Mapping[str, bytes], spec: ModelSpec, wish: VideoRequest
    ) -> tuple[VideoRequest, bytes | None]:
        files: dict[str, SourceImage | SourceAudio] = {}
        thumbnail: bytes | None = None
        for name, data in fetched.items():
            if name == "audio_file":
                files[name] = await sounds.prepare(self._children, data)
                continue
            limits = (spec.end_image if name == "end_image" else None) or spec.image
            prepared = await prepare(self._children, data, limits)
            files[name] = prepared.image
            thumbnail = prepared.thumbnail if name == "image" else thumbnail
        return wish.with_files(files), thumbnail
