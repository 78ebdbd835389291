"""A file that lists the sources to watch, read again when it changes."""

from __future__ import annotations

import glob
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import read_text

POLL_SECONDS = 0.4
MAX_LINE = 4096  # characters; the time to look up a glob pattern grows with the square of its length
EMPTY_POLLS = 5  # an editor or a copy may leave the file empty for some time


class WatchList:
    """Adds and removes streams as the lines of a file come and go, in a thread of its own between start and stop.

    A line is a source, or `SOURCE as NAME`; empty lines and lines that begin with # are skipped. The last " as " of a
    line begins the name, unless the whole line is an existing path. A line has no options. A line that fails is tried
    again at each poll; the second failure is reported. A stream that has ended stays ended until its line is removed
    and added again.

    A change counts when the file reads the same POLL_SECONDS later (EMPTY_POLLS times, where it is empty): a program
    that saves it may empty it first, write it in parts, or replace it. Each poll reads the whole file, since some
    disks, such as network disks, do not report changes or have coarse times.

    add     begins a stream from a source and a name or None, and returns its name; ValueError when it cannot
    remove  ends a stream; ValueError when it has ended already
    say     shows a line of text to the user
    """

    def __init__(
        self,
        path: Path,
        *,
        add: Callable[[str, str | None], str],
        remove: Callable[[str], None],
        say: Callable[[str], None],
    ):
        self._path = path
        self._add = add
        self._remove = remove
        self._say = say
        self._names: dict[str, str | None] = {}  # stream name by line; None where the stream has ended
        self._failures: dict[str, int] = {}  # number of failures by line
        self._lines: list[str] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch list {path}", daemon=True)

    def start(self) -> None:
        """Follow the file from now on; ValueError when it cannot be read."""
        try:
            self.poll()
        except (ActionstreamError, OSError) as error:
            raise ActionstreamError(f"the watch list {self._path} cannot be read: {_reason(error)}") from error
        self._thread.start()

    def stop(self) -> None:
        """Stop reading the file; the streams go on."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(1.0)  # the thread may hang on a disk that does not answer

    def poll(self) -> None:
        """Add and remove streams as the file has changed, and try failed lines again."""
        self._follow(self._read())

    def _read(self) -> str:
        self._path.stat()  # raises the system's own error where the file is missing
        text = read_text(self._path)
        for number, line in enumerate(text.split("\n"), start=1):
            if len(line) > MAX_LINE:
                raise ActionstreamError(f"line {number} has {len(line):,} characters; a source has {MAX_LINE} at most")
        return text

    def _follow(self, text: str) -> None:
        lines = [line.strip() for line in text.split("\n")]
        self._lines = [line for line in lines if line and not line.startswith("#")]
        for line in [line for line in self._names if line not in self._lines]:
            name = self._names.pop(line)
            if name is not None:
                with suppress(ActionstreamError):
                    self._remove(name)
        self._failures = {line: count for line, count in self._failures.items() if line in self._lines}
        for line in self._lines:
            if line not in self._names:
                self._begin(line)

    def _begin(self, line: str) -> None:
        source, _, name = line.rpartition(" as ")
        if not source or os.path.exists(line) or glob.glob(line):
            source, name = line, ""
        try:
            _check_no_options(source, name)
            name = self._add(source.strip(), name.strip() or None)
        except (ActionstreamError, OSError) as error:
            self._failures[line] = self._failures.get(line, 0) + 1
            if self._failures[line] == 2:  # the first failure may be a name of a stream that is about to end
                self._say(str(error))
            return
        # an older stream of this name has ended; its line must not remove the new stream
        self._names = {other: None if had == name else had for other, had in self._names.items()}
        self._names[line] = name
        self._failures.pop(line, None)

    def _run(self) -> None:
        before, num_same, num_failed = "", 0, 0
        while not self._stopped.wait(POLL_SECONDS):
            try:
                text = self._read()
            except (ActionstreamError, OSError) as error:
                num_same, num_failed = 0, num_failed + 1
                if num_failed == 2:
                    self._say(f"the watch list {self._path} cannot be read: {_reason(error)}; all streams go on")
                continue
            num_same = num_same + 1 if text == before else 0
            before, num_failed = text, 0
            if num_same >= (1 if text.strip() else EMPTY_POLLS):
                self._follow(text)


def _check_no_options(source: str, name: str) -> None:
    words = name if os.path.exists(source) or glob.glob(source) else f"{source} {name}"
    option = next((word for word in words.split() if word.startswith("--")), None)
    if option is not None:
        raise ActionstreamError(
            f"a line of the watch list has {option}; expected SOURCE or SOURCE as NAME; options are for `watch`, and "
            "hold for all sources"
        )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "it is no text"
