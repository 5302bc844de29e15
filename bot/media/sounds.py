"""A member's sound file, looked at before it goes to a provider."""

import logging

from bot.errors import BadRequest, NotNow
from providers.child import ChildFailed, Children, ChildrenClosed
from providers.child_wire import FileRejected
from providers.options import SourceAudio

log = logging.getLogger(__name__)

SECONDS = 20
MEMORY = 1_000_000_000
"""Bytes."""


async def prepare(children: Children, data: bytes) -> SourceAudio:
    """The file with its type and length, found by looking into it. Raises BadRequest or NotNow."""
    try:
        answer = await children.run("bot.media._decode_sound:probe", data, seconds=SECONDS, memory=MEMORY)
    except FileRejected as refusal:
        raise BadRequest(str(refusal)) from refusal
    except ChildrenClosed as closed:
        raise NotNow("I am restarting. Try again in a minute; nothing was charged.") from closed
    except ChildFailed as failure:
        if isinstance(failure.__cause__, OSError):
            raise failure.__cause__ from failure  # no child could start, which is not the file's doing
        log.warning("a sound file of %d bytes could not be looked at: %s", len(data), failure)
        raise BadRequest(
            "That sound file could not be read. Attach another; nothing was charged."
        ) from failure
    return SourceAudio.model_validate({**answer.facts, "data": data})
