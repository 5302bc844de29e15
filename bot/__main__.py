"""The command line, also as `python -m bot`.

`stillmotion [--version] run | demo | check | migrate | sync | pause | resume | health`
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import metadata

from pydantic import ValidationError

from bot import checkup, health
from bot.app import serve, sync_commands
from bot.clock import Clock
from bot.data_folder import OTHERS_OUT, secure
from bot.login import CannotStart
from bot.ownership import AlreadyRunning, Ownership
from bot.quota.limits import LONGEST_REASON
from bot.settings import Settings, complaints
from bot.store import connect
from bot.store.db import StoreError, migrate, pending
from bot.store.pauses import OperatorPauses
from providers import discover
from providers.sandbox import hide

LAST_RESORT = 20.0
"""Seconds from the order to stop until the process ends in any case. Rows hold the truth."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 if all went well, 1 if something has to be put right."""
    # The environment holds keys. Whatever runs as the same user must not read it, nor what is written.
    hide()
    os.umask(OTHERS_OUT)
    options = _parser().parse_args(arguments)
    if options.command == "demo":
        from bot import demo  # noqa: PLC0415 - the demo is an extra

        sys.exit(demo.main(port=options.port, open_browser=options.browser))
    try:
        settings = Settings()
    except ValidationError as error:
        sys.exit("\n".join(complaints(error)))
    except UnicodeDecodeError:
        sys.exit(".env is not UTF-8 text: save it as UTF-8.")
    commands = {"run": _run, "check": _check, "migrate": _migrate, "sync": _sync, "health": _health}
    if options.command in {"pause", "resume"}:
        reason = getattr(options, "reason", None)
        sys.exit(asyncio.run(_pause(settings, options.provider, reason)))
    sys.exit(asyncio.run(commands[options.command](settings)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stillmotion", description="Pictures into videos, in Discord.")
    parser.add_argument("--version", action="version", version=f"Stillmotion {_version()}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run the bot")
    demo = commands.add_parser("demo", help="try the bot in a browser, without Discord or keys")
    demo.add_argument(
        "--port",
        type=int,
        choices=range(1, 65536),
        metavar="PORT",
        help="the page's port (default: any free one)",
    )
    demo.add_argument("--no-browser", dest="browser", action="store_false", help="only print the address")
    commands.add_parser("check", help="look at token, keys, database and data folder")
    commands.add_parser("migrate", help="bring the database up to date and exit")
    commands.add_parser("sync", help="tell Discord about the commands again")
    pause = commands.add_parser(
        "pause", help="stop new videos, everywhere or at one provider, also while the bot runs"
    )
    pause.add_argument("reason", nargs="?", default="", help="members read it")
    resume = commands.add_parser("resume", help="end the pause of a provider, or all pauses")
    for command in (pause, resume):
        command.add_argument("--provider", type=str.lower, choices=sorted(discover()))
    commands.add_parser("health", help="ask the running bot how it is")
    return parser


def _version() -> str:
    try:
        return metadata.version("stillmotion")
    except metadata.PackageNotFoundError:
        return "(not installed)"


async def _run(settings: Settings) -> int:
    if settings.discord_token is None:
        return _complain(
            "DISCORD_TOKEN is not set: copy .env.example to .env and put it there. `make demo` needs none."
        )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _stop, stop)
    try:
        await serve(settings, settings.discord_token.get_secret_value(), stop)
    except CannotStart as error:
        return _complain(str(error))
    except (AlreadyRunning, StoreError) as error:
        return _complain(f"{error}.")
    return 0


def _stop(stop: asyncio.Event, within: float = LAST_RESORT) -> None:
    """End soon; a thread that hangs in a disk or in a look-up of a name must not prevent it."""
    if not stop.is_set():
        stop.set()
        last = threading.Timer(within, os._exit, [1])
        last.daemon = True
        last.start()


async def _check(settings: Settings) -> int:
    findings = [finding async for finding in checkup.examine(settings)]
    for finding in findings:
        print("FAIL" if not finding.well else "note" if finding.is_note else "ok  ", finding.text)
    return 0 if all(finding.well for finding in findings) else 1


async def _migrate(settings: Settings) -> int:
    try:
        await asyncio.to_thread(secure, settings.data_dir, settings.database)
        names = await _migrate_alone(settings)
    except (AlreadyRunning, StoreError, OSError) as error:
        return _complain(f"{error}.")
    print(f"Applied: {', '.join(names)}." if names else "The database is up to date.")
    return 0


async def _migrate_alone(settings: Settings) -> list[str]:
    """Never under a running bot, which may be of another version."""
    database = connect(settings.database)
    ownership = Ownership(settings.data_dir, database, Clock())
    await ownership.acquire(patience=0)
    try:
        await database.open()
        try:
            return await migrate(database)
        finally:
            await database.close()
    finally:
        await ownership.release()


async def _pause(settings: Settings, provider: str | None, reason: str | None) -> int:
    """Write down a pause, or without a reason its end, beside the bot that owns the database."""
    if len(reason or "") > LONGEST_REASON:
        return _complain(f"A reason has up to {LONGEST_REASON} characters; nothing was paused.")
    database = connect(settings.database)
    try:
        await database.open()
        try:
            if await pending(database):
                return _complain("The database is not up to date: start the bot once.")
            pauses = OperatorPauses(database)
            now = await (pauses.resume(provider) if reason is None else pauses.pause(provider, reason))
        finally:
            await database.close()
    except StoreError as error:
        return _complain(f"{error}.")
    paused = ["everything"] if now.everything is not None else sorted(now.providers)
    print(f"Paused: {', '.join(paused) or 'nothing'}.")
    return 0


async def _sync(settings: Settings) -> int:
    if settings.discord_token is None:
        return _complain("DISCORD_TOKEN is not set.")
    try:
        number = await sync_commands(settings.discord_token.get_secret_value())
    except CannotStart as error:
        return _complain(str(error))
    print(f"Discord knows {number} commands.")
    return 0


async def _health(settings: Settings) -> int:
    try:
        report = await health.ask(settings.data_dir)
    except OSError:
        return _complain(f"No bot answers in {settings.data_dir.absolute()}.")
    print(json.dumps(report))
    return 0 if report["healthy"] else 1


def _complain(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    main()
