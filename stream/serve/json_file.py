"""The file of JSON lines, as a sink."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from actionstream.serve.delivery import SinkError
from actionstream.serve.store import Stored
from actionstream.sinks.rotating import RotatingText


class JsonFileSink:
    """Appends each record to a file that rotates, as one line; see `RotatingText`."""

    name = "json"

    def __init__(self, path: Path, *, max_bytes: float, max_seconds: float, keep: int, clock: Callable[[], float]):
        self._file = RotatingText(
            path, max_bytes=max_bytes, max_seconds=max_seconds, keep=keep, clock=clock, say=lambda _: None
        )

    def send(self, batch: Sequence[Stored]) -> int:
        for number, stored in enumerate(batch):
            num_lost = self._file.num_lost
            self._file.write(json.dumps(stored.record.to_dict(), ensure_ascii=False) + "\n")
            if self._file.num_lost > num_lost:  # it was not written, and is written later
                if number == 0:
                    raise SinkError(self._file.failure)
                return number
        return len(batch)

    def close(self) -> None:
        self._file.close()
