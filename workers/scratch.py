"""Where a child of a worker keeps its temporary files: a folder of its own, which is removed after a child that was
killed by the next one that begins.

A folder is somebody's as long as it is locked, and no process keeps a lock beyond its end: numbers of processes are
given anew, and begin anew with each container.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "coatcheck-child-"


def begin() -> None:
    """Remove what killed ones left, and have temporary files of this process in a folder of its own from now on."""
    place = Path(tempfile.gettempdir())
    for folder in place.glob(f"{PREFIX}*"):
        with suppress(OSError):  # somebody else's, or gone: another child begins at the same time
            _remove(folder)
    tempfile.tempdir = str(_mine(place))


def _mine(place: Path) -> Path:
    """A new folder, which nobody finds before it is locked."""
    hidden = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=place))
    _locked(hidden)
    return hidden.rename(place / hidden.name.removeprefix("."))


def _locked(folder: Path) -> int:
    """The lock, until it is closed or the process ends; raises BlockingIOError where another has it."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def _remove(folder: Path) -> None:
    """Raises OSError where it is in use, or not ours."""
    lock = _locked(folder)
    try:
        if os.fstat(lock).st_uid == os.geteuid():
            shutil.rmtree(folder)
    finally:
        os.close(lock)
