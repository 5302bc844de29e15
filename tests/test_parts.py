"""The parts that `make test` runs at once: a test that is in none of them would never run."""

import re
from pathlib import Path

MAKEFILE = Path("Makefile").read_text()
TESTS = sorted(Path("tests").rglob("test_*.py"))


def selects(part: str, test: Path) -> bool:
    """Whether pytest collects this file when it is given what the Makefile says of a part."""
    words = part.split()
    inside = [word for word in words if not word.startswith("--ignore=")]
    outside = [word.removeprefix("--ignore=") for word in words if word.startswith("--ignore=")]
    return any(map(test.is_relative_to, inside)) and not any(map(test.is_relative_to, outside))


def test_each_test_is_in_one_part() -> None:
    (names,) = re.findall(r"^PARTS := (.+)$", MAKEFILE, re.MULTILINE)
    parts = [re.findall(rf"^{name} := (.+)$", MAKEFILE, re.MULTILINE)[0] for name in names.split()]
    assert TESTS
    assert {test: sum(selects(part, test) for part in parts) for test in TESTS} == dict.fromkeys(TESTS, 1)
