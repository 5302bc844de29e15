"""Takes the pictures of README.md and docs/moderators.md from the demo, in chromium: `make pictures`."""
# ruff: noqa: INP001 - a program, not a package

import asyncio
import io
import os
import random
import shutil
import sqlite3
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image, ImageDraw
from playwright.async_api import FilePayload, FloatRect, Locator, Page, async_playwright, expect
from simcord.builders import ChannelHandle, GuildHandle, RoleHandle

from bot import demo
from bot.tasks import Tasks

HERE = Path(__file__).parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
ZONE = "Europe/Berlin"
LARGEST = 120_000
COLOURS = 128
MARGIN = 4
PROMPTS = (
    "slow zoom in, petals drifting",
    "pan left over the harbour",
    "the lantern sways",
    "clouds pass by",
)
OTHERS = ("Emmy", "Niels", "Rosa", "Mary")
PRICES = {"Venice": 350_000, "EcoHash": 120_000, "This machine": None}
JOB = """
INSERT INTO job (id, guild_id, channel_id, user_id, provider, model, request, state, failure, price, charged,
    quoted_micros, cost_micros, created_at, booked_at, state_at, not_before, card_closed)
VALUES (:id, :guild_id, :channel_id, :user_id, :provider, 'a-model', :request, :state, :failure, 1, :charged,
    :micros, COALESCE(:micros, 0) * :charged, :at, :at, :at, :at, 1)
"""


class Workshop:
    """The demo's server, with a past and with decisions."""

    def __init__(self, preview: Any) -> None:  # noqa: ANN401 - simcord's, whose people need no types here
        env = preview.env
        [state] = env.backend.guilds.values()
        self.env, self.guild = env, GuildHandle(env, state)
        self.roles = {role.name: RoleHandle(env, self.guild, role) for role in state.roles.values()}
        [channel] = (channel for channel in env.backend.channels.values() if channel.name == "videos")
        self.channel = ChannelHandle(env, self.guild, channel)
        others = (env.create_user(name.casefold(), global_name=name) for name in OTHERS)
        members = (*preview.viewers, *map(self.guild.add_member, others))
        self.people = dict(zip(("ada", "grace", "alan", *map(str.casefold, OTHERS)), members, strict=True))

    def live(self, database: Path) -> None:
        """Four weeks in which people have made videos, the last day of it Ada's in particular."""
        chance = random.Random(8)  # noqa: S311 - the same weeks each time
        now = datetime.now(UTC)
        jobs: list[dict[str, Any]] = []
        for days in range(29, 0, -1):
            for weight, name in enumerate(("niels", "grace", "rosa", "mary", "alan", "emmy", "ada"), start=1):
                for _ in range(chance.randrange(weight) // 2):
                    provider = chance.choices(list(PRICES), (2, 2, 3))[0]
                    at = now - timedelta(days=days, minutes=chance.randrange(300))
                    jobs.append(self._job(name, at, provider, chance.choice(PROMPTS)))
        for minutes, prompt, failure in (
            (50, "slow zoom in, petals drifting", None),
            (41, "the fox turns its head", "provider-failed"),
            (30, "the fox turns its head, slowly", None),
            (12, "pan left over the harbour", None),
        ):
            jobs.append(self._job("ada", now - timedelta(minutes=minutes), "Venice", prompt, failure))
        with sqlite3.connect(database) as connection:
            connection.executemany(JOB, [{"id": 1000 + number, **job} for number, job in enumerate(jobs)])
        connection.close()

    def _job(
        self, name: str, at: datetime, provider: str, prompt: str, failure: str | None = None
    ) -> dict[str, Any]:
        return {
            "guild_id": self.guild.id,
            "channel_id": self.channel.id,
            "user_id": self.people[name].id,
            "provider": provider,
            "request": f'{{"model": "a-model", "prompt": "{prompt}"}}',
            "state": "failed" if failure else "delivered",
            "failure": failure,
            "charged": 0 if failure else 1,
            "micros": PRICES[provider],
            "at": at.isoformat(timespec="microseconds"),
        }

    async def decide(self) -> None:
        """What a moderator has decided so far."""
        people, log = self.people, self.guild.create_text_channel("video-log")
        for command, options in (
            ("settings timezone", {"zone": ZONE}),
            ("settings log", {"channel": log}),
            ("quota-admin set", {"target": self.roles["@everyone"], "amount": "2"}),
            (
                "quota-admin set",
                {"target": self.roles["Artists"], "amount": "5", "reason": "they make our posters"},
            ),
            (
                "quota-admin set",
                {"target": people["emmy"], "amount": "unlimited", "reason": "runs the contest"},
            ),
            (
                "quota-admin price",
                {"provider": "local", "credits": "0", "per": "video", "reason": "it costs us nothing"},
            ),
            ("quota-admin budget", {"amount": "40"}),
            ("settings caps", {"member": "1", "server": "10"}),
            ("quota-admin block", {"member": people["niels"], "until": "3d", "reason": "spam"}),
            (
                "quota-admin grant",
                {"member": people["ada"], "amount": 3, "expires": "2 weeks", "reason": "first prize"},
            ),
        ):
            await people["grace"].slash(self.channel, command, **options)


class Camera:
    """A browser on the demo's page."""

    def __init__(self, tab: Page) -> None:
        self.tab = tab

    async def become(self, member: str) -> None:
        [viewer] = await self.tab.locator("#viewer-picker").select_option(label=member)
        await self.tab.locator(f'article[data-media-reuse-scope*="{viewer}"]').first.wait_for()

    async def write(self, command: str, **options: str) -> None:
        """Write a command without sending it; where something is suggested, the first of it is taken."""
        await self.tab.locator("#channel-composer-input").press_sequentially(f"/{command}")
        await self.tab.locator(".command-entry").first.click()
        for name, typed in options.items():
            field = self.tab.locator(f".command-option-input[data-option={name}]")
            if not await field.count():
                await self.tab.locator(".command-ghost").click()
                await self.tab.locator(".command-suggestion", has_text=name).first.click()
            await field.fill(typed)
            if name in {"target", "member", "window"}:
                await self.tab.locator(".command-suggestion", has_text=typed).first.click()

    async def answer(self, command: str, title: str, **options: str) -> Locator:
        """The bot's latest message, once it has that title."""
        await self.write(command, **options)
        await self.tab.locator("#send-message").click()
        message = self.tab.locator("article.channel-message", has_text=title).last
        await message.wait_for()
        for image in await message.locator(".embed-image img").all():
            await image.evaluate("image => image.decode()")
        return message

    async def take(self, name: str, *parts: Locator) -> None:
        """A picture of the page's part that holds all of these."""
        await parts[0].evaluate("part => part.scrollIntoView({block: 'center'})")
        await self.tab.mouse.move(0, 0)
        boxes = [box for part in parts if (box := await part.bounding_box()) is not None]
        left, top = min(box["x"] for box in boxes) - MARGIN, min(box["y"] for box in boxes) - MARGIN
        right = max(box["x"] + box["width"] for box in boxes) + MARGIN
        bottom = max(box["y"] + box["height"] for box in boxes) + MARGIN
        clip = FloatRect(x=left, y=top, width=right - left, height=bottom - top)
        image = Image.open(io.BytesIO(await self.tab.screenshot(clip=clip)))
        few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        path = HERE / f"{name}.png"
        await asyncio.to_thread(few.save, path, optimize=True)
        size = path.stat().st_size
        print(f"{path.name}: {image.width} x {image.height}, {size // 1000} kB")  # noqa: T201 - for the terminal
        if size > LARGEST:
            raise SystemExit(f"{path.name} is too large")


async def shoot(camera: Camera) -> None:
    embed = ".embed-card"
    await camera.become("Ada")
    message = await camera.answer("quota", "left today")
    await camera.take("quota", message.locator(embed))
    await camera.become("Grace, moderator")
    reason = "they make our posters"
    await camera.write("quota-admin set", target="Artists", amount="5", window="day", reason=reason)
    # By itself the page makes room for less than what is typed.
    await camera.tab.add_style_tag(content=".command-option-input { min-width: 3em }")
    await camera.tab.locator(".command-option-input[data-option=amount]").focus()
    await camera.take("set", camera.tab.locator("#channel-composer"))
    await camera.tab.locator(".command-context-close").click()
    await camera.tab.locator("#channel-composer-input").fill("")
    for name, title, options in (
        ("show", "Quotas in this server", {}),
        ("why", "Why", {"member": "Ada"}),
        ("history", "History", {}),
        ("usage", "last 30 days", {}),
    ):
        message = await camera.answer(f"quota-admin {name}", title, **options)
        buttons = await message.locator("button", has_text="Older").all()
        await camera.take(name, message.locator(embed), *buttons)


def landscape() -> bytes:
    """A sunset behind hills."""
    shade, file = Image.linear_gradient("L").resize((960, 540)), io.BytesIO()
    bands = [
        shade.point(lambda v, a=a, b=b: int(a + b * v)) for a, b in ((90, 0.5), (140, 0.25), (230, -0.33))
    ]
    image = Image.merge("RGB", bands)
    draw = ImageDraw.Draw(image)
    draw.ellipse((620, 120, 760, 260), fill="gold")
    hills = [(0, 540), (0, 430), (220, 300), (430, 400), (640, 310), (960, 420), (960, 540)]
    draw.polygon(hills, fill="seagreen")
    image.save(file, "PNG")
    return file.getvalue()


async def shoot_a_video(camera: Camera) -> None:
    tab, prompt = camera.tab, "slow zoom in, then pan left"
    await camera.become("Ada")
    await camera.write("animate", prompt=prompt)
    picture = FilePayload(name="hills.png", mimeType="image/png", buffer=landscape())
    await tab.locator("input.command-file-input").set_input_files(picture)
    await camera.take("animate", tab.locator("#channel-composer"))
    await tab.locator("#send-message").click()
    messages = tab.locator("article.channel-message")
    await expect(messages.last.locator("video")).to_be_visible(timeout=60_000)
    await tab.wait_for_function("() => [...document.querySelectorAll('video')].at(-1)?.readyState >= 2")
    author = messages.last.get_by_text("Stillmotion", exact=True).last
    await camera.take("video", messages.last.locator("video").locator("xpath=../.."), author)


async def main() -> None:
    if CHROMIUM is None:
        raise SystemExit("The pictures need a browser: apt-get install chromium")
    os.environ["TZ"] = ZONE
    time.tzset()
    async with AsyncExitStack() as running:
        folder = Path(running.enter_context(TemporaryDirectory(prefix="stillmotion-pictures-")))
        preview = await demo._start(folder, None, running, print)  # noqa: SLF001 - the same demo, with a past
        workshop = Workshop(preview)
        workshop.live(folder / "stillmotion.db")
        await workshop.decide()
        tasks = Tasks()
        running.push_async_callback(tasks.close)
        tasks.spawn(demo._Pulse(preview).beat(), "demo")  # noqa: SLF001 - the same
        playwright = await running.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        running.push_async_callback(browser.close)
        tab = await browser.new_page(
            viewport={"width": 1100, "height": 1500}, device_scale_factor=1.5, bypass_csp=True
        )
        await tab.goto(preview.url)
        await expect(tab.locator("#channel-message-list")).to_contain_text("Make a picture move.")
        await shoot(Camera(tab))
        await shoot_a_video(Camera(tab))


if __name__ == "__main__":
    asyncio.run(main())
