"""A text file that is read again and again, and tells when it has changed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from actionstream.models.common.errors import ActionstreamError, in_a_line
from actionstream.models.common.files import read_text

POLL_SECONDS = 0.4
EMPTY_POLLS = 5  # an editor or a copy may leave the file empty for some time


class FollowedFile:
    """Follows a file in a thread of its own, between start and stop.

    A change counts when the file reads the same POLL_SECONDS later (EMPTY_POLLS times, where it is empty): a program
    that saves it may empty it first, write it in parts, or replace it. Each poll reads the whole file, since some
    disks, such as network disks, do not report changes or have coarse times.

    changed    gets the text of the file: once from `start`, then after each change. An ActionstreamError that it raises
               is shown, and the text counts as seen
    say        shows a line of text to the user
    unchanged  called at each poll at which the file is as before
    name       of the file in messages; default: its path
    """

    def __init__(
        self,
        path: Path,
        changed: Callable[[str], None],
        say: Callable[[str], None],
        *,
        unchanged: Callable[[], None] = lambda: None,
        name: str = "",
    ):
        self._path = path
        self._name = name or str(path)
        self._changed = changed
        self._unchanged = unchanged
        self._say = say
        self._text: str | None = None  # that `changed` got last
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"followed file {path}", daemon=True)

    def start(self) -> None:
        """Read the file, and follow it from now on.

        Raises ActionstreamError when the file cannot be read, and what `changed` raises for its text.
        """
        try:
            text = self._read()
        except (ActionstreamError, OSError) as error:
            raise ActionstreamError(f"{self._name} cannot be read: {_reason(error)}") from error
        self._settle(text)
        self._thread.start()

    def stop(self) -> None:
        """Stop reading the file."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(1.0)  # the thread may hang on a disk that does not answer

    def poll(self) -> None:
        """Read the file now, as if it stayed as it is; any error is raised."""
        self._settle(self._read())

    def _settle(self, text: str) -> None:
        if text == self._text:
            self._unchanged()
        else:
            self._text = text
            self._changed(text)

    def _read(self) -> str:
        self._path.stat()  # raises the system's own error where the file is missing
        return read_text(self._path)

    def _run(self) -> None:
        before, num_same, num_failed = self._text, 0, 0
        while not self._stopped.wait(POLL_SECONDS):
            try:
                text = self._read()
            except (ActionstreamError, OSError) as error:
                num_same, num_failed = 0, num_failed + 1
                if num_failed == 2:
                    self._say(f"{self._name} cannot be read: {_reason(error)}; all goes on as it was")
                continue
            num_same = num_same + 1 if text == before else 0
            before, num_failed = text, 0
            if text == self._text or num_same >= (1 if text.strip() else EMPTY_POLLS):
                try:
                    self._settle(text)
                except ActionstreamError as error:
                    for line in str(error).splitlines():
                        self._say(line)
                except Exception as error:  # noqa: BLE001  a fault is told as one, and the file is followed on
                    self._say(in_a_line(error))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "it is no text"
