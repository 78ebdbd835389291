"""What streams leave for the next start of a service: a file in the state folder, written every few seconds."""

from __future__ import annotations

import os
import pickle
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from actionstream.live.watched_stream import Resume
from actionstream.models.common.files import atomic_write

FILE = "streams.pickle"
"""Pickle executes code: only a file that nobody else can have written is read."""


@dataclass(frozen=True)
class SavedStream:
    """What a camera leaves.

    fits         says what it fits; of no use for anything else
    gap_seconds  the age up to which it is of use
    """

    fits: str
    gap_seconds: float
    resume: Resume

    def is_fresh(self, now: float) -> bool:
        """Whether the state is of use at this time, in seconds since 1970."""
        return 0 <= now - self.resume.wall_seconds <= self.gap_seconds


def write(folder: Path, left: Mapping[str, SavedStream]) -> None:
    """Write what cameras leave, by name; OSError where that fails."""
    with atomic_write(folder / FILE) as path, open(path, "wb", opener=_private) as file:
        pickle.dump(dict(left), file)


def read(folder: Path) -> dict[str, SavedStream]:
    """What `write` wrote, once; nothing where it cannot be read or trusted."""
    path = folder / FILE
    try:
        with open(path, "rb") as file:
            path.unlink()
            about = os.fstat(file.fileno())
            if about.st_uid != os.geteuid() or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return {}
            left: dict[str, SavedStream] = pickle.load(file)
    except Exception:  # noqa: BLE001  a file of another version can raise anything; its streams begin anew
        return {}
    return left


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
