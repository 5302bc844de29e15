"""`stillmotion check`: looks at everything a start needs, and says a line about each."""

import os
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bot.data_folder import secure
from bot.login import CannotStart, whose
from bot.settings import Settings
from bot.store import connect
from bot.store.db import StoreError, pending
from providers import create
from providers.base import Resources
from providers.child import ChildFailed, Children
from providers.errors import OutOfFunds, ProviderError, Unauthorized
from providers.http import open_session

CHILD_SECONDS, CHILD_MEMORY = 30, 500_000_000
_GUARDS = {
    "is_hidden": (
        "Programs of the same user can read the bot's memory and its keys: this system cannot prevent it."
    ),
    "files": (
        "A file that takes over its decoder could read your other files, .env among them: this system has no "
        "Landlock (Linux 5.13 or newer, allowed by the container's runtime). Give the bot its own user."
    ),
    "calls": (
        "A file that takes over its decoder could reach the network and start programs: this system has no "
        "seccomp filters (Linux on x86_64 or aarch64, allowed by the container's runtime)."
    ),
}
"""By what is missing."""


@dataclass(frozen=True)
class Finding:
    well: bool
    text: str
    is_note: bool = False
    """The bot works, but an operator should know."""


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """One finding for the data folder, the database, each guard, the token, and each enabled provider."""
    yield _data_folder(settings)
    yield await _database(settings)
    for finding in await _isolation():
        yield finding
    for finding in await _token(settings):
        yield finding
    async for finding in _providers(settings):
        yield finding


def _data_folder(settings: Settings) -> Finding:
    folder = settings.data_dir.absolute()
    try:
        secure(settings.data_dir, settings.database)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Finding(
            well=False, text=f"DATA_DIR {folder} cannot be written: {os.strerror(error.errno or 0)}."
        )
    return Finding(well=True, text=f"The data folder {folder} can be written.")


async def _database(settings: Settings) -> Finding:
    """It is only looked at: an older bot may be working on it."""
    kind = settings.database.partition(":")[0]
    try:
        database = connect(settings.database)
        await database.open()
        try:
            missing = await pending(database)
        finally:
            await database.close()
    except StoreError as error:
        return Finding(well=False, text=f"The {kind} database cannot be used: {error}.")
    state = f"a start will apply {', '.join(missing)}" if missing else "it is up to date"
    return Finding(well=True, text=f"The {kind} database can be used; {state}.")


async def _isolation() -> list[Finding]:
    """Whether a decoder that a file has taken over is kept from everything else."""
    children = Children()
    try:
        look = await children.run("providers.sandbox:look", seconds=CHILD_SECONDS, memory=CHILD_MEMORY)
    except ChildFailed as failure:
        return [Finding(well=False, text=f"No child process works, and pictures need one: {failure}.")]
    finally:
        await children.close()
    missing = [text for name, text in _GUARDS.items() if not look.facts[name]]
    if missing:
        return [Finding(well=True, text=text, is_note=True) for text in missing]
    return [Finding(well=True, text="Whatever decodes a file can reach no other file, program or network.")]


async def _token(settings: Settings) -> list[Finding]:
    if settings.discord_token is None:
        return [Finding(well=False, text="DISCORD_TOKEN is not set.")]
    try:
        name, link = await whose(settings.discord_token.get_secret_value())
    except CannotStart as error:
        return [Finding(well=False, text=str(error))]
    known = Finding(well=True, text=f"Discord knows the token's bot as {name}.")
    return [known, Finding(well=True, text=f"To add it to a server, open {link}")]


async def _providers(settings: Settings) -> AsyncIterator[Finding]:
    async with open_session(settings.hosts) as session:
        providers = create(settings.providers, Resources(session, settings.data_dir / "providers"))
        if not providers:
            yield Finding(well=False, text="No provider is enabled: set a key such as EIGENAI_API_KEY.")
        for provider in providers.values():
            try:
                await provider.verify()
            except Unauthorized:
                yield Finding(well=False, text=f"{provider.label} does not accept its key.")
            except OutOfFunds:
                yield Finding(well=False, text=f"{provider.label} accepts its key, but has no credit left.")
            except ProviderError as error:
                yield Finding(well=False, text=f"{provider.label} cannot be asked: {error.detail}.")
            else:
                yield Finding(well=True, text=f"{provider.label} is ready.")
            if provider.name in settings.exposed:
                setting = provider.name.upper()
                text = (
                    f"{setting}_BASE_URL is plain http: others can read {setting}_API_KEY on its way. "
                    "Use https, or name the host in TRUSTED_HOSTS if the network is your own."
                )
                yield Finding(well=False, text=text)
            await provider.close()
