"""Latencies of cameras: how many in each bucket, their sum, and how many came of late."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

LATENCY_SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5.0, 10.0)
"""The upper bounds of the buckets; one more bucket has what is above."""
LATELY_SECONDS = 5.0

Key = tuple[str, ...]
"""A camera; and its node, where there are several."""


@dataclass
class Latency:
    """The labelled frames of a camera: their number in each bucket, and the sum of their latencies in seconds."""

    buckets: list[int]
    seconds: float = 0.0

    @classmethod
    def none(cls) -> Latency:
        """That of a camera without frames."""
        return cls([0] * (len(LATENCY_SECONDS) + 1))

    @property
    def count(self) -> int:
        return sum(self.buckets)

    def observe(self, seconds: float) -> None:
        """Add one frame."""
        self.buckets[bisect_left(LATENCY_SECONDS, seconds)] += 1
        self.seconds += seconds

    def add(self, other: Latency) -> None:
        """Add the frames of another one."""
        self.buckets = [one + more for one, more in zip(self.buckets, other.buckets, strict=True)]
        self.seconds += other.seconds


class Latencies:
    """The latencies of all cameras; all calls from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: dict[Key, Latency] = {}
        self._marks: deque[tuple[float, dict[Key, tuple[int, float]]]] = deque(maxlen=2)

    def observe(self, key: Key, seconds: float) -> None:
        """A frame of a camera has got its label after so many seconds."""
        with self._lock:
            self._all.setdefault(key, Latency.none()).observe(seconds)

    def add(self, key: Key, latency: Latency) -> None:
        """Add frames that were counted elsewhere."""
        with self._lock:
            self._all.setdefault(key, Latency.none()).add(latency)

    def take(self) -> dict[Key, Latency]:
        """All so far; they begin again at nothing."""
        with self._lock:
            taken, self._all = self._all, {}
        return taken

    def all(self) -> Mapping[Key, Latency]:
        """A copy of all."""
        with self._lock:
            return {key: Latency(list(each.buckets), each.seconds) for key, each in self._all.items()}

    def mark(self) -> None:
        """Note the present sums, for `lately`; called all the time."""
        now = monotonic()
        with self._lock:
            if not self._marks or now - self._marks[-1][0] >= LATELY_SECONDS:
                self._marks.append((now, {key: (each.count, each.seconds) for key, each in self._all.items()}))

    def lately(self, key: Key) -> tuple[float, float | None]:
        """Labelled frames a second of a camera in the last LATELY_SECONDS or some more, and their mean latency in ms.

        The latency is None where there were none.
        """
        with self._lock:
            now = self._all.get(key)
            if not self._marks or now is None:
                return 0.0, None
            since, sums = self._marks[0]
            count, seconds = sums.get(key, (0, 0.0))
            count, seconds = now.count - count, now.seconds - seconds
        passed = max(monotonic() - since, 1.0)
        return count / passed, 1000 * seconds / count if count else None
