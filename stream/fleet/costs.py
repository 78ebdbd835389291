"""What each camera of an agent costs, measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic, process_time

from actionstream.results import Counts

MEASURE_SECONDS = 10.0


class Costs:
    """CPU seconds a second of each camera: of the processes that read it, and its share of this process.

    The CPU time of this process is shared by the number of labelled frames.

    cpu_seconds  of this process so far
    """

    def __init__(self, cpu_seconds: Callable[[], float] = process_time, clock: Callable[[], float] = monotonic):
        self._cpu_seconds = cpu_seconds
        self._clock = clock
        self._at = clock()
        self._own = cpu_seconds()
        self._readers: Mapping[str, float] = {}
        self._labelled: dict[str, int] = {}

    def measure(self, counts: Mapping[str, Counts], readers: Mapping[str, float]) -> dict[str, float]:
        """The costs since the last measurement, where that is MEASURE_SECONDS ago; else nothing.

        counts   of the frames of each camera so far
        readers  CPU seconds of the processes that read each camera, so far

        A camera that was not there, or gave no frame, is not measured.
        """
        now, own = self._clock(), self._cpu_seconds()
        passed = now - self._at
        if passed < MEASURE_SECONDS:
            return {}
        frames = {name: each.labelled - self._labelled[name] for name, each in counts.items() if name in self._labelled}
        total = sum(frames.values())
        costs = {
            name: (max(readers.get(name, 0.0) - self._readers.get(name, 0.0), 0.0) + (own - self._own) * count / total)
            / passed
            for name, count in frames.items()
            if count > 0
        }
        self._at, self._own, self._readers = now, own, dict(readers)
        self._labelled = {name: each.labelled for name, each in counts.items()}
        return costs
