"""`.env.example` keeps up with the settings."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from bot.settings import Settings
from tests.helpers import OWN_SETTINGS, PROVIDER_SETTINGS

FILE = Path(__file__).resolve().parents[1] / ".env.example"
SHOWN = re.findall(r"^#?([A-Z][A-Z_]*)=(.*)$", FILE.read_text("utf-8"), re.MULTILINE)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.lower() in OWN_SETTINGS | PROVIDER_SETTINGS:
            monkeypatch.delenv(name)


def defaults() -> dict[str, Any]:
    """Every setting's default by the name of its variable."""
    settings = Settings(_env_file=None)
    own = {name: getattr(settings, name) for name in OWN_SETTINGS}
    theirs = {
        f"{name}_{field}": getattr(config, field)
        for name, config in settings.providers.items()
        for field in type(config).model_fields
    }
    return {name.upper(): value for name, value in (own | theirs).items()}


def test_every_setting_is_shown_once_and_nothing_else() -> None:
    assert sorted(name for name, _ in SHOWN) == sorted(defaults())


def test_what_is_shown_is_the_default(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("\n".join(f"{name}={value}" for name, value in SHOWN), "utf-8")
    assert Settings(_env_file=path) == Settings(_env_file=None)


def test_nothing_is_shown_where_the_default_is_nothing() -> None:
    empty = {name for name, value in defaults().items() if value in (None, "", ())}
    assert {name for name, value in SHOWN if not value} == empty
