"""Results as JSON lines, for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

from actionstream.results import Update
from actionstream.sinks.sink import SinkClosed

SCHEMA_FILE = Path(__file__).with_name("lines.schema.json")
"""The JSON Schema of a line."""


class TextFile(Protocol):
    """What takes the lines: a file, a `SpooledText`, a `RotatingText`."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> None: ...


class JsonLines:
    """One JSON object a line: notices, predictions, and events, each before its prediction.

    Where a timeline is kept, the segments that a prediction opens or closes follow it, and then new answers of M-TWI.
    lines.schema.json describes every line. With `events_only` there are no predictions.
    """

    def __init__(self, file: TextFile, *, top: int, events_only: bool = False):
        self._file = file
        self._top = top
        self._events_only = events_only

    def push(self, update: Update) -> None:
        for event in update.events:
            self._write(event.to_dict())
        if update.prediction is not None and not self._events_only:
            self._write(update.prediction.to_dict(self._top))
        if update.timeline is not None:
            for value in update.timeline.to_dicts(self._top):
                self._write(value)
        if update.notice is not None:
            self._write(update.notice.to_dict())

    def close(self) -> None:
        self._file.flush()

    def _write(self, value: dict) -> None:
        try:
            # one write for the whole line, so that a signal cannot leave half a line
            self._file.write(json.dumps(value, ensure_ascii=False) + "\n")
            self._file.flush()
        except BrokenPipeError:
            raise SinkClosed from None
