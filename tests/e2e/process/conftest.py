"""The bot in a process of its own, with Discord and a vendor on loopback."""

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests import openapi
from tests.discord_server.bot_process import BotProcess
from tests.discord_server.server import DiscordServer
from tests.discord_server.world import Asked, Message
from tests.helpers import eventually
from tests.vendors.eigenai import EigenAIServer


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, "PNG")
    return file.getvalue()


@dataclass
class Stage:
    discord: DiscordServer
    vendor: EigenAIServer
    bot: BotProcess
    is_out: bool = False
    """Whether the database is, of which the log tells with all that led there."""

    async def animate(self, **options: Any) -> Asked:
        asked: dict[str, Any] = {"image": picture(), "prompt": "slow zoom in", **options}
        return await self.discord.people.run("animate", **asked)

    async def reaches(self, asked: Asked, state: str) -> dict[str, Any]:
        """The job's row, once it is in this state."""
        return await eventually(
            lambda: row if (row := self.bot.row(asked.id)).get("state") == state else None
        )

    async def card_says(self, words: str, index: int = 0) -> None:
        def said() -> bool:
            cards = self.discord.world.cards()
            return len(cards) > index and words in str(cards[index]["embeds"])

        await eventually(said)

    @property
    def card(self) -> Message:
        (card,) = self.discord.world.cards()
        return card


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with DiscordServer() as discord, EigenAIServer() as vendor:
        vendor.finish_after(1)
        bot = BotProcess(
            discord,
            tmp_path,
            EIGENAI_API_KEY=vendor.KEY,
            EIGENAI_BASE_URL=vendor.url,
            LOCAL_ON="false",
            CARD_SECONDS="0.05",
        )
        stage = Stage(discord, vendor, bot)
        yield stage
        await bot.kill()
        openapi.check(discord.requests)
        wrong = ("Unclosed", "never awaited") if stage.is_out else ("Traceback", "Unclosed", "never awaited")
        assert not [words for words in wrong if words in bot.output]
