"""Chooses the streams of the next batch, when there is no time for all."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Stream = TypeVar("Stream", bound=Hashable)


@dataclass
class StepTime:
    """A model of the seconds that a step of n frames takes: a + b n, fitted to recent steps by least squares."""

    memory: float = 0.95  # the weight of a step falls by this factor with each further step

    def __post_init__(self) -> None:
        self._weight = self._n = self._t = self._nn = self._nt = 0.0

    def push(self, n: int, seconds: float) -> None:
        """Record the duration of a step of n frames."""
        self._weight, self._n, self._t, self._nn, self._nt = (
            old * self.memory + new
            for old, new in zip(
                (self._weight, self._n, self._t, self._nn, self._nt), (1, n, seconds, n * n, n * seconds), strict=True
            )
        )

    def __call__(self, n: int) -> float:
        """The expected duration of a step of n frames; 0 before the first step."""
        if self._weight == 0:
            return 0.0
        mean_n, mean_t = self._n / self._weight, self._t / self._weight
        spread = self._nn / self._weight - mean_n**2
        slope = mean_t / mean_n
        if spread > 1e-3:
            slope = min(slope, max(0.0, (self._nt / self._weight - mean_n * mean_t) / spread))
        return max(mean_t + slope * (n - mean_n), 0.0)


@dataclass(frozen=True, slots=True)
class Candidate(Generic[Stream]):
    """A frame that waits: its stream, its age, whether it is of no use when it is old, and its rows in a batch."""

    stream: Stream
    age_seconds: float
    perishable: bool
    rows: int = 1


class Batcher(Generic[Stream]):
    """Chooses the streams of the next batch, so that the label of a live frame comes within two intervals.

    Without live streams, and while a step takes less than an interval, the batch has all streams with a frame. Else it
    has as many as fit into an interval (or cost little more than a single one); streams that were served longest ago
    come first. A live frame is stale when it is older than an interval, or too old to be labelled within two intervals,
    unless a step alone takes longer than that.
    """

    def __init__(self, interval_seconds: float):
        self.interval_seconds = interval_seconds
        self.step_time = StepTime()
        self._turn = 0
        self._served: dict[Stream, int] = {}

    def choose(self, candidates: Sequence[Candidate[Stream]]) -> tuple[list[Stream], list[Stream]]:
        """The streams of the next batch, and the streams with a stale frame."""
        candidates = sorted(candidates, key=lambda each: self._served.get(each.stream, 0))
        limit, rows = len(candidates), sum(each.rows for each in candidates)
        if any(candidate.perishable for candidate in candidates):
            budget = max(self.interval_seconds, 1.25 * self.step_time(1))
            while limit > 1 and self.step_time(rows) > budget:
                limit -= 1
                rows -= candidates[limit].rows
        left = 1.9 * self.interval_seconds - self.step_time(rows)
        oldest = min(left, self.interval_seconds) if left > 0 else self.interval_seconds
        stale = [each.stream for each in candidates if each.perishable and each.age_seconds > oldest]
        if len(stale) == len(candidates):  # without a step, a wrong estimate would never be corrected
            stale = [each.stream for each in candidates if each.age_seconds > self.interval_seconds]
        return [each.stream for each in candidates if each.stream not in stale][:limit], stale

    def served(self, streams: Sequence[Stream], seconds: float, *, rows: int | None = None) -> None:
        """Record a step with a frame of each of these streams, its duration, and its rows: one a stream if None."""
        for stream in streams:
            self._turn += 1
            self._served[stream] = self._turn
        self.step_time.push(len(streams) if rows is None else rows, seconds)

    def forget(self, stream: Stream) -> None:
        """Remove a stream that has ended."""
        self._served.pop(stream, None)
