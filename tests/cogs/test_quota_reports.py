"""What a chart calls members."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from cogs.quota_admin import _reports as _quota_reports
from cogs.quota_admin._reports import _name


def asked(fetch: Any) -> Any:
    return SimpleNamespace(guild=SimpleNamespace(get_member=lambda _: None, fetch_member=fetch))


async def test_a_member_whose_name_discord_does_not_say_in_time_has_none_in_the_chart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(_: int) -> None:
        await asyncio.Event().wait()

    assert _quota_reports._PATIENCE == 5
    monkeypatch.setattr(_quota_reports, "_PATIENCE", 0.01)
    assert await _name(asked(never), 1234567) == "left (4567)"


async def test_a_name_in_the_chart_is_one_plain_line() -> None:
    async def found(_: int) -> Any:
        return SimpleNamespace(display_name="A\u202el\nice\x1b")

    assert await _name(asked(found), 7) == "Al ice"
