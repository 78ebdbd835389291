"""Delivery of records to a sink, in a thread of its own: at its own pace, from its own place in the store."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from actionstream.live.reconnect import wait_seconds
from actionstream.serve.store import Store, Stored

BATCH = 100


class SinkError(Exception):
    """A sink cannot take records now; it is tried again later."""


class EventSink(Protocol):
    """Takes records of events. All calls come from the thread of its delivery.

    name  names its place in the store: the same after a restart
    """

    name: str

    def send(self, batch: Sequence[Stored]) -> int:
        """Send the first records of a batch; returns how many have arrived for sure, at least one.

        Raises SinkError where none has arrived; the same records come again.
        """

    def close(self) -> None:
        """Release what it holds."""


class Delivery:
    """Sends all records of the store to a sink, in order, each at least once.

    A sink that fails is tried again with exponential backoff; the first failure and the return are said.
    """

    def __init__(self, sink: EventSink, store: Store, say: Callable[[str], None]):
        self.sink = sink
        self.failure: str | None = None
        self._store = store
        self._say = say
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"delivery to {sink.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Send what waits, for some seconds at most, and end; what was not sent stays in the store."""
        self._stopped.set()
        self._store.wake()
        self._thread.join(seconds)
        self.sink.close()

    def _run(self) -> None:
        failures, last = 0, 0
        while True:
            try:
                batch = self._store.after(self.sink.name, BATCH)
                if not batch:
                    if self._stopped.is_set():
                        return
                    self._store.wait(last, 1.0)
                    continue
                taken = self.sink.send(batch)
                last = batch[taken - 1].number
                self._store.taken(self.sink.name, last)
            except (SinkError, sqlite3.Error) as error:
                failures += 1
                if failures == 1:
                    self._say(f"{self.sink.name}: {error}; records wait in the store")
                self.failure = str(error)
                if self._stopped.is_set() or self._stopped.wait(wait_seconds(failures)):
                    return
                continue
            if failures:
                self._say(f"{self.sink.name} takes records again")
            failures, self.failure = 0, None
