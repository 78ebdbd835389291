"""The file of JSON lines, as a sink."""

from __future__ import annotations

import json
from collections.abc import Sequence

from actionstream.serve.delivery import SinkError
from actionstream.serve.store import Stored
from actionstream.sinks.rotating import RotatingText


class JsonFileSink:
    """Appends each record to a file that rotates, as one line."""

    name = "json"

    def __init__(self, file: RotatingText):
        self._file = file

    def send(self, batch: Sequence[Stored]) -> int:
        try:
            for stored in batch:
                self._file.write(json.dumps(stored.record.to_dict(), ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise SinkError(str(error)) from error
        return len(batch)

    def close(self) -> None:
        self._file.close()
