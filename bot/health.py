"""Asks the running bot how it is, over a socket in the data folder; for HEALTHCHECK and people alike."""

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

ANSWER_WITHIN = 5.0
_LONGEST_PATH = 100
"""Systems differ in how long a socket's path may be; this is short enough for all."""


class Health:
    """Answers everybody who connects with one line of JSON."""

    def __init__(self, folder: Path, report: Callable[[], dict[str, Any]]) -> None:
        self._path = socket_path(folder)
        self._report = report
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        if len(str(self._path)) > _LONGEST_PATH:
            log.warning("the data folder's path is too long for a health check")
            return
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._answer, self._path)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._path.unlink(missing_ok=True)

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps(self._report()).encode() + b"\n")
        writer.close()
        await writer.wait_closed()


def socket_path(folder: Path) -> Path:
    return folder.absolute() / "health.sock"


async def ask(folder: Path) -> dict[str, Any]:
    """The report of the bot that works in this data folder; raises OSError (TimeoutError) if none answers."""
    async with asyncio.timeout(ANSWER_WITHIN):
        reader, writer = await asyncio.open_unix_connection(socket_path(folder))
        line = await reader.readline()
        writer.close()
        await writer.wait_closed()
    return json.loads(line)
