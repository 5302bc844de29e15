"""What a process gives up before it decodes a stranger's file: all that decoding does not need.

Linux alone has these, and not every Linux all of them; each is had where it can be. Apart from limits on
memory and time, which are for who starts the process to choose.
"""

import ctypes
import sys
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from providers._sandbox_landlock import allow_only
from providers._sandbox_seccomp import deny_calls
from providers.child_wire import Answer

_GET_DUMPABLE, _SET_DUMPABLE, _GET_SECCOMP, _NO_NEW_PRIVS = 3, 4, 21, 38
_FILTERED = 2
_CODE = Path(__file__).resolve().parents[1]
"""Beside our packages there may be `.env` and the data, unless they are installed."""
_PACKAGES = ("bot", "providers")
_SYSTEM = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"),
    *("/usr/share/fonts", "/usr/local/share/fonts", "/etc/localtime", "/usr/share/zoneinfo"),
    *("/dev/null", "/dev/urandom", "/sys/devices/system/cpu"),
)


@dataclass(frozen=True)
class Guards:
    """What stands between this process and the rest of the machine."""

    is_hidden: bool
    """Other processes of the same user cannot look into it."""
    files: bool
    """It can open nothing but Python itself and what it works on."""
    calls: bool
    """It can reach no network, start no program, and signal no other process."""


def hide() -> bool:
    """Let only root look into this process: its memory, environment and open files. False where not had."""
    return _control(_SET_DUMPABLE, 0) == 0


def confine(*, reads: Collection[Path] = (), writes: Collection[Path] = ()) -> None:
    """Give up everything but these files and folders, for good. Call it before any thread is started.

    What is missing on this system stays as it was; `guards` tells.
    """
    libc = _libc()
    if libc is None:
        return
    hide()
    if _control(_NO_NEW_PRIVS, 1) != 0:
        return
    allow_only(libc, [*_python(), *reads], writes)
    deny_calls(libc)


def guards() -> Guards:
    """What holds for this process, tried and not remembered."""
    try:
        next(Path("/").iterdir(), None)
    except PermissionError:
        files = True
    else:
        files = False
    return Guards(_control(_GET_DUMPABLE) == 0, files, _control(_GET_SECCOMP) == _FILTERED)


def look() -> Answer:
    """A child's task: which guards it has. For `stillmotion check`."""
    return Answer(asdict(guards()))


def _python() -> Iterable[Path]:
    """Where modules and their libraries are."""
    yield from (_CODE / name for name in _PACKAGES)
    folders = {sys.prefix, sys.base_prefix, *sys.path} - {"", str(_CODE)}
    yield from (Path(name) for name in (*sorted(folders), *_SYSTEM))


def _control(*arguments: int) -> int:
    libc = _libc()
    if libc is None:
        return -1
    padded = (*arguments, 0, 0, 0, 0, 0)[:5]
    return libc.prctl(*(ctypes.c_ulong(value) for value in padded))


def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
