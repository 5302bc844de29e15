"""Discord's REST API by bot token: what is sent, and of each answer only what is needed.

discord.py makes the requests, and not objects of the answers: one null where it expects none, and a call that
has happened would look like one that has failed.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import discord
from discord.http import MultipartParameters, handle_message_parameters

from bot.delivery.answers import Message, attached, id_of, message_of, objects
from bot.delivery.brake import Brake
from bot.delivery.calls import CALL_TIMEOUT, call
from bot.errors import MessageGone, NonceTaken, Undeliverable, Undelivered

_PAGE, _PAGES = 100, 3
"""Messages that are looked at in one request, and requests in one look."""
_SKEW = timedelta(minutes=1)
"""How far our clock may be from Discord's."""
_MISSING: Any = discord.utils.MISSING


class Rest:
    def __init__(self, client: discord.Client, brake: Brake) -> None:
        self._client = client
        self._brake = brake

    @property
    def is_braked(self) -> bool:
        """Whether calls wait, because Discord has refused so many."""
        return self._brake.is_on

    async def create(
        self,
        channel_id: int,
        *,
        nonce: str,
        content: str = _MISSING,
        embed: discord.Embed = _MISSING,
        view: discord.ui.View | None = _MISSING,
        files: Sequence[discord.File] = (),
        mentions: discord.AllowedMentions = _MISSING,
        answering: int | None = None,
    ) -> Message:
        """Post a message.

        Discord compares the nonce with all that the bot has posted within minutes, wherever, and answers one
        it has seen with the message of then, or, where that is deleted, as if it had been asked for it. So
        each message has a nonce of its own, and what comes back may be an earlier try.

        Raises DeliveryFault; MessageGone if the message was posted before and is deleted, NonceTaken if
        another message had that nonce.
        """
        reference: Any = _MISSING
        if answering is not None:
            # Where it is gone, the answer stands alone.
            reference = {"message_id": answering, "channel_id": channel_id, "fail_if_not_exists": False}
        with self._message(
            content=content,
            embed=embed,
            view=view,
            files=files,
            allowed_mentions=mentions,
            nonce=nonce,
            message_reference=reference,
        ) as params:
            posted = message_of(
                await self._call(lambda: self._client.http.send_message(channel_id, params=params))
            )
        if posted is None:
            # It is there; the same nonce brings it back.
            raise Undelivered("an answer without the message")
        if posted.channel_id not in {None, channel_id}:
            raise NonceTaken(f"{nonce} has brought back message {posted.id} of channel {posted.channel_id}")
        return posted

    async def edit(
        self,
        channel_id: int,
        message_id: int,
        *,
        content: str = _MISSING,
        embed: discord.Embed = _MISSING,
        view: discord.ui.View | None = _MISSING,
        files: Sequence[discord.File] = _MISSING,
        mentions: discord.AllowedMentions = _MISSING,
        seconds: float = CALL_TIMEOUT,
    ) -> None:
        """Edit a message; the files replace those it had. Raises DeliveryFault."""
        with self._message(
            content=content, embed=embed, view=view, attachments=files, allowed_mentions=mentions
        ) as params:
            await self._call(
                lambda: self._client.http.edit_message(channel_id, message_id, params=params), seconds
            )

    async def delete(self, channel_id: int, message_id: int) -> None:
        """Raises DeliveryFault; MessageGone if it was deleted before."""
        await self._call(lambda: self._client.http.delete_message(channel_id, message_id))

    async def carries(self, channel_id: int, message_id: int, filename: str) -> bool:
        """Whether a message is there and has this file attached. Raises DeliveryFault."""
        try:
            found = await self._call(lambda: self._client.http.get_message(channel_id, message_id))
        except MessageGone:
            return False
        names = attached(found)
        if names is None:
            raise Undelivered("an answer without the message's attachments")
        return filename in names

    async def open_direct(self, user_id: int) -> int:
        """The id of the channel of direct messages with somebody. Raises DeliveryFault."""
        channel_id = id_of(await self._call(lambda: self._client.http.start_private_message(user_id)))
        if channel_id is None:
            raise Undelivered("an answer without the channel of direct messages")
        return channel_id

    async def own_message(
        self, channel_id: int, since: datetime, after: int, is_it: Callable[[Message], bool]
    ) -> Message | None:
        """The bot's message in a channel since then that is the one; None also where it may not look.

        `after` is an id that Discord gave away before the message: our clock may have been put back since,
        and then `since` is too late. Raises Undelivered.
        """
        own = self._client.user.id if self._client.user else 0
        begin = discord.utils.time_snowflake(since - _SKEW)
        try:
            found = await self._look(channel_id, own, is_it, after=begin)
            return found or await self._look(channel_id, own, is_it, until=after)
        except Undeliverable:
            return None

    async def _look(
        self,
        channel_id: int,
        own: int,
        is_it: Callable[[Message], bool],
        *,
        after: int | None = None,
        until: int = 0,
    ) -> Message | None:
        """Look forward, after an id, or back from the newest until an id; what nobody can read is skipped."""
        before: int | None = None
        for _ in range(_PAGES):
            page = await self._history(channel_id, before, after)
            found = sorted(
                (message for entry in page if (message := message_of(entry))), key=lambda message: message.id
            )
            for message in found if after is not None else reversed(found):
                if message.id > until and message.author_id == own and is_it(message):
                    return message
            if len(page) < _PAGE or not found or found[0].id <= until:
                return None
            before, after = (None, found[-1].id) if after is not None else (found[0].id, None)
        return None

    async def _history(self, channel_id: int, before: int | None, after: int | None) -> list[object]:
        logs_from = self._client.http.logs_from
        page = await self._call(lambda: logs_from(channel_id, _PAGE, before=before, after=after))
        if not isinstance(page, list):
            raise Undelivered("an answer without the channel's messages")
        return objects(cast("object", page))

    def _message(self, **parts: Any) -> MultipartParameters:  # noqa: ANN401 - as discord.py takes them
        return handle_message_parameters(**parts, previous_allowed_mentions=self._client.allowed_mentions)

    async def _call(self, make: Callable[[], Any], seconds: float = CALL_TIMEOUT) -> object:
        async with self._brake.passed():
            return await call(make(), seconds)
