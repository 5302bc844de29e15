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
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from tests.discord_server.gateway import Gateway
from tests.discord_server.people import People
from tests.discord_server.world import APPLICATION, OWNER, TOKEN, Refused, World, user
from tests.vendors.base import MAX_REQUEST, Upload
from tests.vendors.faults import Exchange, Fault

API = "/api/v10"
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
    """Seconds on the monotonic clock."""
    names: dict[str, str] = field(repr=False)
    """What stood in the path, by the template's names."""


def anything(_: Recorded) -> bool:
    return True


def carries_video(asked: Recorded) -> bool:
    return any((file.filename or "").endswith(".mp4") for file in asked.files.values())


def is_reply(asked: Recorded) -> bool:
    return "message_reference" in asked.json


class DiscordServer:
    """Routes: create, edit, delete (messages), callback, original, commands, login, application, gateway."""

    def __init__(self) -> None:
        self.world = World()
        self.gateway = Gateway()
        self.people = People(self.world, self.gateway)
        self.requests: list[Recorded] = []
        self.limit, self.window = 1000, 1.0
        """How many requests one route of one channel takes in so many seconds."""
        self._used: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)
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

    def seen(self, route: str, when: Callable[[Recorded], bool] = anything) -> list[Recorded]:
        return [asked for asked in self.requests if asked.route == route and when(asked)]

    def _routes(self) -> list[web.RouteDef]:
        message = f"{MESSAGES}/{{message}}"
        world = self.world
        return [
            self._route("login", "GET", "/users/@me", lambda _: user(APPLICATION)),
            self._route("application", "GET", "/oauth2/applications/@me", lambda _: _application()),
            self._route("gateway", "GET", "/gateway/bot", lambda _: self._gateway_bot()),
            self._route(
                "commands",
                "PUT",
                "/applications/{application}/commands",
                lambda asked: world.register(asked.json),
            ),
            self._route(
                "create", "POST", MESSAGES, lambda asked: world.create(*_ids(asked), asked.json, asked.files)
            ),
            self._route(
                "edit", "PATCH", message, lambda asked: world.edit(*_ids(asked), asked.json, asked.files)
            ),
            self._route("delete", "DELETE", message, lambda asked: world.delete(*_ids(asked))),
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
        limits, wait = self._count(asked)
        if key and request.headers.get("Authorization") != f"Bot {TOKEN}":
            return _json({"code": 0, "message": "401: Unauthorized"}, 401, limits)
        if wait > 0:
            body = {"message": "You are being rate limited.", "retry_after": wait, "global": False}
            return _json(body, 429, limits | {"Retry-After": str(wait), "X-RateLimit-Scope": "user"})
        try:
            result = answer(asked)
        except Refused as no:
            return _json({"code": no.code, "message": str(no)}, no.status, limits)
        return _json(result, 200, limits) if result is not None else web.Response(status=204, headers=limits)

    def _count(self, asked: Recorded) -> tuple[dict[str, str], float]:
        """The headers on what is left of this route's permits, and how long to wait where none was."""
        bucket = (asked.route, asked.names.get("channel") or asked.names.get("token", ""))
        used, now = self._used[bucket], time.monotonic()
        while used and used[0] <= now - self.window:
            used.popleft()
        wait = used[0] + self.window - now if len(used) >= self.limit else 0.0
        if not wait:
            used.append(now)
        reset = used[0] + self.window - now
        limits = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.limit - len(used)),
            "X-RateLimit-Reset": f"{time.time() + reset:.3f}",
            "X-RateLimit-Reset-After": f"{reset:.3f}",
            "X-RateLimit-Bucket": f"bucket-{asked.route}",
        }
        return limits, wait

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

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=MAX_REQUEST)
        app.on_response_prepare.append(_sign)
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


async def _sign(_: web.Request, response: web.StreamResponse) -> None:
    """Without this header discord.py takes a 429 for a ban by whoever stands before Discord."""
    response.headers["Via"] = "1.1 loopback"


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
        time.monotonic(),
        dict(request.match_info),
    )


def _ids(asked: Recorded) -> list[int]:
    return [int(asked.names[name]) for name in ("channel", "message") if name in asked.names]


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
