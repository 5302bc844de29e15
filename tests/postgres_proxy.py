"""A proxy before PostgreSQL that fails where a test says so: refused, cut, or silent.

    async with PostgresProxy(postgres_url) as proxy:
        database = connect(proxy.url)
        proxy.cut_after("COMMIT")    # the server does it; the answer never arrives

It reads what the client says, so a fault hits one statement and not a moment.
"""

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

_ASKS = (b"Q", b"P")
"""Messages of the client that hold SQL: a query, and one to be parsed."""


class PostgresProxy:
    """Listens on 127.0.0.1 and forwards to the server of an address, over TCP or a unix socket."""

    def __init__(self, url: str) -> None:
        self._server_url = urlsplit(url)
        self._listener: asyncio.Server | None = None
        self._lines: set[_Line] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._refuses = False
        self._rules: list[tuple[str, Callable[[_Line, bytes], None]]] = []
        self.connected = 0
        """How many connections have come so far."""
        self.statements: list[str] = []
        """What clients have asked, in order."""

    @property
    def url(self) -> str:
        """The address that leads through this proxy."""
        assert self._listener is not None
        port = self._listener.sockets[0].getsockname()[1]
        user = self._server_url.username or "postgres"
        path = self._server_url.path
        return f"postgresql://{user}@127.0.0.1:{port}{path}?sslmode=disable&gssencmode=disable"

    def refuse(self) -> None:
        """The server is away: every connection is cut, new ones too, until `recover`."""
        self._refuses = True
        self.cut()

    def hang(self) -> None:
        """Nothing gets through in either direction until `recover`; new connections are taken, no more."""
        self._flows.clear()

    def recover(self) -> None:
        """All is well again, and no fault waits for its statement any more."""
        self._refuses = False
        self._rules.clear()
        self._flows.set()

    def cut(self) -> None:
        """Cut every connection now."""
        for line in list(self._lines):
            line.cut()

    def cut_after(self, statement: str) -> None:
        """The next such statement is carried out by the server; its answer is lost with the connection."""
        self._rules.append((statement, _Line.lose_the_answer))

    def cut_before(self, statement: str) -> None:
        """The next such statement never reaches the server; the connection is lost."""
        self._rules.append((statement, _Line.lose_the_question))

    def hang_after(self, statement: str) -> None:
        """The next such statement is carried out; its connection says nothing any more, and stays open."""
        self._rules.append((statement, _Line.keep_the_answer))

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        self.recover()
        self.cut()
        await asyncio.gather(*(line.over.wait() for line in list(self._lines)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected += 1
        if self._refuses:
            writer.transport.abort()
            return
        line = _Line(self, reader, writer)
        self._lines.add(line)
        try:
            await line.run()
        finally:
            self._lines.discard(line)
            line.over.set()

    async def to_server(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        url = self._server_url
        host = url.hostname or parse_qs(url.query)["host"][0]
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{url.port or 5432}")
        return await asyncio.open_connection(host, url.port or 5432)

    async def flows(self) -> None:
        await self._flows.wait()

    def heard(self, line: "_Line", message: bytes) -> bool:
        """Whether a fault has taken this message."""
        text = message[5:].decode(errors="replace")
        self.statements.append(text.strip("\0"))
        for rule in self._rules:
            statement, fault = rule
            if statement.upper() in text.upper():
                self._rules.remove(rule)
                fault(line, message)
                return True
        return False


class _Line:
    """One connection of a client, and its own to the server."""

    def __init__(
        self, proxy: PostgresProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._reader, self._writer = reader, writer
        self._up: asyncio.StreamWriter | None = None
        self._answers = _forward
        self.over = asyncio.Event()

    async def run(self) -> None:
        try:
            answers, self._up = await self._proxy.to_server()
            await asyncio.gather(self._talk(), self._listen(answers))
        except (OSError, EOFError):
            pass  # one of the two has gone
        finally:
            self.cut()

    def cut(self) -> None:
        self._writer.transport.abort()
        if self._up is not None:
            self._up.transport.abort()

    def lose_the_question(self, _: bytes) -> None:
        self.cut()

    def lose_the_answer(self, message: bytes) -> None:
        self._answers = _cut
        self._send(message)

    def keep_the_answer(self, message: bytes) -> None:
        self._answers = _swallow
        self._send(message)

    def _send(self, data: bytes) -> None:
        assert self._up is not None
        self._up.write(data)

    async def _talk(self) -> None:
        """From the client: first a message without a type, then each with one; a length includes itself."""
        length = await self._reader.readexactly(4)
        self._send(length + await self._reader.readexactly(int.from_bytes(length) - 4))
        while True:
            head = await self._reader.readexactly(5)
            message = head + await self._reader.readexactly(int.from_bytes(head[1:]) - 4)
            await self._proxy.flows()
            if not (head[:1] in _ASKS and self._proxy.heard(self, message)):
                self._send(message)

    async def _listen(self, answers: asyncio.StreamReader) -> None:
        """To the client; the end of either ends both."""
        while data := await answers.read(1 << 16):
            await self._proxy.flows()
            self._answers(self, self._writer, data)
        raise EOFError


def _forward(_: _Line, client: asyncio.StreamWriter, data: bytes) -> None:
    client.write(data)


def _cut(line: _Line, _client: asyncio.StreamWriter, _data: bytes) -> None:
    line.cut()


def _swallow(_line: _Line, _client: asyncio.StreamWriter, _data: bytes) -> None:
    """The server has answered, and nobody learns what."""
