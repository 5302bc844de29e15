"""How connections to PostgreSQL are made, and ended when nothing comes any more."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psycopg

CONNECT_TIMEOUT = 10
"""Seconds; also for the attempts to replace a connection that was lost."""
OPTIONS: Mapping[str, Any] = {
    "autocommit": True,
    "connect_timeout": CONNECT_TIMEOUT,
    # A prepared `SELECT *` fails once its table has got a column.
    "prepare_threshold": None,
    # Who has lost the other side without a word finds out; what hangs behind a proxy is cut by us.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""How we connect."""


def cut(connection: psycopg.AsyncConnection[Any]) -> None:
    """Let whoever waits for the server fail now: psycopg itself waits for it to agree to an end."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
