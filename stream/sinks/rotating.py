"""A text file that begins anew when it is large or old."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from actionstream.models.common.errors import ActionstreamError
from actionstream.sinks.spooled import write_all

RETRY_SECONDS = 5.0
"""Between two tries to write after an error: on a full disk a short line may find room where a long one does not."""


class RotatingText:
    """Appends lines to a file; the file is renamed when it has `max_bytes` or its period is over.

    path         the file; a renamed one has the UTC time in its name: events.20261126T000000.000Z.jsonl
    max_bytes    of a file; a line that is longer has a file of its own
    max_seconds  the length of a period, counted from 1970: with 86,400 a file ends at midnight, UTC
    keep         number of renamed files that stay; the oldest ones are deleted
    clock        seconds since 1970
    say          shows a line of text to the user

    A line is written as a whole or not at all. An error, such as a full disk, is said once, and the file is tried again
    every RETRY_SECONDS; `num_lost` is the number of lines that could not be written. It goes on with a file that is
    there; where the last line of that is cut, the line is ended first.

    Raises ActionstreamError where the file cannot be opened.
    """

    encoding, errors = "utf-8", "strict"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: float,
        max_seconds: float,
        keep: int,
        clock: Callable[[], float] = time.time,
        say: Callable[[str], None],
    ):
        self.path = Path(path)
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._keep = keep
        self._clock = clock
        self._say = say
        self._number: int | None = None
        self._size = 0
        self._period = 0
        self._failed_at: float | None = None
        self._rotated = datetime.min.replace(tzinfo=UTC)
        self.num_lost = 0
        self.failure = ""
        """Why lines could not be written the last time."""
        if os.path.exists(self.path) and not os.path.isfile(self.path):
            raise ActionstreamError(f"{self.path} cannot be written: it is not an ordinary file")
        try:
            self._open()
        except OSError as error:
            raise ActionstreamError(f"{self.path} cannot be written: {error.strerror}") from error

    def write(self, text: str) -> int:
        """Append whole lines; returns the number of characters."""
        self.write_bytes(text.encode(self.encoding, self.errors))
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Append whole lines, as bytes."""
        if self._failed_at is not None and 0 <= self._clock() - self._failed_at < RETRY_SECONDS:
            self.num_lost += data.count(b"\n")
            return
        try:
            write_all(self._open_for(len(data)), data)
        except OSError as error:
            self._lose(data, error)
            return
        self._size += len(data)
        if self._failed_at is not None:
            self._failed_at = None
            self._say(f"{self.path} is written again; {self.num_lost:,} lines are missing")

    def flush(self) -> None:
        """Nothing to do: nothing is buffered."""

    def sync(self) -> None:
        """Let what was written stand on the disk, also after a power cut; OSError where that fails."""
        if self._number is not None:
            os.fsync(self._number)

    def close(self) -> None:
        number, self._number = self._number, None
        if number is not None:
            os.close(number)
        if self._failed_at is not None:
            self._say(f"{self.path}: {self.num_lost:,} lines are missing")

    def _lose(self, data: bytes, error: OSError) -> None:
        self.num_lost += data.count(b"\n")
        self.failure = f"{self.path} cannot be written: {error.strerror}"
        if self._number is not None:
            os.ftruncate(self._number, self._size)  # what was written of them
        if self._failed_at is None:
            self._say(f"{self.failure}; lines are missing until it can")
        self._failed_at = self._clock()

    def _open_for(self, num_bytes: int) -> int:
        """The descriptor of the file that the next bytes go to."""
        too_large = self._size + num_bytes > self._max_bytes
        if self._number is not None and self._size and (too_large or self._period_now() != self._period):
            self._rotate(self._number)
        return self._open() if self._number is None else self._number

    def _open(self) -> int:
        number = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        state = os.fstat(number)
        self._number, self._size, self._period = number, state.st_size, self._period_now()
        if state.st_size:
            self._period = int(state.st_mtime // self._max_seconds)  # of the last line
            if os.pread(number, 1, state.st_size - 1) != b"\n":
                self._size += os.write(number, b"\n")
        return number

    def _period_now(self) -> int:
        return int(self._clock() // self._max_seconds)

    def _rotate(self, number: int) -> None:
        """Rename the file, and delete the oldest renamed ones."""
        now = max(datetime.fromtimestamp(self._clock(), UTC), self._rotated + timedelta(milliseconds=1))
        while (older := self._renamed(now)).exists():
            now += timedelta(milliseconds=1)
        self.sync()
        with suppress(FileNotFoundError):  # somebody has moved it away
            os.rename(self.path, older)
        os.close(number)
        self._number, self._size, self._rotated = None, 0, now
        pattern = re.compile(rf"{re.escape(self.path.stem)}\.\d{{8}}T\d{{6}}\.\d{{3}}Z{re.escape(self.path.suffix)}")
        rotated = sorted(path for path in self.path.parent.iterdir() if pattern.fullmatch(path.name))
        for path in rotated[: max(len(rotated) - self._keep, 0)]:
            path.unlink(missing_ok=True)

    def _renamed(self, now: datetime) -> Path:
        when = f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03}Z"
        return self.path.with_name(f"{self.path.stem}.{when}{self.path.suffix}")
