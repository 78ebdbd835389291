"""A file that lists the sources to watch, read again when it changes."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from actionstream.live.followed_file import FollowedFile
from actionstream.models.common.errors import ActionstreamError
from actionstream.sources.address import scheme

MAX_LINE = 4096  # characters; the time to look up a glob pattern grows with the square of its length


class WatchList:
    """Adds and removes streams as the lines of a file come and go, between start and stop; see `FollowedFile`.

    A line is a source, or `SOURCE as NAME`; empty lines and lines that begin with # are skipped. The last " as " of a
    line begins the name, unless the whole line is an existing path. A line has no options. A line that fails is tried
    again at each poll; the second failure is reported. A stream that has ended stays ended until its line is removed
    and added again.

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
        self._add = add
        self._remove = remove
        self._say = say
        self._names: dict[str, str | None] = {}  # stream name by line; None where the stream has ended
        self._failures: dict[str, int] = {}  # number of failures by line
        self._lines: list[str] = []
        self._file = FollowedFile(path, self._follow, say, unchanged=self._begin_lines, name=f"the watch list {path}")

    def start(self) -> None:
        """Follow the file from now on; ActionstreamError when it cannot be read."""
        self._file.start()

    def stop(self) -> None:
        """Stop reading the file; the streams go on."""
        self._file.stop()

    def poll(self) -> None:
        """Add and remove streams as the file has changed, and try failed lines again."""
        self._file.poll()

    def _follow(self, text: str) -> None:
        lines = text.split("\n")
        for number, line in enumerate(lines, start=1):
            if len(line) > MAX_LINE:
                raise ActionstreamError(
                    f"line {number} of the watch list has {len(line):,} characters; a source has {MAX_LINE} at most"
                )
        self._lines = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
        for line in [line for line in self._names if line not in self._lines]:
            name = self._names.pop(line)
            if name is not None:
                with suppress(ActionstreamError):
                    self._remove(name)
        self._failures = {line: count for line, count in self._failures.items() if line in self._lines}
        self._begin_lines()

    def _begin_lines(self) -> None:
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


def _check_no_options(source: str, name: str) -> None:
    words = name if os.path.exists(source) or glob.glob(source) else f"{source} {name}"
    found = next((word for word in words.split() if word.startswith("--")), None)
    if found is None and scheme(source) is not None and len(source.split()) > 1:
        found = "words after its address"  # which may be a part of a password
    if found is not None:
        raise ActionstreamError(
            f"a line of the watch list has {found}; expected SOURCE or SOURCE as NAME; options are for `watch`, and "
            "hold for all sources"
        )
