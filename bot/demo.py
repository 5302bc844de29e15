"""The real bot in a browser, with a Discord played by this machine: no token, no key, no internet.

simcord plays it and serves the page. Where that takes private parts of simcord, they are used here only.
"""

import asyncio
import os
import signal
import sys
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

import discord

from bot.app import build
from bot.delivery.cards import THUMBNAIL
from bot.settings import GivenSettings
from bot.tasks import Tasks

if TYPE_CHECKING:
    from simcord import Env, Preview

NOT_INSTALLED = "The demo needs its extra: python -m pip install 'stillmotion[demo]' (`make demo` does that)."
WELCOME = (
    "**Make a picture move.** Type `/` below, choose **animate**, attach a picture, "
    "and say how to film it, such as *slow zoom in, then pan left*. "
    "`/quota` says what you have left. At the top, *Viewing as* makes you Grace, a moderator, who can cancel "
    "other members' videos, and who decides with `/quota-admin` how many they may make."
)
HOUR = timedelta(hours=1)
BEAT = 0.25
"""Seconds between two looks for something new to show; the page asks twice a second."""
PATIENCE = 30.0
"""Seconds that simcord gives a command: a slow machine takes its time over a large picture."""


def _say(text: str) -> None:
    """At once, also where the output is no terminal."""
    print(text, flush=True)


def main(*, port: int | None = None, open_browser: bool = True) -> int:
    """Run the demo until Ctrl-C or the page's "End preview session"; the exit code."""
    # markdown_it is what simcord's page needs beyond simcord.
    if not all(map(find_spec, ("simcord", "markdown_it"))):
        print(NOT_INSTALLED, file=sys.stderr)
        return 1
    with suppress(KeyboardInterrupt):
        asyncio.run(run(port=port, open_browser=open_browser))
    return 0


async def run(
    *,
    port: int | None = None,
    open_browser: bool = True,
    stop: asyncio.Event | None = None,
    say: Callable[[str], object] = _say,
) -> None:
    """Serve the page until it ends the demo or `stop` is set, by default by Ctrl-C. Nothing is kept."""
    stop = stop or _signal()
    async with AsyncExitStack() as running:
        folder = Path(running.enter_context(TemporaryDirectory(prefix="stillmotion-demo-")))
        preview = await _start(folder, port, running, say)
        say(f"\n  Stillmotion is here: {preview.url}\n")
        say("  Ctrl-C ends it. Nothing leaves this machine, and nothing is kept.\n")
        if open_browser and _has_desktop():
            await asyncio.to_thread(webbrowser.open, preview.url)
        tasks = Tasks()
        running.push_async_callback(tasks.close)
        works = (_Pulse(preview).beat(), preview.wait_closed(), stop.wait())
        await asyncio.wait([tasks.spawn(work, "demo") for work in works], return_when=asyncio.FIRST_COMPLETED)
        say("  The demo is over.")


def _signal() -> asyncio.Event:
    stop = asyncio.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        # Windows has none of this: there, asyncio makes Ctrl-C a cancellation.
        with suppress(AttributeError, NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(getattr(signal, name), stop.set)
    return stop


async def _start(
    folder: Path, port: int | None, running: AsyncExitStack, say: Callable[[str], object]
) -> "Preview":
    """A Discord of our own, with a server, people and the bot in it, and the page that shows it."""
    import simcord  # noqa: PLC0415 - an extra

    # simcord re-encodes videos for the page, and has no patience for larger ones.
    provider: dict[str, Any] = {"local_resolutions": ("288p",)}
    bot = build(GivenSettings(data_dir=folder, card_seconds=0.25, default_allowance=20, **provider))
    env = simcord.Env(bot, settle_timeout=PATIENCE)
    _set_clock(env)
    _look_like_discord(env)
    _offer_everyone()
    await env.start()
    running.push_async_callback(env.shutdown)
    running.push_async_callback(bot.close)
    await cast("discord.ClientUser", bot.user).edit(username="Stillmotion")
    guild = env.create_guild("Stillmotion workshop")
    channel = guild.create_text_channel("videos", topic="Pictures in, videos out.")
    moderates = discord.Permissions(manage_messages=True, manage_guild=True)
    artists = guild.create_role("Artists", position=1)
    moderators = guild.create_role("Moderators", permissions=moderates, position=2)
    ada, grace, alan = (
        guild.add_member(env.create_user(name.partition(",")[0].casefold(), global_name=name), roles=roles)
        for name, roles in (("Ada", [artists]), ("Grace, moderator", [moderators]), ("Alan", []))
    )
    await bot.get_partial_messageable(channel.id).send(WELCOME)
    page = partial(env.preview, channel, viewers=[ada, grace, alan], layout="channel", timezone=_timezone())
    try:
        return await running.enter_async_context(page(port=port or 0))
    except simcord.SetupError as error:
        if not port or not isinstance(error.__cause__, OSError):
            raise
    say(f"  Port {port} is taken, so the demo takes another one.")
    return await running.enter_async_context(page(port=0))


class _Pulse:
    """Keeps the page alive; by itself it moves only when somebody acts on it."""

    def __init__(self, preview: "Preview") -> None:
        self._preview = preview
        self._turn = asyncio.Lock()
        # Private, and the only way in: simcord's server hands what people do on the page to this method.
        self._act = preview._action  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above
        preview._action = self._action  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above

    async def beat(self) -> None:
        from simcord import SetupError  # noqa: PLC0415 - an extra

        env, seen = self._preview.env, -1
        while True:
            _set_clock(env)
            # What <t:...:R> is relative to. Not documented; by itself it follows the clock now and then only.
            self._preview.capture_time = env.now()
            calls = len(env.http_requests)
            if calls != seen and not self._turn.locked():
                with suppress(SetupError, TimeoutError):
                    async with self._turn:
                        await self._preview.refresh()
                    seen = calls
            await asyncio.sleep(BEAT)

    async def _action(self, context_id: str | None, body: Mapping[str, Any]) -> dict[str, Any]:
        """Do what somebody did on the page, although a card may have moved on a moment ago."""
        async with self._turn:
            # Private: simcord refuses what was done on an earlier revision; no public name tells the latest.
            page = self._preview._pages.get(context_id or "")  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above
            return await self._act(context_id, {**body, "published_revision": page and page.revision})


def _set_clock(env: "Env") -> None:
    """Bring simcord's own clock, which starts in the past and stands still, to the present."""
    behind = datetime.now(UTC) - env.now()
    # Not documented; advance_time is, but takes a started bot and waits for what it is doing.
    env.backend.advance_clock(max(0.0, behind.total_seconds()))


def _look_like_discord(env: "Env") -> None:
    """Have the page show members by name in cards, and a card's picture without a flicker at each edit."""
    from simcord.preview import _markdown  # noqa: PLC0415 - private, but there is no setting for it

    for part in ("embed_description", "embed_field_value"):
        policy = _markdown._FIELD_POLICIES[part]  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - no setting
        policy |= {"mentions": True, "subtext": True}

    # Not documented: each upload gets a new address, so that the page loads the same picture again.
    cdn, new = env.backend.cdn, env.backend.cdn.store_attachment
    once = cache(lambda *upload: new(env.backend.snowflake(), *upload))

    def store(number: int, *upload: *tuple[int, str, bytes, str | None]) -> dict[str, Any]:
        return dict(once(*upload)) if THUMBNAIL in upload else new(number, *upload)

    cdn.store_attachment = store  # pyright: ignore[reportAttributeAccessIssue] - called by position only


@cache
def _offer_everyone() -> None:
    """Have the page offer @everyone where a role may be chosen, as Discord does."""
    from simcord import Preview  # noqa: PLC0415 - an extra
    from simcord.builders import GuildHandle, RoleHandle  # noqa: PLC0415 - not documented
    from simcord.preview import _messages, _queries  # noqa: PLC0415 - private, as what follows

    offered, allowed, found = _queries._candidate_source, _messages._role_allowed, Preview._resolve_entity  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - private, as said

    def offer(preview: "Preview", page: Any, component: Any, kind: str) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - simcord's
        yield from offered(preview, page, component, kind)
        if kind in {"roles", "mentionables"}:
            [guild_id] = preview.env.backend.guilds
            yield {"id": str(guild_id), "label": "@everyone", "kind": "role"}

    def allow(preview: "Preview", page: Any, role_id: int) -> bool:  # noqa: ANN401 - the same
        return role_id in preview.env.backend.guilds or allowed(preview, page, role_id)

    def find(self: "Preview", page: Any, value: str, kind: Any = None) -> Any:  # noqa: ANN401 - the same
        guild = self.env.backend.guilds.get(int(value))
        if guild is None:
            return found(self, page, value, kind)
        return RoleHandle(self.env, GuildHandle(self.env, guild), guild.roles[guild.id])

    _queries._candidate_source, _messages._role_allowed = offer, allow  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - private, as said
    Preview._resolve_entity = find  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - private, as said


def _timezone() -> str:
    """This machine's time zone, as far as it can be said in whole hours."""
    offset = datetime.now().astimezone().utcoffset() or timedelta(0)
    return "UTC" if offset % HOUR else f"Etc/GMT{-(offset // HOUR):+d}"


def _has_desktop() -> bool:
    """Whether a browser that opens here would be seen by the person at the terminal."""
    return sys.platform in {"win32", "darwin"} or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())
