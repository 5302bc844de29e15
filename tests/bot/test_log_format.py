"""Nothing that a log record holds gives the terminal orders or looks like another record."""

import logging
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.log_format import Visible, set_up_logging


def line(message: str, *args: object, fault: BaseException | None = None) -> str:
    error = (type(fault), fault, fault.__traceback__) if fault else None
    return Visible().format(logging.LogRecord("bot.x", logging.WARNING, "", 1, message, args, error))


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b31m", r"\x9b31m"),
        ("\r\x00\x7f\x08", r"\r\x00\x7f\x08"),
        ("a\n2024-01-01 INFO bot all is well", r"a\n2024-01-01 INFO bot all is well"),
        ("\u2028\u202e", r"\u2028\u202e"),
        ("\ud800", r"\ud800"),
        ("é 字 😀", "é 字 😀"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(written: str, shown: str) -> None:
    assert line("%s failed", written).endswith(f"WARNING  bot.x {shown} failed")
    assert line(written).endswith(f"bot.x {shown}")


def test_a_traceback_keeps_its_lines_and_nobody_elses_text_begins_one() -> None:
    forged = ValueError("\x1b[31m\n2024-01-01 00:00:00 INFO     bot all is well")
    first, *rest = line("it failed", fault=forged).split("\n")
    assert first.endswith("it failed")
    assert rest == [
        r"  | ValueError: \x1b[31m",
        "  | 2024-01-01 00:00:00 INFO     bot all is well",
    ]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.text())
def test_every_record_is_printable_lines(text: str) -> None:
    shown = line("%s", text)
    assert "\n" not in shown
    assert shown.encode()
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)


def test_serve_logs_that_way(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    set_up_logging("INFO")
    logging.getLogger("bot.x").info("%s", "\x1b[2J")
    assert r"\x1b[2J" in capsys.readouterr().err
