"""The private folder of a server; the next server removes it where this one is killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "actionstream-page-"


class FolderLock:
    """A lock on a folder; the system releases it when the process ends."""

    def __init__(self, folder: Path, *, wait: bool = True):
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        os.close(self._descriptor)


def make_folder() -> tuple[Path, FolderLock]:
    """A new folder, and the lock that marks it as in use."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        with suppress(FileNotFoundError):  # another server that starts now removed it as stale
            lock = FolderLock(folder)
            if folder.exists():
                return folder, lock
            lock.close()


def remove_stale() -> None:
    """Remove the folders of servers that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # it is in use, or belongs to another user
            if folder.stat().st_uid == os.getuid():
                lock = FolderLock(folder, wait=False)
                shutil.rmtree(folder, ignore_errors=True)
                lock.close()
