"""The data folder is for the bot alone: keys lie in no file of it, but members' pictures and prompts do."""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

FOLDER, FILE = 0o700, 0o600
OTHERS_OUT = 0o077
"""The process's umask: what is made from now on is nobody else's."""
_OURS = ("stillmotion.*", "identity", "health.sock", "jobs", "providers")
"""What an older version may have left readable. Whatever else lies there is not ours to change."""


def secure(folder: Path, database: str) -> None:
    """Make the folder, and close what is in it to other users. Raises OSError if it cannot be made."""
    folder.mkdir(mode=FOLDER, parents=True, exist_ok=True)
    kind, _, file = database.partition(":///")
    databases = Path(file).parent.glob(f"{Path(file).name}*") if kind == "sqlite" else ()
    for path in (*_theirs(folder), *databases):
        try:
            _close(path)
        except FileNotFoundError:
            continue  # gone meanwhile
        except OSError as error:
            log.warning("other users may read %s: %s", path, error.strerror)


def _theirs(folder: Path) -> Iterator[Path]:
    yield folder
    for found in (path for name in _OURS for path in folder.glob(name)):
        yield found
        for parent, folders, files in os.walk(found):
            yield from (Path(parent, name) for name in (*folders, *files))


def _close(path: Path) -> None:
    mode = path.lstat().st_mode
    # A link is somebody's arrangement, and a folder with this bit is everybody's, such as /tmp.
    if stat.S_ISLNK(mode) or mode & stat.S_ISVTX:
        return
    wanted = FOLDER if stat.S_ISDIR(mode) else FILE
    if stat.S_IMODE(mode) != wanted:
        path.chmod(wanted)
