"""Results as JSON lines, for other programs."""

from __future__ import annotations

import json
import os
from typing import TextIO

from actionstream.results import Update
from actionstream.sinks.sink import SinkClosed


class JsonLines:
    """One JSON object a line: notices, predictions, and events, each before its prediction.

    Where a timeline is kept, the segments that a prediction opens or closes follow it, and then new answers of M-TWI.
    """

    def __init__(self, file: TextIO, *, top: int):
        self._file = file
        self._top = top

    def push(self, update: Update) -> None:
        for event in update.events:
            self._write(event.to_dict())
        if update.prediction is not None:
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
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._file.fileno())
            raise SinkClosed from None
