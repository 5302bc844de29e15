"""The websocket: HELLO, IDENTIFY, READY, heartbeats, RESUME with what was missed. Frames are plain JSON text.

discord.py asks for a compressed stream, but reads text frames as they are.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.discord_server.world import APPLICATION, GUILD, TOKEN, World, user

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, INVALID_SESSION, HELLO, ACK = 0, 1, 2, 6, 9, 10, 11
WRONG_TOKEN = 4004


@dataclass
class Session:
    id: str
    socket: web.WebSocketResponse
    events: list[Mapping[str, Any]] = field(default_factory=list)

    async def dispatch(self, event: str, data: Mapping[str, Any]) -> None:
        frame = {"op": DISPATCH, "t": event, "s": len(self.events) + 1, "d": data}
        self.events.append(frame)
        if not self.socket.closed:
            await self.socket.send_json(frame)


class Gateway:
    def __init__(self, world: World) -> None:
        self._world = world
        self.url = ""
        self.sessions: list[Session] = []
        """One for each IDENTIFY; the last is the bot's present one."""
        self.resumed = 0
        self.is_up = asyncio.Event()
        """Cleared, it takes connections and says nothing."""
        self.is_up.set()
        self.withholds_guilds = False
        """Whether it says nothing of servers after READY, as while a part of Discord is out."""

    async def dispatch(self, event: str, data: Mapping[str, Any]) -> None:
        """Tell the bot. What happens while it is away reaches it when it resumes."""
        await self.sessions[-1].dispatch(event, data)

    async def drop(self) -> None:
        """Close the connection as a restarting gateway does; the session can be resumed."""
        await self.sessions[-1].socket.close(code=4000)

    async def close(self) -> None:
        self.is_up.set()
        for session in self.sessions:
            await session.socket.close()

    async def connect(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(timeout=1)
        await socket.prepare(request)
        await self.is_up.wait()
        await socket.send_json({"op": HELLO, "d": {"heartbeat_interval": 41_250}})
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                frame = json.loads(message.data)
                await self._take(socket, frame["op"], frame["d"])
        return socket

    async def _take(self, socket: web.WebSocketResponse, op: int, data: Any) -> None:
        if op == HEARTBEAT:
            await socket.send_json({"op": ACK})
        elif op in {IDENTIFY, RESUME} and data["token"] != TOKEN:
            await socket.close(code=WRONG_TOKEN)
        elif op == IDENTIFY:
            await self._identify(socket)
        elif op == RESUME:
            await self._resume(socket, data)

    async def _identify(self, socket: web.WebSocketResponse) -> None:
        session = Session(f"session-{len(self.sessions) + 1}", socket)
        ready = {
            "v": 10,
            "user": user(APPLICATION),
            "guilds": [{"id": str(GUILD), "unavailable": True}] if self._world.bot_is_member else [],
            "session_id": session.id,
            "resume_gateway_url": self.url,
            "application": {"id": str(APPLICATION), "flags": 0},
        }
        await session.dispatch("READY", ready)
        if self._world.bot_is_member and not self.withholds_guilds:
            await session.dispatch("GUILD_CREATE", self._world.guild())
        self.sessions.append(session)

    async def _resume(self, socket: web.WebSocketResponse, data: Mapping[str, Any]) -> None:
        session = next((known for known in self.sessions if known.id == data["session_id"]), None)
        if session is None:
            await socket.send_json({"op": INVALID_SESSION, "d": False})
            return
        session.socket = socket
        for frame in session.events[data["seq"] :]:
            await socket.send_json(frame)
        await session.dispatch("RESUMED", {})
        self.resumed += 1
