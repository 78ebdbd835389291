"""What an agent has to report."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from actionstream.results import Counts
from actionstream.serve.board import Fact
from actionstream.serve.latencies import Latencies, Latency

MOST_LINES = 1000


class News:
    """What has happened since the last report that arrived; all calls from any thread.

    The recorder counts here, as in `Metrics`.

    last_counts  of the frames of cameras that are closed
    """

    def __init__(self) -> None:
        self.last_counts: dict[str, Counts] = {}
        self._lock = threading.Lock()
        self._facts: dict[Fact, Any] = {}
        self._latencies = Latencies()
        self._reconnects: Counter[str] = Counter()
        self._said: list[str] = []
        self._sent: dict[str, Any] = {}  # until it has arrived

    def say(self, text: str) -> None:
        """A line for the user."""
        with self._lock:
            self._said = [*self._said, text][-MOST_LINES:]

    def fact(self, fact: Fact, value: Any) -> None:
        """A change of the board."""
        with self._lock:
            self._facts[fact] = value

    def add_facts(self, facts: dict[Fact, Any]) -> None:
        """Tell these, too, unless they have changed since."""
        with self._lock:
            self._facts = facts | self._facts

    def latency(self, camera: str, seconds: float) -> None:
        """A frame has got its label."""
        self._latencies.observe((camera,), seconds)

    def event(self, camera: str, label: str) -> None:
        """The coordinator counts events, as it stores them."""

    def reconnect(self, camera: str) -> None:
        """A camera gives frames again."""
        with self._lock:
            self._reconnects[camera] += 1

    def closed(self, camera: str, counts: Counts) -> None:
        """A camera is not watched any more."""
        self.last_counts[camera] = counts

    def forget(self, camera: str) -> None:
        """Tell nothing more of what is true of a camera."""
        self.last_counts.pop(camera, None)
        with self._lock:
            self._facts = _without(self._facts, camera)
            if self._sent:
                self._sent = {**self._sent, "facts": _without(self._sent["facts"], camera)}

    def collect(self) -> dict[str, Any]:
        """What to report; where the last report has not arrived, all of it again."""
        taken: dict[str, Latency] = {camera: each for (camera,), each in self._latencies.take().items()}
        with self._lock:
            if self._sent:
                for camera, latency in self._sent["latencies"].items():
                    taken.setdefault(camera, Latency.none()).add(latency)
                self._facts = self._sent["facts"] | self._facts
                self._reconnects.update(self._sent["reconnects"])
                self._said = [*self._sent["said"], *self._said][-MOST_LINES:]
            self._sent = {
                "facts": self._facts,
                "latencies": taken,
                "reconnects": dict(self._reconnects),
                "said": self._said,
            }
            self._facts, self._reconnects, self._said = {}, Counter(), []
            return self._sent

    def arrived(self) -> None:
        """The last report has arrived."""
        with self._lock:
            self._sent = {}


def _without(facts: dict[Fact, Any], camera: str) -> dict[Fact, Any]:
    return {fact: value for fact, value in facts.items() if fact.camera != camera}
