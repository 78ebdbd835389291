"""Delivery of records to a sink, in a thread of its own: at its own pace, from its own place in the store."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from actionstream.live.reconnect import wait_seconds
from actionstream.models.common.errors import in_a_line
from actionstream.serve.store import Store, Stored

BATCH = 100


class SinkError(Exception):
    """A sink cannot take records now; it is tried again later."""


class EventSink(Protocol):
    """Takes records of events.

    name  names its place in the store: the same after a restart
    """

    name: str

    def send(self, batch: Sequence[Stored]) -> int:
        """Send the first records of a batch; returns how many have arrived for sure, at least one.

        It is called in the thread of the delivery. Raises SinkError where none has arrived: the same records come
        again.
        """

    def close(self) -> None:
        """Release what it holds; a `send` that still waits fails."""


class Delivery:
    """Sends all records of the store to a sink, in order, each at least once.

    A sink that fails is tried again with exponential backoff; the first failure and the return are said.

    failure   why the last try failed; None where it did not
    failures  the number of tries that failed so far
    """

    def __init__(self, sink: EventSink, store: Store, say: Callable[[str], None]):
        self.sink = sink
        self.failure: str | None = None
        self.failures = 0
        self._store = store
        self._say = say
        self._stopped = threading.Event()
        self._abandoned = False  # another delivery may go on from the same place in the store
        self._thread = threading.Thread(target=self._run, name=f"delivery to {sink.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Send what waits, for some seconds at most, and end; what was not sent stays in the store.

        A `send` that takes longer counts for nothing: its records come again.
        """
        self._stopped.set()
        self._store.wake()
        self._thread.join(seconds)
        self._abandoned = True
        self.sink.close()

    def _run(self) -> None:
        failures_in_a_row = 0
        while not self._abandoned:
            stopping, newest = self._stopped.is_set(), self._store.newest
            try:
                batch = self._store.after(self.sink.name, BATCH)
                if batch:
                    taken = self.sink.send(batch)
                    if not self._abandoned:
                        self._store.taken(self.sink.name, batch[taken - 1].number)
            except Exception as error:  # noqa: BLE001  a fault of ours is told as one, and the other sinks go on
                if self._abandoned:
                    return
                failures_in_a_row += 1
                self.failures += 1
                self._fail(error)
                if stopping or self._stopped.wait(wait_seconds(failures_in_a_row)):
                    return
                continue
            if not batch:
                if stopping:
                    return
                self._store.wait(newest, 1.0)
            elif failures_in_a_row:
                failures_in_a_row, self.failure = 0, None
                self._say(f"{self.sink.name} takes records again")

    def _fail(self, error: Exception) -> None:
        text = str(error) if isinstance(error, SinkError | sqlite3.Error) else in_a_line(error)
        if self.failure is None:
            self._say(f"{self.sink.name}: {text}; records wait in the store")
        self.failure = text
