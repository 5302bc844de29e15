"""Discord on 127.0.0.1: REST API, gateway and file host, a record of every request, faults on demand.

    async with DiscordServer() as discord:
        discord.next("edit", refusal(403, 50013))
        discord.next("create", after_accepting(cut), when=lambda asked: "message_reference" in asked.json)
        asked = await discord.people.run("animate", image=png, prompt="slow zoom in")

A client finds it where `discord.http.Route.BASE` says `discord.api` and, for the gateway,
`discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY` says `discord.gateway.url`.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Self

from aiohttp import web

from tests.clock import passed
from tests.discord_server.gateway import Gateway
from tests.discord_server.limits import Limits
from tests.discord_server.people import People
from tests.discord_server.places import (
    APPLICATION,
    GUILD,
    OWNER,
    THREAD,
    TOKEN,
    Fate,
    Refused,
    direct,
    user,
)
from tests.discord_server.world import World
from tests.vendors.base import Upload
from tests.vendors.faults import Exchange, Fault

API = "/api/v10"
MAX_REQUEST = 256 * 1024 * 1024
"""Bytes; more than Discord takes, whose limit `world.upload_limit` stands for."""
MESSAGES = "/channels/{channel}/messages"
ORIGINAL = "/webhooks/{application}/{token}/messages/@original"


@dataclass(frozen=True)
class Recorded:
    """One request as it arrived; `route` is our short name for it, `path` is without the API's prefix."""

    route: str
    method: str
    path: str
    json: Any
    files: dict[str, Upload]
    at: float
    """Seconds, on the clock that tests have in place of the monotonic one."""
    names: dict[str, str] = field(repr=False)
    """What stood in the path, by the template's names."""
    query: dict[str, str] = field(default_factory=dict[str, str])


def anything(_: Recorded) -> bool:
    return True


def carries_video(asked: Recorded) -> bool:
    return any((file.filename or "").endswith(".mp4") for file in asked.files.values())


def is_reply(asked: Recorded) -> bool:
    return "message_reference" in asked.json


class DiscordServer:
    """Routes: create, edit, delete, look, history; place, direct; callback, original; commands, login ..."""

    def __init__(self) -> None:
        self.world = World()
        self.gateway = Gateway(self.world)
        self.people = People(self.world, self.gateway)
        self.requests: list[Recorded] = []
        self.too_many = 0
        """How often it has answered 429."""
        self._limits = Limits()
        self._faults: list[tuple[str, Callable[[Recorded], bool], Fault]] = []
        self.files_are_up = asyncio.Event()
        """Cleared, nothing that was attached can be read."""
        self.files_are_up.set()
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def api(self) -> str:
        return f"{self.world.url}{API}"

    def next(self, route: str, *faults: Fault, when: Callable[[Recorded], bool] = anything) -> None:
        """What the next requests to a route (of those that `when` is true of) meet, one each."""
        self._faults.extend((route, when, fault) for fault in faults)

    def forgive(self) -> None:
        """Nothing goes wrong any more."""
        self._faults.clear()

    def seen(self, route: str, when: Callable[[Recorded], bool] = anything) -> list[Recorded]:
        return [asked for asked in self.requests if asked.route == route and when(asked)]

    def enforce(self, window: float = 5.0) -> None:
        """Limit what is posted and edited as Discord does; a shorter window makes a shorter test."""
        self._limits.enforce(window)

    async def befalls(self, place: int, fate: Fate) -> None:
        """Something happens to a place, and the bot, which is connected, is told as Discord would tell it."""
        self.world.fates[place] = fate
        kind = "THREAD" if place == THREAD else "CHANNEL"
        event = "DELETE" if fate in {Fate.DELETED, Fate.HIDDEN} else "UPDATE"
        await self.gateway.dispatch(f"{kind}_{event}", self.world.channel(place))

    async def remove_bot(self) -> None:
        """A moderator removes the bot from the server."""
        self.world.bot_is_member = False
        await self.gateway.dispatch("GUILD_DELETE", {"id": str(GUILD)})

    async def invite_bot(self) -> None:
        self.world.bot_is_member = True
        await self.gateway.dispatch("GUILD_CREATE", self.world.guild())

    def _routes(self) -> list[web.RouteDef]:
        message = f"{MESSAGES}/{{message}}"
        world = self.world
        return [
            self._route("login", "GET", "/users/@me", lambda _: user(APPLICATION)),
            self._route("application", "GET", "/oauth2/applications/@me", lambda _: _application()),
            self._route("gateway", "GET", "/gateway/bot", lambda _: self._gateway_bot()),
            self._route(
                "known commands",
                "GET",
                "/applications/{application}/commands",
                lambda _: list(world.commands.values()),
            ),
            self._route(
                "commands",
                "PUT",
                "/applications/{application}/commands",
                lambda asked: world.register(asked.json),
            ),
            self._route(
                "create", "POST", MESSAGES, lambda asked: world.create(_place(asked), asked.json, asked.files)
            ),
            self._route(
                "edit", "PATCH", message, lambda asked: world.edit(*_message(asked), asked.json, asked.files)
            ),
            self._route("delete", "DELETE", message, lambda asked: world.delete(*_message(asked))),
            self._route("look", "GET", message, lambda asked: world.look(*_message(asked))),
            self._route("history", "GET", MESSAGES, lambda asked: world.history(_place(asked), asked.query)),
            self._route("place", "GET", "/channels/{channel}", lambda asked: world.place(_place(asked))),
            self._route(
                "direct",
                "POST",
                "/users/@me/channels",
                lambda asked: world.channel(direct(int(asked.json["recipient_id"]))),
            ),
            self._route(
                "callback", "POST", "/interactions/{interaction}/{token}/callback", self._answered, key=False
            ),
            self._route(
                "original",
                "PATCH",
                ORIGINAL,
                lambda asked: world.rewrite(asked.names["token"], asked.json, asked.files),
                key=False,
            ),
            self._route(
                "followup",
                "POST",
                "/webhooks/{application}/{token}",
                lambda asked: world.follow(asked.names["token"], asked.json, asked.files),
                key=False,
            ),
            web.get("/files/{id}/{name}", self._file),
            web.get("/gateway/", self.gateway.connect),
        ]

    def _route(
        self, name: str, method: str, path: str, answer: Callable[[Recorded], Any], *, key: bool = True
    ) -> web.RouteDef:
        async def handle(request: web.Request) -> web.StreamResponse:
            asked = await _recorded(name, request)
            self.requests.append(asked)

            async def accept() -> web.StreamResponse:
                return self._accepted(request, asked, answer, key=key)

            for planned in self._faults:
                route, when, fault = planned
                if route == name and when(asked):
                    self._faults.remove(planned)
                    return await fault(Exchange(request, accept, self._closing))
            return await accept()

        return web.route(method, API + path, handle)

    def _accepted(
        self, request: web.Request, asked: Recorded, answer: Callable[[Recorded], Any], *, key: bool
    ) -> web.Response:
        limits, no_more = self._limits.take(
            asked.route,
            asked.names.get("channel") or asked.names.get("token", ""),
            old=asked.route == "edit" and self.world.is_old(_message(asked)[1]),
        )
        if key and request.headers.get("Authorization") != f"Bot {TOKEN}":
            return _json({"code": 0, "message": "401: Unauthorized"}, 401, limits)
        if no_more is not None:
            return _json(no_more, 429, limits)
        try:
            result = answer(asked)
        except Refused as no:
            if no.page:
                return web.Response(text=f"<html>{no}</html>", status=no.status, content_type="text/html")
            return _json({"code": no.code, "message": str(no)}, no.status, limits)
        return _json(result, 200, limits) if result is not None else web.Response(status=204, headers=limits)

    def _gateway_bot(self) -> Any:
        starts = {"total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": 1}
        return {"url": self.gateway.url, "shards": 1, "session_start_limit": starts}

    def _answered(self, asked: Recorded) -> Any:
        done = self.world.answer(asked.names["token"], asked.json)
        facts: dict[str, Any] = {"id": str(done.id), "type": 2}
        if done.reply is not None:
            facts["response_message_id"] = done.reply["id"]
        return {"interaction": facts}

    async def _file(self, request: web.Request) -> web.Response:
        await self.files_are_up.wait()
        upload = self.world.files.get(request.match_info["id"])
        if upload is None:
            raise web.HTTPNotFound
        return web.Response(body=upload.data, content_type=upload.media_type or "application/octet-stream")

    async def _sign(self, _: web.Request, response: web.StreamResponse) -> None:
        """Without this header discord.py takes a 429 for a ban by whoever stands before Discord."""
        response.headers["Via"] = "1.1 loopback"
        self.too_many += response.status == HTTPStatus.TOO_MANY_REQUESTS

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=MAX_REQUEST)
        app.on_response_prepare.append(self._sign)
        app.add_routes(self._routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        address = f"127.0.0.1:{self._runner.addresses[0][1]}"
        self.world.url, self.gateway.url = f"http://{address}", f"ws://{address}/gateway/"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        self.files_are_up.set()
        await self.gateway.close()
        if self._runner is not None:
            await self._runner.cleanup()


async def _recorded(route: str, request: web.Request) -> Recorded:
    content: Any = None
    files: dict[str, Upload] = {}
    if request.content_type == "multipart/form-data":
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                files[name] = Upload(value.filename, value.content_type, value.file.read())
                value.file.close()
            elif name == "payload_json":
                content = json.loads(str(value))
    elif request.can_read_body:
        content = await request.json()
    return Recorded(
        route,
        request.method,
        request.path.removeprefix(API),
        content,
        files,
        passed(),
        dict(request.match_info),
        dict(request.query),
    )


def _place(asked: Recorded) -> int:
    return int(asked.names["channel"])


def _message(asked: Recorded) -> tuple[int, int]:
    """Where it stands, and which one it is."""
    return _place(asked), int(asked.names["message"])


def _json(body: Any, status: int, headers: dict[str, str]) -> web.Response:
    """Exactly `application/json`: with a charset behind it discord.py does not read the body."""
    data = json.dumps(body).encode()
    return web.Response(body=data, status=status, headers=headers, content_type="application/json")


def _application() -> Any:
    return {
        "id": str(APPLICATION),
        "name": "stillmotion",
        "description": "",
        "icon": None,
        "bot_public": True,
        "bot_require_code_grant": False,
        "owner": user(OWNER),
        "verify_key": "",
        "flags": 0,
    }
