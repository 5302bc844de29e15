"""What the container gives up; read as text, because no engine runs here."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_container_is_given_nothing_that_the_bot_does_not_need() -> None:
    compose = (ROOT / "compose.yaml").read_text()
    for line in (
        "read_only: true",
        "cap_drop: [ALL]",
        "- no-new-privileges:true",
        "mem_limit:",
        "pids_limit:",
        "- /tmp:",
    ):
        assert f"    {line}" in compose, line


def test_the_image_is_built_from_a_digest_and_runs_as_nobody_in_particular() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON=python:[\w.-]+@sha256:[0-9a-f]{64}$", dockerfile, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${PYTHON}"}
    assert re.search(r"^USER stillmotion$", dockerfile, re.MULTILINE)
