"""A provider is one file and one variable: the one that docs/adding-a-provider.md adds makes a video."""

import importlib.util
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

import providers
from bot.settings import Settings
from tests.e2e.conftest import World
from tests.helpers import as_read
from tests.vendors.base import VendorServer
from tests.vendors.faults import sample_video

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "adding-a-provider.md"
ADDRESS = "https://api.lantern.example"


@pytest.fixture(scope="session")
def code() -> dict[str, str]:
    """What the document tells people to save, by the name of the file."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return dict(re.findall(r"`([\w/]+\.py)`:\n\n```python\n(.*?)```\n", text, re.DOTALL))


@pytest.fixture
async def lantern(code: dict[str, str], tmp_path: Path) -> AsyncIterator[VendorServer]:
    """The document's server."""
    path = tmp_path / "lantern_server.py"
    path.write_text(code["tests/vendors/lantern.py"], encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    async with module.LanternServer() as server:
        yield server


@pytest.fixture
def added(
    code: dict[str, str], lantern: VendorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The document's module is among the providers; only the address is the loopback server's."""
    module = code["providers/lantern.py"]
    assert module.count(ADDRESS) == 1
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "lantern.py").write_text(module.replace(ADDRESS, lantern.url), encoding="utf-8")
    monkeypatch.setattr(providers, "__path__", [*providers.__path__, str(folder)])
    providers.discover.cache_clear()
    yield
    providers.discover.cache_clear()
    sys.modules.pop("providers.lantern", None)
    vars(providers).pop("lantern", None)


@pytest.mark.usefixtures("added")
def test_a_file_is_a_provider_and_its_key_enables_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "lantern" in providers.discover()
    assert not Settings(_env_file=None).providers["lantern"].enabled
    monkeypatch.setenv("LANTERN_API_KEY", "key")
    assert Settings(_env_file=None).providers["lantern"].enabled


@pytest.mark.usefixtures("added")
async def test_one_file_and_one_variable_make_a_video(
    lantern: VendorServer, start: Callable[..., Awaitable[World]]
) -> None:
    world = await start(eigenai_api_key=None, default_provider=None, lantern_api_key=lantern.KEY)

    choices = await world.alice.autocomplete(world.channel, "animate", "duration", "")
    assert [choice["value"] for choice in choices] == [4, 8]
    listed = (await world.alice.slash(world.channel, "providers")).response.embeds[0].fields
    assert [field.name for field in listed] == ["Lantern"]
    assert "takes duration: 4, 8; seed: 0 to 9999; $0.02 a second" in (listed[0].value or "")
    refused = await world.animate(duration=5)
    assert "Glow 1 does not take 5 as duration; it takes 4, 8." in as_read(refused.response.content)

    await world.animate(prompt="a paper lantern swings", duration=8)
    message = await world.video()
    assert await message.attachments[0].read() == sample_video()
    [asked] = lantern.seen("submit")
    assert {**asked.json, "picture": asked.json["picture"][:23]} == {
        "model": "glow-1",
        "prompt": "a paper lantern swings",
        "seconds": 8,
        "picture": "data:image/jpeg;base64,",
    }
    await world.card_says("Video ready")
    fields = {field.name: field.value for field in world.card().embeds[0].fields}
    assert fields["Made by"] == "Lantern, Glow 1"
    assert fields["Price"] == "$0.16"
    assert await world.quota() == "4 of 5 credits left today"


def test_after_the_toy_the_providers_are_what_they_were() -> None:
    assert "lantern" not in providers.discover()
