"""The command line: what it prints, and what it exits with."""

import asyncio
import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from importlib import metadata
from pathlib import Path

import discord
import pytest
from filelock import FileLock

from bot import __main__
from bot.__main__ import main
from bot.health import Health, socket_path
from providers.child import Children
from providers.child_wire import Answer
from tests.discord_server.server import DiscordServer
from tests.discord_server.world import APPLICATION, TOKEN
from tests.vendors.eigenai import EigenAIServer
from tests.vendors.faults import status

Run = Callable[..., int | str | None]

MIGRATIONS = ", ".join(sorted(file.name for file in Path("bot/store/migrations").glob("*.sql")))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs one command in an empty folder, with the test's settings alone, and gives its exit code."""
    for name in list(os.environ):
        if name.startswith(("DISCORD_", "EIGENAI_", "LOCAL_", "DEFAULT_", "DATA", "LOG_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(discord.http.Route, "BASE", "http://127.0.0.1:9/api/v10")
    monkeypatch.setattr(discord.utils, "setup_logging", lambda **_: None)

    before = os.umask(0o022)
    os.umask(before)

    def run_command(*arguments: str, **settings: str) -> int | str | None:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        os.umask(before)
        return ended.value.code

    return run_command


def test_check_says_a_line_about_each_thing_and_fails_if_one_is_wrong(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("check", DATA_DIR=str(tmp_path / "d")) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"ok   The data folder {tmp_path / 'd'} can be written.",
        f"ok   The sqlite database can be used; a start will apply {MIGRATIONS}.",
        "ok   Whatever decodes a file can reach no other file, program or network.",
        "FAIL DISCORD_TOKEN is not set.",
        "ok   This machine is ready.",
    ]


def test_check_says_which_guards_this_system_has_not(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def bare(*_: object, **__: object) -> Answer:
        return Answer({"is_hidden": True, "files": False, "calls": False})

    monkeypatch.setattr(Children, "run", bare)
    run("check")
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note ")]
    assert ["Landlock" in line for line in notes] == [True, False]
    assert ["seccomp" in line for line in notes] == [False, True]


def test_every_command_hides_the_process_and_its_files_from_other_users(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done: list[str] = []
    monkeypatch.setattr(__main__, "hide", lambda: done.append("hidden"))
    run("migrate", DATA_DIR=str(tmp_path / "data"))
    assert done == ["hidden"]
    made = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").rglob("*")}
    assert {"stillmotion.db"} <= set(made)
    assert set(made.values()) == {0o600}


def test_check_never_prints_the_token(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", DISCORD_TOKEN="secret-token") == 1
    out = capsys.readouterr().out
    assert "FAIL Discord cannot be reached: ClientConnectorError." in out
    assert "secret-token" not in out


async def test_check_prints_the_link_that_invites_the_tokens_bot(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DiscordServer() as server:
        monkeypatch.setattr(discord.http.Route, "BASE", server.api)
        assert await asyncio.to_thread(run, "check", DISCORD_TOKEN=TOKEN) == 0
    link = (
        f"https://discord.com/oauth2/authorize?client_id={APPLICATION}&scope=bot+applications.commands"
        "&permissions=274878024704"
    )
    assert f"ok   To add it to a server, open {link}" in capsys.readouterr().out.splitlines()


def test_the_version_is_the_installed_one(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"Stillmotion {metadata.version('stillmotion')}\n"


def test_check_needs_a_provider(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", LOCAL_ON="false") == 1
    assert "FAIL No provider is enabled" in capsys.readouterr().out


def test_check_finds_a_folder_that_cannot_be_written(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert run("check", DATA_DIR=str(tmp_path / "file"), DATABASE_URL=f"sqlite:///{tmp_path / 'x.db'}") == 1
    assert f"FAIL DATA_DIR {tmp_path / 'file'} cannot be written: File exists." in capsys.readouterr().out


def test_check_finds_a_database_that_cannot_be_used(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "broken.db").write_bytes(b"this is no database, and long enough to be looked at" * 50)
    assert run("check", DATABASE_URL=f"sqlite:///{tmp_path / 'broken.db'}") == 1
    assert "FAIL The sqlite database cannot be used" in capsys.readouterr().out


def test_check_finds_a_database_of_a_newer_version_and_leaves_no_thread(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run("migrate", DATABASE_URL=f"sqlite:///{tmp_path / 'x.db'}")
    with closing(sqlite3.connect(tmp_path / "x.db")) as database, database:
        database.execute("INSERT INTO migration VALUES ('0999_later.sql', 'now')")
    before = set(threading.enumerate())
    assert run("check") == 1
    assert "FAIL The sqlite database cannot be used: the database was written by a newer version: " in (
        capsys.readouterr().out
    )
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=5)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (None, "ok   EigenAI is ready."),
        (status(401), "FAIL EigenAI does not accept its key."),
        (status(402), "FAIL EigenAI accepts its key, but has no credit left."),
        (status(500), "FAIL EigenAI cannot be asked: HTTP 500"),
    ],
)
async def test_check_asks_every_enabled_provider_whether_its_key_works(
    run: Run, capsys: pytest.CaptureFixture[str], fault: object, line: str
) -> None:
    async with EigenAIServer() as vendor:
        if fault is not None:
            vendor.next("poll", fault)  # type: ignore[arg-type]
        await asyncio.to_thread(
            run, "check", EIGENAI_API_KEY=vendor.KEY, EIGENAI_BASE_URL=vendor.url, LOCAL_ON="false"
        )
    out = capsys.readouterr().out
    assert line in out
    assert vendor.KEY not in out


def test_a_wrong_setting_is_a_sentence_and_no_trace(run: Run) -> None:
    assert run("run", DEFAULT_ALLOWANCE="plenty") == (
        "DEFAULT_ALLOWANCE should be a whole number of at least 0, such as `5`."
    )


def test_an_unknown_name_in_the_env_file_is_a_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DISCORD_TOKN=abc\n")
    assert str(run("run")).startswith("DISCORD_TOKN is not a setting of Stillmotion")


def test_run_without_a_token_says_what_to_do(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run") == 1
    assert capsys.readouterr().err.startswith("DISCORD_TOKEN is not set: copy .env.example to .env")


def test_migrate_says_what_it_did(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("migrate") == 0
    assert run("migrate") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"Applied: {MIGRATIONS}.",
        "The database is up to date.",
    ]


def test_migrate_fails_with_a_sentence(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert run("migrate", DATABASE_URL=f"sqlite:///{tmp_path / 'file' / 'x.db'}") == 1
    assert capsys.readouterr().err.startswith("cannot open")


def test_health_without_a_bot_is_unwell(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("health") == 1
    assert capsys.readouterr().err.startswith("No bot answers in /")


@pytest.mark.parametrize(("healthy", "code"), [(True, 0), (False, 1)])
async def test_health_asks_the_running_bot(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path, *, healthy: bool, code: int
) -> None:
    health = Health(tmp_path, lambda: {"healthy": healthy, "servers": 3})
    await health.start()
    assert await asyncio.to_thread(run, "health", DATA_DIR=str(tmp_path)) == code
    await health.close()
    assert json.loads(capsys.readouterr().out) == {"healthy": healthy, "servers": 3}
    assert not socket_path(tmp_path).exists()


async def test_a_path_too_long_for_a_socket_costs_the_health_check_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    health = Health(tmp_path / ("x" * 120), dict)
    await health.start()
    await health.close()
    assert "too long for a health check" in caplog.text


def test_the_module_is_a_command() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bot", "--help"], capture_output=True, text=True, check=True, timeout=30
    )
    assert "{run,demo,check,migrate,sync,pause,resume,health}" in ran.stdout


def test_the_demo_gets_the_port_and_the_browser_choice(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr("bot.demo.main", lambda **options: asked.update(options) or 0)
    assert run("demo", "--port", "8123", "--no-browser") == 0
    assert asked == {"port": 8123, "open_browser": False}


def test_migrate_keeps_its_hands_off_a_running_bots_folder(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with FileLock(tmp_path / "stillmotion.lock"):
        assert run("migrate", DATA_DIR=str(tmp_path)) == 1
    assert "Another Stillmotion works in" in capsys.readouterr().err


def test_an_env_file_in_another_encoding_is_a_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LOG_LEVEL=info", encoding="utf-16")
    assert run("check") == ".env is not UTF-8 text: save it as UTF-8."


def test_the_operator_pauses_and_resumes_from_the_command_line(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = str(tmp_path / "d")
    assert run("migrate", DATA_DIR=folder) == 0
    said = []
    capsys.readouterr()
    for words in (
        ("pause", "--provider", "Venice", "too slow"),
        ("pause", "back at noon"),
        ("resume", "--provider", "venice"),
        ("resume",),
    ):
        assert run(*words, DATA_DIR=folder) == 0
        said.append(capsys.readouterr().out.strip())
    assert said == ["Paused: venice.", "Paused: everything.", "Paused: everything.", "Paused: nothing."]


def test_a_pause_works_while_another_process_owns_folder_and_database(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    assert run("migrate", DATA_DIR=str(folder)) == 0
    with FileLock(folder / "stillmotion.lock"), FileLock(folder / "stillmotion.db.lock"):
        assert run("pause", DATA_DIR=str(folder)) == 0


def test_a_pause_without_a_database_says_what_to_do(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("pause", DATA_DIR=str(tmp_path / "d")) == 1
    assert capsys.readouterr().err.strip() == "The database is not up to date: start the bot once."


def test_only_providers_that_there_are_can_be_paused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pause", "--provider", "dreams") == 2
    assert "'venice'" in capsys.readouterr().err


def test_a_pause_with_a_reason_that_nobody_would_read_whole_is_refused(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = str(tmp_path / "d")
    assert run("migrate", DATA_DIR=folder) == 0
    assert run("pause", "x" * 301, DATA_DIR=folder) == 1
    assert capsys.readouterr().err.strip() == "A reason has up to 300 characters; nothing was paused."
    assert run("pause", "x" * 300, DATA_DIR=folder) == 0


async def test_check_fails_for_a_key_that_travels_unencrypted(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The vendor's server is on loopback, where nobody can read along.
    monkeypatch.setattr("bot.settings.is_exposed", lambda config, _: config.enabled)
    async with EigenAIServer() as vendor:
        provider = {"EIGENAI_API_KEY": vendor.KEY, "EIGENAI_BASE_URL": vendor.url, "LOCAL_ON": "false"}
        assert await asyncio.to_thread(run, "check", **provider) == 1
    out = capsys.readouterr().out
    assert "ok   EigenAI is ready." in out
    assert "FAIL EIGENAI_BASE_URL is plain http: others can read EIGENAI_API_KEY on its way." in out
    assert vendor.KEY not in out
