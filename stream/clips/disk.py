"""Files that are written while the disk is full: room is made by what the caller deletes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from actionstream.clips.paths import partial

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

MakeRoom = Callable[[], bool]
"""Deletes something; returns False where nothing is left to delete."""


class File:
    """A new file for writing, which PyAV takes; its folder is made.

    After a failed write all others do nothing and say that they are done: so a muxer that is closed then does not
    change what is in the file.
    """

    def __init__(self, path: Path, make_room: MakeRoom):
        self._make_room = make_room
        self._failed = False
        self._file = self._insist(lambda: _create(path))

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest and not self._failed:
            rest = rest[self._insist(lambda: self._file.write(rest)) :]  # noqa: B023  called at once
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()

    def _insist(self, do):
        """What `do` returns; where the disk is full it is done again, as long as there is something to delete."""
        while True:
            try:
                return do()
            except OSError as error:
                if error.errno not in NO_ROOM or not self._make_room():
                    self._failed = True
                    raise


def _create(path: Path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb", buffering=0)


def write_whole(path: Path, data: bytes, make_room: MakeRoom) -> None:
    """Write a file atomically; OSError where it cannot be written."""
    try:
        file = File(partial(path), make_room)
        try:
            file.write(data)
        finally:
            file.close()
        os.replace(partial(path), path)
    except OSError:
        with suppress(OSError):
            partial(path).unlink()
        raise
