"""What keeps a state folder in order: one owner, an end to old records, and complaints that are said once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from actionstream.models.common.errors import ActionstreamError
from actionstream.serve.memory import give_back
from actionstream.serve.store import Store

PRUNE_SECONDS = 600.0
DAY_SECONDS = 86_400.0


class Complaints:
    """Says what fails, each once until it works again."""

    def __init__(self, say: Callable[[str], None]):
        self._say = say
        self._said: set[str] = set()

    def fails(self, what: str, error: Exception) -> None:
        """It fails."""
        if what not in self._said:
            self._say(f"{what}: {error}")
        self._said.add(what)

    def works(self, what: str) -> None:
        """It works again."""
        self._said.discard(what)


class Retention:
    """Deletes old records from time to time, and gives free memory back."""

    def __init__(self, store: Store, complaints: Complaints, *, say: Callable[[str], None], clock: Callable[[], float]):
        self._store = store
        self._complaints = complaints
        self._say = say
        self._clock = clock
        self._pruned_at = clock()

    def tick(self, keep_days: float) -> None:
        """Do it where it is time; records are kept for so many days."""
        if abs(self._clock() - self._pruned_at) < PRUNE_SECONDS:  # a clock may be set back
            return
        self._pruned_at = self._clock()
        try:
            lost = self._store.prune(self._clock() - keep_days * DAY_SECONDS)
        except sqlite3.Error as error:
            self._complaints.fails("old events cannot be deleted", error)
        else:
            self._complaints.works("old events cannot be deleted")
            if lost:
                self._say(f"{lost} records were deleted before all sinks had taken them: there were too many")
        give_back()


def lock_folder(folder: Path) -> FileLock:
    """Take the state folder until `release`; ActionstreamError where another service has it."""
    lock = FileLock(folder / "lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock.acquire()
    except Timeout:
        raise ActionstreamError(
            f"the state folder {folder} is used by another service that runs; stop it, or take another one with --state"
        ) from None
    except OSError as error:
        raise ActionstreamError(f"the state folder {folder} cannot be used: {error.strerror}") from error
    return lock
