"""The file of JSON lines, as a sink."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from actionstream.serve.delivery import SinkError
from actionstream.serve.store import Stored
from actionstream.sinks.rotating import RotatingText


class JsonFileSink:
    """Appends each record to a file that rotates, as one line; see `RotatingText`.

    It has arrived when it stands on the disk, where no power cut takes it away.
    """

    name = "json"

    def __init__(self, path: Path, *, max_bytes: float, max_seconds: float, keep: int, clock: Callable[[], float]):
        self._file = RotatingText(
            path, max_bytes=max_bytes, max_seconds=max_seconds, keep=keep, clock=clock, say=lambda _: None
        )

    def send(self, batch: Sequence[Stored]) -> int:
        num_written = 0
        for stored in batch:
            num_lost = self._file.num_lost
            self._file.write(json.dumps(stored.record.to_dict(), ensure_ascii=False) + "\n")
            if self._file.num_lost > num_lost:  # it was not written, and is written later
                break
            num_written += 1
        if num_written == 0:
            raise SinkError(self._file.failure)
        self._file.sync()
        return num_written

    def close(self) -> None:
        self._file.close()
