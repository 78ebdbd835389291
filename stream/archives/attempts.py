"""The log of attempts: which process did which video of an archive, when, and how that ended."""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

from actionstream.models.common.checked import checked, parse_json
from actionstream.models.common.errors import ActionstreamError

FOLDER = "attempts"
Outcome = Literal["", "done", "failed", "hung", "died"]
"""How an attempt ended; "" where nobody could tell: it goes on, or its process was killed with the one that watched it.

What was killed between the results and this line is done all the same: NAME.json says so."""


@checked
class Attempt:
    """An attempt at a video.

    name           of the video
    number         1 for the first one of a run
    node           the name of the machine
    begin_seconds  since 1970
    end_seconds    since 1970
    outcome        see Outcome
    reason         why it is not done
    """

    name: str
    number: int
    node: str
    begin_seconds: float
    end_seconds: float | None = None
    outcome: Outcome = ""
    reason: str = ""


class AttemptLog:
    """Writes attempts; each process has a file of its own, as several machines cannot add lines to one file."""

    def __init__(self, folder: Path):
        self._node = socket.gethostname()
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        name = f"{self._node}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        self._file = (folder / FOLDER / name).open("a", encoding="utf-8")

    def begin(self, name: str, number: int) -> Attempt:
        return self._write(Attempt(name=name, number=number, node=self._node, begin_seconds=time.time()))

    def end(self, attempt: Attempt, outcome: Outcome, reason: str = "") -> Attempt:
        return self._write(replace(attempt, end_seconds=time.time(), outcome=outcome, reason=reason))

    def close(self) -> None:
        self._file.close()

    def _write(self, attempt: Attempt) -> Attempt:
        self._file.write(json.dumps(asdict(attempt)) + "\n")
        self._file.flush()
        return attempt


def read_attempts(folder: Path) -> list[Attempt]:
    """All attempts of all runs, in order of their begin."""
    found = [attempt for path in (folder / FOLDER).glob("*.jsonl") for attempt in _read(path).values()]
    return sorted(found, key=lambda each: each.begin_seconds)


def _read(path: Path) -> dict[float, Attempt]:
    """The attempts of a process by their begin: the line of the end replaces that of the begin."""
    found: dict[float, Attempt] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(ActionstreamError):  # the line was being written when the process was killed
            attempt = parse_json(line, Attempt, path)
            found[attempt.begin_seconds] = attempt
    return found
