"""The README keeps up with the providers, the commands and their options."""

import re
from pathlib import Path

import pytest
from discord.ext.commands import Cog, GroupCog

from bot.login import EVERYWHERE, TO_SEND, TO_SEND_IN_THREADS
from cogs._options import OPTIONS
from cogs.animate import Animate
from cogs.jobs import Jobs
from cogs.providers import Providers
from cogs.quota import Quota
from providers import discover
from tests.helpers import PROVIDER_SETTINGS

README = Path(__file__).resolve().parents[1] / "README.md"
TEXT = README.read_text("utf-8")


@pytest.mark.parametrize("name", discover())
def test_every_provider_has_a_row_that_ends_with_what_enables_it(name: str) -> None:
    [row] = [line for line in TEXT.splitlines() if line.startswith(f"| {discover()[name].label} ")]
    [variable] = re.findall(r"`([A-Z_]+)", row.split("|")[-2])
    assert variable.startswith(f"{name.upper()}_")
    assert variable.lower() in PROVIDER_SETTINGS


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_named(option: str) -> None:
    assert f"`{option}`" in TEXT


@pytest.mark.parametrize("cog", [Animate, Jobs, Providers, Quota])
def test_every_command_has_a_row(cog: type[Cog]) -> None:
    group = f"{cog.__cog_group_name__} " if issubclass(cog, GroupCog) else ""
    names = [f"{group}{command.name}" for command in cog.__cog_app_commands__]
    assert [name for name in names if f"\n| `/{name}" in TEXT] == names != []


def test_a_newcomer_is_told_to_clone_first() -> None:
    clone, *others = (TEXT.index(f"\n{line}") for line in ("git clone ", "make demo", "   make run"))
    assert clone < min(others)


def test_every_permission_that_the_bot_asks_for_is_named_and_no_other() -> None:
    [named] = re.findall(r"asks for (.+?), and no more", TEXT.replace("\n   ", " "))
    asked = (
        name.replace("_", " ").title().replace(" In ", " in ")
        for name in (*EVERYWHERE, TO_SEND, TO_SEND_IN_THREADS)
    )
    assert sorted(re.split(", | and ", named)) == sorted(
        name.replace("View Channel", "View Channels") for name in asked
    )


@pytest.mark.parametrize("path", re.findall(r"(?:\]\(|src=\")((?!http|#)[^)\"]+)", TEXT))
def test_what_it_shows_and_links_to_is_there(path: str) -> None:
    assert (README.parent / path).exists()
