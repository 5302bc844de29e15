import os
import stat
from pathlib import Path

import pytest

from bot.data_folder import secure


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What an older version has left, as open as a usual umask lets it be."""
    folder = tmp_path / "data"
    for name in ("jobs/12", "providers/local"):
        (folder / name).mkdir(parents=True)
    for name in ("stillmotion.db", "stillmotion.db-wal", "stillmotion.lock", "jobs/12/image", "own.txt"):
        (folder / name).write_text("")
        (folder / name).chmod(0o644)
    folder.chmod(0o755)
    return folder


def test_what_is_there_is_closed_to_other_users(folder: Path) -> None:
    secure(folder, f"sqlite:///{folder / 'stillmotion.db'}")
    assert {mode(folder), mode(folder / "jobs"), mode(folder / "jobs" / "12")} == {0o700}
    files = ("stillmotion.db", "stillmotion.db-wal", "stillmotion.lock", "jobs/12/image")
    assert {mode(folder / name) for name in files} == {0o600}


def test_what_is_not_ours_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").write_text("")
    (tmp_path / "shared").chmod(0o644)
    (folder / "jobs" / "link").symlink_to(tmp_path / "shared")
    secure(folder, "postgresql://there/it")
    assert {mode(folder / "own.txt"), mode(tmp_path / "shared")} == {0o644}


def test_a_database_elsewhere_is_closed_too(folder: Path, tmp_path: Path) -> None:
    for name in ("other.db", "other.db-wal", "other.db-shm"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o644)
    secure(folder, f"sqlite:///{tmp_path / 'other.db'}")
    assert {mode(path) for path in tmp_path.glob("other.db*")} == {0o600}


def test_a_folder_for_everybody_stays_one(tmp_path: Path) -> None:
    (shared := tmp_path / "tmp").mkdir()
    shared.chmod(0o1777)
    secure(shared, "postgresql://there/it")
    assert mode(shared) == 0o1777


def test_what_cannot_be_closed_is_said_and_no_reason_to_stop(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, os.strerror(1))

    monkeypatch.setattr(Path, "chmod", refuse)
    secure(folder, "postgresql://there/it")
    assert f"other users may read {folder}" in caplog.text
