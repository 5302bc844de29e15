"""Landlock: which files a process may still open. Files it has opened already stay open."""

import ctypes
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""The numbers of its calls, the same on every architecture."""
_ASK_VERSION = 1
_PATH_BENEATH = 1

_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_FILE, _MAKE_REG = (1 << bit for bit in (1, 2, 3, 5, 8))
_TRUNCATE = 1 << 14
_KNOWN_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""By version: how many rights on files there are. What is not allowed below is forbidden."""
_ALL_FILE_RIGHTS = 16
_NET_SINCE, _SCOPES_SINCE = 4, 6
_BIND_AND_CONNECT = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11
_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _REMOVE_FILE | _MAKE_REG | _TRUNCATE
_RIGHTS_ON_FILES = _READ_FILE | _WRITE_FILE | _TRUNCATE
"""A rule for a single file takes no others."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def allow_only(libc: ctypes.CDLL, reads: Iterable[Path], writes: Iterable[Path]) -> bool:
    """Open nothing else from now on, in this thread and in those it starts. False where that cannot be had.

    `no_new_privs` must be set. Other processes cannot be traced or signalled any more either.
    """
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), _ASK_VERSION)
    if version < 1:
        return False
    handled = (1 << _KNOWN_FILE_RIGHTS.get(version, _ALL_FILE_RIGHTS)) - 1
    rules = _Ruleset(
        handled,
        _BIND_AND_CONNECT if version >= _NET_SINCE else 0,
        _ABSTRACT_SOCKETS_AND_SIGNALS if version >= _SCOPES_SINCE else 0,
    )
    # Older kernels know the first fields only.
    size = 8 if version < _NET_SINCE else 16 if version < _SCOPES_SINCE else 24
    ruleset = libc.syscall(_CREATE, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    try:
        for paths, rights in ((reads, _READ), (writes, _WRITE)):
            for path in paths:
                _allow(libc, ruleset, path, rights & handled)
        return libc.syscall(_RESTRICT, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    with suppress(OSError):  # what is not there needs no rule
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = _Beneath(rights if path.is_dir() else rights & _RIGHTS_ON_FILES, folder)
            libc.syscall(_ADD, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(folder)
