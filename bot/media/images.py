"""A member's picture, made ready for a provider."""

import logging
from dataclasses import dataclass

from bot.errors import BadImage, NotNow
from providers.child import ChildFailed, Children, ChildrenClosed
from providers.child_wire import FileRejected
from providers.options import ImageLimits, SourceImage

log = logging.getLogger(__name__)

SECONDS = 60
CPU_SECONDS = 20
"""The largest honest pictures take 2 to 3 on a current machine; waiting for a busy one costs none of them."""
MEMORY = 1_500_000_000
"""Bytes; the largest WebP picture that is taken needs half of it."""


@dataclass(frozen=True)
class PreparedImage:
    image: SourceImage
    thumbnail: bytes
    """A JPEG of at most 256 pixels on its longer side."""


def check_size(size: int, limit: int) -> None:
    """Refuse by the size that Discord states, before anything is read."""
    if size > limit:
        raise BadImage(
            f"That file has {_megabytes(size)} MB; I take up to {_megabytes(limit)} MB. "
            "Attach a smaller version; nothing was charged."
        )


async def prepare(children: Children, data: bytes, limits: ImageLimits) -> PreparedImage:
    """The picture upright, without metadata, as a JPEG within `limits`; raises BadImage or NotNow."""
    try:
        facts, (encoded, thumbnail) = await children.run(
            "bot.media._decode_picture:prepare",
            data,
            seconds=SECONDS,
            cpu_seconds=CPU_SECONDS,
            memory=MEMORY,
            max_side=limits.max_side,
            max_bytes=limits.max_bytes,
        )
    except FileRejected as refusal:
        raise BadImage(str(refusal)) from refusal
    except ChildrenClosed as closed:
        raise NotNow("I am restarting. Try again in a minute; nothing was charged.") from closed
    except ChildFailed as failure:
        if isinstance(failure.__cause__, OSError):
            raise failure.__cause__ from failure  # no child could start, which is not the file's doing
        log.warning("a picture of %d bytes could not be prepared: %s", len(data), failure)
        raise BadImage(
            "That picture took too long or too much memory to work on. "
            "Attach a smaller or simpler one; nothing was charged."
        ) from failure
    return PreparedImage(SourceImage.model_validate({**facts, "data": encoded}), thumbnail)


def _megabytes(size: int) -> str:
    """Rounded up to a tenth, so that what is too large never reads like what is allowed."""
    tenths = -(-size // 100_000)
    return f"{tenths / 10:g}"
