"""Who may know whom, read from the imports."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = {
    str(path.relative_to(ROOT)): path
    for package in ("bot", "cogs", "providers")
    for path in sorted((ROOT / package).rglob("*.py"))
}
DISCORD = {f"bot/{name}.py" for name in ("app", "client", "delivery/__init__", "delivery/calls", "demo")}
HTTP = {"bot/delivery/__init__.py", "bot/delivery/calls.py", "bot/demo.py"}
PURE = {
    "bot/jobs.py",
    "bot/cadence.py",
    "bot/dates.py",
    "bot/quotas.py",
    "bot/safety.py",
    "bot/notices.py",
    "bot/cards.py",
}
PROVIDER_LIBRARIES = {"aiohttp", "multidict", "pydantic", "yarl"}
LOCAL_LIBRARIES = {"av", "PIL"}
"""What `local` draws and encodes with, in its child."""
FAMILIES = {"_animation": "local"}
"""Private modules of a provider whose names do not begin with its own."""
CONTRACT = {
    "providers",
    *(f"providers.{name}" for name in ("base", "errors", "http", "limits", "options", "specs")),
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""


def roots(name: str) -> set[str]:
    return {module.partition(".")[0] for module in imports(MODULES[name])}


def within(package: str) -> list[str]:
    return [name for name in MODULES if name.startswith(package)]


def test_every_package_is_looked_at() -> None:
    assert len(within("bot/")) > 20
    assert len(within("cogs/")) > 5
    assert len(within("providers/")) > 5


@pytest.mark.parametrize("name", within("providers/"))
def test_providers_know_neither_the_bot_nor_discord(name: str) -> None:
    foreign = roots(name) - set(sys.stdlib_module_names) - {"providers"}
    allowed = PROVIDER_LIBRARIES | (LOCAL_LIBRARIES if name == "providers/_animation.py" else set())
    assert foreign <= allowed


def family_of(module: str) -> str:
    """The module `x` that a private module `_x_y` is a part of; any other module is on its own."""
    names = [Path(name).stem for name in within("providers/")]
    owners = [name for name in names if module.startswith(f"_{name}_")]
    return FAMILIES.get(module) or max(owners, key=len, default=module)


@pytest.mark.parametrize("name", within("providers/"))
def test_provider_modules_do_not_import_each_other(name: str) -> None:
    family = family_of(Path(name).stem)
    modules = {module for module in imports(MODULES[name]) if module.startswith("providers")}
    strangers = {module for module in modules - CONTRACT if family_of(module.rpartition(".")[2]) != family}
    assert not strangers


@pytest.mark.parametrize("name", within("bot/"))
def test_the_bot_never_imports_a_cog(name: str) -> None:
    assert "cogs" not in roots(name)


@pytest.mark.parametrize("name", [name for name in within("bot/") if name not in DISCORD])
def test_discord_stops_at_the_door(name: str) -> None:
    assert not roots(name) & {"discord", "simcord"}


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("bot/store/")])
def test_sql_is_spoken_in_the_store_alone(name: str) -> None:
    assert not roots(name) & {"sqlite3", "aiosqlite", "psycopg", "psycopg_pool"}


@pytest.mark.parametrize("name", [*within("bot/"), *within("cogs/")])
def test_http_is_spoken_by_providers_media_and_delivery(name: str) -> None:
    if name not in HTTP and not name.startswith("bot/media/"):
        assert "aiohttp" not in roots(name)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "bot/media/_draw_chart.py"])
def test_charts_are_drawn_in_their_child_alone(name: str) -> None:
    assert not roots(name) & {"matplotlib", "numpy"}


@pytest.mark.parametrize("name", within("cogs/"))
def test_cogs_hold_no_sql_and_no_http(name: str) -> None:
    assert not any(module.startswith(("bot.store", "aiohttp")) for module in imports(MODULES[name]))


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_modules_read_no_clock_and_do_no_io(name: str) -> None:
    assert not roots(name) & {"asyncio", "os", "pathlib", "random", "time", "logging"}
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "open"]
    assert not [call for call in calls if isinstance(call, ast.Attribute) and call.attr in {"now", "today"}]


def test_importing_the_application_imports_no_cog_and_no_extra() -> None:
    unwanted = ("cogs", "simcord", "psycopg", "av", "matplotlib")
    code = f"import sys, bot.app; print([m for m in {unwanted} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_module_grows_into_two(name: str) -> None:
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 300
