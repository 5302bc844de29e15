"""What people read while the database or the disk of this bot is out. Pure."""

import errno

from bot.store.db import StoreError, Unanswered

DOUBT = "`/jobs list` shows whether your video is in the queue; what is not there was not charged."
"""For who asked for a video and was not told whether it was booked."""
_FULL = {errno.ENOSPC, errno.EDQUOT}
_UNWRITABLE = {errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM}
_TOO_BUSY = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}


def outage(error: BaseException) -> str | None:
    """A sentence that says what is out; None for an error of another kind."""
    if isinstance(error, StoreError):
        return "My database does not answer just now."
    if not isinstance(error, OSError):
        return None
    if error.errno in _FULL:
        return "My disk is full, and whoever runs this bot has to make room."
    if error.errno in _UNWRITABLE:
        return "My disk cannot be used just now."
    return "I have too much to do just now." if error.errno in _TOO_BUSY else None


def is_doubtful(error: BaseException) -> bool:
    """Whether it may have been written all the same."""
    return isinstance(error, Unanswered)
