"""Reading a source at its own pace: the one place with a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from stream.frame import Frame
from stream.sources import Source


class FileReader:
    """Takes every frame of a source that waits; with `realtime` at the source's own speed."""

    dropped = 0

    def __init__(self, source: Source, *, realtime: bool = False):
        self._source = source
        self._realtime = realtime

    def __iter__(self) -> Iterator[Frame]:
        begin: float | None = None
        for frame in self._source:
            if self._realtime:
                if begin is None:
                    begin = time.perf_counter() - frame.time_seconds
                time.sleep(max(0.0, begin + frame.time_seconds - time.perf_counter()))
                frame = replace(frame, available=time.perf_counter())
            yield frame

    def close(self) -> None:
        """Release the source."""
        self._source.close()


class LiveReader:
    """Drains a live source in a thread of its own: the newest frame wins; `dropped` counts those nobody took."""

    def __init__(self, source: Source):
        self.dropped = 0
        self._source = source
        self._newest: Frame | None = None
        self._ended = False
        self._error: Exception | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._drain, name=f"reader of {source.name}", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self._next()) is not None:
            yield frame
        if self._error is not None:
            raise self._error

    def _next(self) -> Frame | None:
        with self._changed:
            # a bounded wait, so that signals are seen while a camera is silent
            while self._newest is None and not self._ended:
                self._changed.wait(0.2)
            frame, self._newest = self._newest, None
            return frame

    def close(self) -> None:
        """Stop reading; the source is released when its last read returns, for which two seconds are waited."""
        with self._changed:
            self._ended = True
        self._thread.join(2.0)

    def _drain(self) -> None:
        try:
            for frame in self._source:
                with self._changed:
                    if self._ended:
                        break
                    if self._newest is not None:
                        self.dropped += 1
                    self._newest = frame
                    self._changed.notify()
        except Exception as error:  # noqa: BLE001  handed to the consumer, whatever it is
            self._error = error
        finally:
            self._source.close()  # here, since no camera likes to be released while it is read
        with self._changed:
            self._ended = True
            self._changed.notify()
