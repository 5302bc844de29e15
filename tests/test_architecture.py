"""Who may know whom, read from the imports."""

import ast
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WORD = re.compile(r"[A-Z]?[a-z]+")
MODULES = {
    str(path.relative_to(ROOT)): path
    for package in ("bot", "cogs", "providers")
    for path in sorted((ROOT / package).rglob("*.py"))
}
DELIVERY = {f"bot/delivery/{path.name}" for path in (ROOT / "bot" / "delivery").glob("*.py")}
DISCORD = {f"bot/{name}.py" for name in ("app", "client", "commands", "demo", "login")} | DELIVERY
HTTP = {"bot/delivery/brake.py", "bot/delivery/calls.py", "bot/demo.py", "bot/login.py"}
PURE = {
    "bot/jobs.py",
    "bot/engine/cadence.py",
    "bot/engine/retry.py",
    "bot/provider_health.py",
    "bot/quota/dates.py",
    "bot/quota/allowances.py",
    "bot/safety.py",
    "bot/notices.py",
    "bot/quota/amounts.py",
    "bot/quota/limits.py",
    "bot/quota/decisions.py",
    "bot/quota/rules.py",
    "bot/refusals.py",
    "bot/posting.py",
}
PROVIDER_LIBRARIES = {"aiohttp", "multidict", "pydantic", "yarl"}
EXTRA = {"providers/_animation.py": {"av", "PIL"}}
"""What `local` draws and encodes with, in its child."""
FAMILIES = {"_animation": "local"}
"""Private modules of a provider whose names do not begin with its own."""
CONTRACT = {
    "providers",
    *(
        f"providers.{name}"
        for name in (
            *("base", "child", "child_wire", "errors", "fields", "hosts", "http", "limits", "options"),
            *("sandbox", "specs"),
        )
    ),
}


RETIRED = frozenset(
    "act acts doubt face fitness floor insist keeper letterbox studio tend turns ward".split()  # noqa: SIM905 - shorter
)
"""Words that docs/glossary.md has better ones for."""


@cache
def imports(name: str) -> frozenset[str]:
    return frozenset(imported(name))


def imported(name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            yield node.module or ""


def roots(name: str) -> set[str]:
    return {module.partition(".")[0] for module in imports(name)}


def importers(names: Iterable[str], *libraries: str) -> list[str]:
    """Those of the modules that import one of these libraries."""
    return [name for name in names if roots(name) & {*libraries}]


def within(package: str) -> list[str]:
    return [name for name in MODULES if name.startswith(package)]


def test_every_package_is_looked_at() -> None:
    assert len(within("bot/")) > 20
    assert len(within("cogs/")) > 5
    assert len(within("providers/")) > 5


def test_providers_know_neither_the_bot_nor_discord() -> None:
    for name in within("providers/"):
        foreign = roots(name) - set(sys.stdlib_module_names) - {"providers"}
        assert foreign <= PROVIDER_LIBRARIES | EXTRA.get(name, set()), name


def family_of(module: str) -> str:
    """The module `x` that a private module `_x_y` is a part of; any other module is on its own."""
    names = [Path(name).stem for name in within("providers/")]
    owners = [name for name in names if module.startswith(f"_{name}_")]
    return FAMILIES.get(module) or max(owners, key=len, default=module)


def test_provider_modules_do_not_import_each_other() -> None:
    for name in within("providers/"):
        family = family_of(Path(name).stem)
        others = {module for module in imports(name) if module.startswith("providers")} - CONTRACT
        # The parts of the contract share what is private to it.
        kin = {module.removeprefix("providers.") for module in CONTRACT}
        allowed = {*kin, "__init__"} if family in {*kin, "__init__"} else {family}
        assert {family_of(module.rpartition(".")[2]) for module in others} <= allowed, name


def test_the_bot_never_imports_a_cog() -> None:
    assert not importers(within("bot/"), "cogs")


def test_discord_stops_at_the_door() -> None:
    assert not importers({*within("bot/")} - DISCORD, "discord", "simcord")


def test_sql_is_spoken_in_the_store_alone() -> None:
    others = {*MODULES} - {*within("bot/store/")}
    assert not importers(others, "sqlite3", "aiosqlite", "psycopg", "psycopg_pool")


def test_http_is_spoken_by_providers_media_and_delivery() -> None:
    others = {*MODULES} - {*within("providers/")} - {*within("bot/media/")} - HTTP
    assert not importers(others, "aiohttp")


def test_charts_are_drawn_in_their_child_alone() -> None:
    assert not importers({*MODULES} - {"bot/media/_draw_chart.py"}, "matplotlib", "numpy")


def test_no_modules_import_each_other() -> None:
    names = {name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): name for name in MODULES}
    arrows = {module: found(name, names) for module, name in names.items()}
    while free := {module for module, targets in arrows.items() if not targets}:
        arrows = {module: targets - free for module, targets in arrows.items() if module not in free}
    assert not arrows, "these import each other, or what does"


def found(name: str, known: Collection[str]) -> set[str]:
    """The modules of ours that a module imports, also where they are named after `import`."""
    targets = set[str]()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            targets |= inner.intersection(known) or {node.module or ""}.intersection(known)
        elif isinstance(node, ast.Import):
            targets |= {alias.name for alias in node.names}.intersection(known)
    return targets


def test_cogs_hold_no_sql_and_no_http() -> None:
    for name in within("cogs/"):
        assert not [module for module in imports(name) if module.startswith(("bot.store", "aiohttp"))], name


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


def test_no_module_grows_into_two() -> None:
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert not {name: count for name, count in lines.items() if count > 300}


def test_names_are_made_of_the_words_of_the_glossary() -> None:
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        named |= {node.name for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)}
        named |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        words = {word.lower() for each in (*named, path.stem) for word in WORD.findall(each)}
        assert not words & RETIRED, name
