"""What the page's model says of the sample, for the first screen: computed once, for all visitors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

from actionstream.demos.page.answers import describe, quiet_classes
from actionstream.demos.page.hub import SharedEngine
from actionstream.sources import SAMPLE
from actionstream.sources.video import FileSource

FEW, LEAST = 5, 0.01
"""A row has so many scores, and more where they are at least this."""


class Sample:
    """The labels of the sample, frame by frame, by the engine of all visitors.

    After that the sample costs the engine nothing, whoever looks at it.

    engine  gives the engine of the page's model
    closed  set when the server ends
    """

    def __init__(self, engine: Callable[[], SharedEngine], closed: threading.Event):
        self._engine = engine
        self._closed = closed
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._rows: list[dict[str, Any]] = []
        self._done = False
        with closing(FileSource(str(SAMPLE))) as source:
            self._seconds = source.seconds

    def begin(self) -> SharedEngine:
        """Begin to score, unless that is done already; returns the engine."""
        engine = self._engine()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._score, args=(engine,), name="sample", daemon=True)
                self._thread.start()
        return engine

    def state(self, first: int) -> dict[str, Any]:
        """The rows from number `first` on as JSON, and whether they are all there is."""
        engine = self.begin()
        card, done = engine.card, self._done  # before the rows, which may become more
        about = {
            "labels": card.labels,
            "quiet": quiet_classes(card.labels),
            "interval": card.interval_seconds,
            "span": self._seconds,
        }
        return {"about": about, "rows": self._rows[max(0, first) :], "done": done}

    def _score(self, engine: SharedEngine) -> None:
        try:
            stream = engine.open()
            try:
                self._push(engine, stream)
            finally:
                engine.close(stream)
        finally:
            self._done = True  # also after an error: the page shows what there is

    def _push(self, engine: SharedEngine, stream: str) -> None:
        with closing(FileSource(str(SAMPLE))) as source:
            for frame in source:
                if self._closed.is_set():
                    return
                said = engine.push(stream, frame.picture, frame.time_seconds)
                if said is not None and not said.warming_up:
                    self._rows.append(_short(describe(said)))


def _short(described: dict[str, Any]) -> dict[str, Any]:
    """What the page draws of a prediction."""
    scores = [
        [index, round(score, 2)]
        for place, (index, score) in enumerate(described["scores"])
        if place < FEW or score >= LEAST
    ]
    return {"time": described["time"], "scores": scores, "events": described["events"]}
