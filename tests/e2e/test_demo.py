"""`make demo`, as the page's server is asked, as a person in a browser sees it, and as a terminal ends it."""

import asyncio
import io
import json
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import simcord
from PIL import Image, ImageDraw
from playwright.async_api import Page as Tab
from playwright.async_api import async_playwright, expect

from bot import demo
from tests.e2e.conftest import Renderer
from tests.helpers import eventually

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def landscape() -> bytes:
    """A sunset behind hills."""
    shade = Image.linear_gradient("L").resize((960, 540))
    image = Image.merge(
        "RGB",
        [
            shade.point(lambda v: 90 + v // 2),
            shade.point(lambda v: 140 + v // 4),
            shade.point(lambda v: 230 - v // 3),
        ],
    )
    draw = ImageDraw.Draw(image)
    draw.ellipse((620, 120, 760, 260), fill="gold")
    hills = [(0, 540), (0, 430), (220, 300), (430, 400), (640, 310), (960, 420), (960, 540)]
    draw.polygon(hills, fill="seagreen")
    draw.polygon([(x, y + 70) for x, y in hills], fill="darkslategray")
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The system's folder for temporary files, on the machine of somebody who runs a bot, too."""
    environment = {
        "DISCORD_TOKEN": "a-real-token",
        "DATABASE_URL": "postgresql://production/stillmotion",
        "DEFAULT_PROVIDER": "eigenai",
        "DEFAULT_ALLOWANCE": "0",
        "EIGENAI_API_KEY": "a-real-key",
        "LOCAL_ON": "false",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".env").write_text("DISCORD_TOKEN=another\nNOT_A_SETTING=1\n")
    monkeypatch.chdir(tmp_path)
    # pytest's own folder is too deep for the bot's socket.
    with tempfile.TemporaryDirectory() as temporary:
        monkeypatch.setattr(tempfile, "tempdir", temporary)
        yield Path(temporary)


def left(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@dataclass
class Demo:
    """A demo that runs, and what it says."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    said: list[str] = field(default_factory=list)
    running: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return next((word for line in self.said for word in line.split() if word.startswith("http")), "")

    @property
    def port(self) -> int:
        return int(self.url.partition("/#")[0].rpartition(":")[2])


@asynccontextmanager
async def started(**options: Any) -> AsyncIterator[Demo]:
    shown = Demo()
    shown.running = asyncio.create_task(
        demo.run(stop=shown.stop, say=shown.said.append, open_browser=False, **options)
    )
    try:
        await eventually(lambda: shown.url or shown.running.done())
        yield shown
    finally:
        shown.stop.set()
        await shown.running


@dataclass
class Client:
    """What the page's script says to the demo's server, without a browser."""

    session: aiohttp.ClientSession
    address: str
    headers: dict[str, str]
    state: dict[str, Any] = field(default_factory=dict)
    done: int = 0

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str) -> AsyncIterator["Client"]:
        address, capability = url.split("/#")
        async with aiohttp.ClientSession() as session:
            client = cls(session, address, {"X-Simcord-Capability": capability})
            async with session.post(f"{address}/api/pages", headers=client.headers, json={}) as response:
                client.state = await response.json()
            client.headers["X-Simcord-Context"] = client.state["context"]["id"]
            yield client

    async def get(self, path: str) -> Any:
        async with self.session.get(f"{self.address}/api/{path}", headers=self.headers) as response:
            return await response.json()

    async def shows(self, words: str) -> bool:
        return words in json.dumps(await self.get("state"), ensure_ascii=False)

    async def decision(self, kind: str, upload: bytes | None = None, **values: Any) -> dict[str, Any]:
        """Act on the page as it was first shown, however old that is."""
        self.done += 1
        body = {
            "protocol_version": 3,
            "sequence": self.done,
            "request_id": f"request {self.done}",
            "generation": self.state["context"]["generation"],
            "bot_generation": self.state["botGeneration"],
            "published_revision": self.state["publishedRevision"],
            "kind": kind,
            **values,
        }
        form = aiohttp.FormData({"payload": json.dumps(body)}, default_to_multipart=True)
        if upload:
            form.add_field("file:image", upload, filename="hills.png")
        sending = {"data": form} if upload else {"json": body}
        async with self.session.post(
            f"{self.address}/api/action", headers=self.headers, **sending
        ) as response:
            return await response.json()

    async def run(self, name: str, upload: bytes | None = None, **options: Any) -> dict[str, Any]:
        entries = (await self.get("commands"))["entries"]
        command = next(entry for entry in entries if entry["invocation"] == name)
        chosen = {
            "command_id": command["commandId"],
            "path": command["path"],
            "schema_fingerprint": command["schemaFingerprint"],
        }
        return await self.decision("run_command", upload, options=options, **chosen)


async def test_the_page_is_only_for_who_has_its_address(folder: Path) -> None:
    async with started() as shown, aiohttp.ClientSession() as session:
        assert left(folder)
        async with session.get(f"http://127.0.0.1:{shown.port}/") as page:
            assert page.status == 200
        async with session.post(f"http://127.0.0.1:{shown.port}/api/pages", json={}) as page:
            assert page.status == 401
        async with session.get(f"http://127.0.0.1:{shown.port}/", headers={"Host": "evil.example"}) as page:
            assert page.status == 403

    assert shown.said[-1].strip() == "The demo is over."
    assert left(folder) == []


async def test_a_picture_becomes_a_video_by_the_local_provider_alone() -> None:
    async with started() as shown, Client.opened(shown.url) as client:
        assert await client.shows("Make a picture move.")
        await client.run("animate", landscape(), image={"upload": 0}, prompt="tilt up")

        await eventually(lambda: client.shows("Video ready"), 40)
        assert await client.shows("This machine, Pan and zoom")
        assert await client.shows("stillmotion.mp4")

        # The page is many revisions behind by now.
        receipt = await client.run("quota")
        assert receipt["settlement"] == "settled"
        assert await client.shows("19 of 20 credits")


async def test_the_dates_are_those_of_today() -> None:
    async with started() as shown, Client.opened(shown.url) as client:
        stamps = [message["timestamp"] for message in client.state["messages"].values()]

        assert stamps
        assert all(stamp.startswith(time.strftime("%Y-%m-%d", time.gmtime())) for stamp in stamps)


async def test_the_page_can_end_the_demo(folder: Path) -> None:
    async with started() as shown, Client.opened(shown.url) as client:
        await client.decision("close")
        async with asyncio.timeout(10):
            await asyncio.wait([shown.running])

    assert left(folder) == []


async def test_a_taken_port_is_no_obstacle() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        async with started(port=taken) as shown:
            assert shown.port != taken
            assert f"Port {taken} is taken" in shown.said[0]


async def test_an_impossible_port_is_an_error_and_leaves_nothing_behind(folder: Path) -> None:
    with pytest.raises(simcord.SetupError, match="port"):
        await demo.run(port=70_000, stop=asyncio.Event())

    assert left(folder) == []


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda _: None)

    assert demo.main() == 1
    assert "stillmotion[demo]" in capsys.readouterr().err


def test_it_opens_a_browser_and_ends_on_ctrl_c(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def browse(url: str) -> None:
        opened.append(url)
        os.kill(os.getpid(), signal.SIGINT)

    opened: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(demo.webbrowser, "open", browse)

    assert demo.main() == 0
    assert opened[0] in capsys.readouterr().out
    assert left(folder) == []


async def test_ctrl_c_in_a_terminal_leaves_no_traceback_and_no_files(folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "demo", "--no-browser"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "TMPDIR": str(folder),
            "PYTHONPATH": str(Path(demo.__file__).parents[1]),
        },
    )
    assert process.stdout is not None
    while b"http://127.0.0.1" not in (line := await process.stdout.readline()):
        assert line
    process.send_signal(signal.SIGINT)
    rest, complaints = await process.communicate()

    assert process.returncode == 0
    assert complaints == b""
    assert b"The demo is over." in rest
    assert left(folder) == []


@pytest.fixture
def set_timezone() -> Iterator[Callable[[str], None]]:
    with pytest.MonkeyPatch.context() as patch:

        def change(name: str) -> None:
            patch.setenv("TZ", name)
            time.tzset()

        yield change
    time.tzset()


@pytest.mark.parametrize(
    ("machine", "page"), [("UTC", "Etc/GMT+0"), ("Asia/Tokyo", "Etc/GMT-9"), ("Asia/Kolkata", "UTC")]
)
def test_the_page_shows_the_time_of_this_machine(
    set_timezone: Callable[[str], None], machine: str, page: str
) -> None:
    set_timezone(machine)

    assert demo._timezone() == page


PROMPT = ".command-option-input[data-option=prompt]"
WATCH = """() => {
    const channel = document.querySelector('#channel-message-list');
    window.seen = '';
    new MutationObserver(() => { window.seen += channel.innerText; }).observe(
        channel, {childList: true, subtree: true, characterData: true});
}"""
"""Keeps all that the channel has ever shown: on a busy machine a state is gone before a test can look."""


@asynccontextmanager
async def browser(url: str) -> AsyncIterator[Tab]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        try:
            tab = await chromium.new_page(viewport={"width": 1200, "height": 860})
            tab.set_default_timeout(40_000)
            await tab.goto(url)
            yield tab
        finally:
            await chromium.close()


async def shoot(tab: Tab, name: str) -> None:
    if shots := os.environ.get("DEMO_SHOTS"):
        await tab.screenshot(path=Path(shots) / f"{name}.png")


async def choose(tab: Tab, command: str) -> None:
    await tab.locator("#channel-composer-input").press_sequentially(f"/{command}")
    await tab.locator(".command-entry", has_text=f"/{command}").click()


async def animate(tab: Tab, prompt: str, seconds: int) -> None:
    await choose(tab, "animate")
    picture = {"name": "hills.png", "mimeType": "image/png", "buffer": landscape()}
    await tab.locator("input.command-file-input").set_input_files(picture)
    await tab.locator(PROMPT).fill(prompt)
    await tab.locator(".command-ghost").click()
    await tab.locator(".command-suggestion", has_text="duration").click()
    await tab.locator(".command-option-input[data-option=duration]").fill(str(seconds))
    await tab.locator(".command-suggestion", has_text=str(seconds)).click()


async def become(tab: Tab, member: str) -> None:
    """Choose whose page it is, and wait until it is."""
    [viewer] = await tab.locator("#viewer-picker").select_option(label=member)
    message = tab.locator("#channel-message-list article").first
    await expect(message).to_have_attribute("data-media-reuse-scope", re.compile(viewer))


async def fill(tab: Tab, option: str, typed: str) -> None:
    """Type into an option, and take the first suggestion."""
    await tab.locator(f".command-option-input[data-option={option}]").fill(typed)
    await tab.locator(".command-suggestion", has_text=typed).first.click()


async def a_moderator_decides_how_much_a_role_and_everyone_get(tab: Tab) -> None:
    channel = tab.locator("#channel-message-list")
    amount = tab.locator(".command-option-input[data-option=amount]")

    await become(tab, "Grace, moderator")
    for target, typed, said in (("everyone", "2", "of everyone to 2"), ("Artists", "+5", "to 7")):
        await choose(tab, "quota-admin set")
        await fill(tab, "target", target)
        await amount.fill(typed)
        await amount.press("Enter")
        await expect(channel).to_contain_text(f"{said} credits a day")
    await shoot(tab, "1-quota-admin")

    for member, left in (("Ada", "7 of 7"), ("Alan", "2 of 2")):
        await become(tab, member)
        await choose(tab, "quota")
        await tab.locator("#send-message").click()
        await expect(channel).to_contain_text(f"{left} credits left today")


async def a_newcomer_makes_a_video(tab: Tab, renderer: Renderer) -> None:
    channel = tab.locator("#channel-message-list")

    await expect(channel).to_contain_text("Make a picture move.")
    await animate(tab, "slow zoom in, then pan left", seconds=3)
    await shoot(tab, "2-command")
    await tab.evaluate(WATCH)
    await tab.locator(PROMPT).press("Enter")
    await tab.wait_for_function("() => window.seen.includes('Making your video')")
    await shoot(tab, "3-card")
    renderer.may_end.set()
    await expect(channel).to_contain_text("Video ready")

    video = channel.locator("video")
    await tab.wait_for_function("() => document.querySelector('video')?.readyState >= 2")
    await video.evaluate("video => { video.muted = true; return video.play(); }")
    await tab.wait_for_function("() => document.querySelector('video').currentTime > 0.2")
    await shoot(tab, "4-video")

    await choose(tab, "quota")
    await tab.locator("#send-message").click()
    await expect(channel).to_contain_text("6 of 7 credits")
    await shoot(tab, "5-quota")


async def it_comes_again(tab: Tab) -> None:
    channel = tab.locator("#channel-message-list")

    await choose(tab, "jobs resend")
    await fill(tab, "video", "slow zoom in")
    await tab.locator("#send-message").click()
    await expect(channel).to_contain_text("Here it is, as it was made.")
    await expect(channel.locator("video")).to_have_count(2)
    await shoot(tab, "6-again")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed")
@pytest.mark.timeout(120)
async def test_in_a_browser_a_moderator_decides_and_a_newcomer_makes_a_video(
    renderer: Renderer,
) -> None:
    renderer.may_end.clear()
    expect.set_options(timeout=40_000)
    async with started() as shown, browser(shown.url) as tab:
        await a_moderator_decides_how_much_a_role_and_everyone_get(tab)
        await become(tab, "Ada")
        await a_newcomer_makes_a_video(tab, renderer)
        await it_comes_again(tab)


async def test_moderators_are_offered_what_members_are_not() -> None:
    async with started() as shown, Client.opened(shown.url) as client:
        offered = {entry["invocation"] for entry in (await client.get("commands"))["entries"]}

        assert "quota" in offered
        assert not {name for name in offered if "admin" in name}
