"""The parts that `make test` runs at once: a test that is in none of them is never run."""

import subprocess
from pathlib import Path

TESTS = sorted(Path("tests").rglob("test_*.py"))


def selects(part: str, test: Path) -> bool:
    """Whether pytest collects this file when it is given what the Makefile says of a part."""
    words = part.split()
    inside = [word for word in words if not word.startswith("--ignore=")]
    outside = [word.removeprefix("--ignore=") for word in words if word.startswith("--ignore=")]
    return any(map(test.is_relative_to, inside)) and not any(map(test.is_relative_to, outside))


def test_each_test_is_in_one_part() -> None:
    told = subprocess.run(["make", "--silent", "parts"], capture_output=True, text=True, check=True)  # noqa: S607
    parts = told.stdout.splitlines()
    assert TESTS
    assert {test: sum(selects(part, test) for part in parts) for test in TESTS} == dict.fromkeys(TESTS, 1)
