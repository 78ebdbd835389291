"""Thresholds of events, chosen on footage in which nothing happens: each start there is a false one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from actionstream.models.common.errors import ActionstreamError
from actionstream.scoring.events import EventDetector, thresholds
from actionstream.scoring.smoothing import Smoother

GRID = np.arange(1, 101) / 100
"""The thresholds that are tried; no probability of a softmax stays at the last one."""


@dataclass(frozen=True, eq=False)
class FalseStarts:
    """The number of false starts in footage without action.

    labels   K labels that can start
    counts   int (G, K): the starts of each label at each threshold of GRID
    seconds  of footage
    """

    labels: tuple[str, ...]
    counts: np.ndarray
    seconds: float

    @property
    def hours(self) -> float:
        return self.seconds / 3600

    def at(self, chosen: Mapping[str, float] | float) -> int:
        """The number of false starts at thresholds, see `EventDetector`; they are rounded up to GRID."""
        places = np.searchsorted(GRID, thresholds(chosen, self.labels) - 1e-9)
        return int(self.counts[places, np.arange(len(self.labels))].sum())

    def only(self, label: str) -> FalseStarts:
        """Those of one label."""
        column = self.labels.index(label)
        return FalseStarts((label,), self.counts[:, column : column + 1], self.seconds)

    def choose(self, per_hour: float) -> dict[str, float]:
        """The lowest thresholds at which false starts are as rare as this.

        The starts that are allowed are shared evenly: the next one always goes to the label that has the fewest.

        Raises ActionstreamError where the footage is too short for one false start.
        """
        allowed = math.floor(per_hour * self.hours + 1e-9)
        if allowed < 1:
            raise ActionstreamError(
                f"the footage without action lasts {self.seconds / 60:.1f} minutes, in which {per_hour:g} false starts "
                f"an hour are not one; expected {60 / per_hour:.0f} minutes or more, or "
                f"{math.ceil(1 / self.hours)} false starts an hour or more"
            )
        falling = np.maximum.accumulate(self.counts[::-1])[::-1]  # a lower threshold may join two starts to one
        columns = np.arange(len(self.labels))
        places = (falling > 0).sum(axis=0).clip(max=len(GRID) - 1)
        open_labels = set(columns.tolist())
        while open_labels:
            starts = falling[places, columns]
            label = min(open_labels, key=lambda column: (starts[column], -places[column]))
            lower = int((falling[:, label] > falling[max(places[label] - 1, 0), label]).sum())
            more = falling[lower, label] - starts[label]
            if places[label] > 0 and starts.sum() + more <= allowed:
                places[label] = lower
            else:
                open_labels.remove(label)
        return {name: float(GRID[place]) for name, place in zip(self.labels, places, strict=True)}


def count_false_starts(
    streams: Iterable[tuple[np.ndarray, np.ndarray]],
    labels: Sequence[str],
    *,
    background: str | None,
    interval_seconds: float,
    smoothing_seconds: float = 0.3,
) -> FalseStarts:
    """Count the starts of all labels but the background, as the engine makes them with its default settings.

    streams           probabilities (n, K) of rows after the warm-up, and their times in seconds (n,)
    interval_seconds  between two rows: how long the last one lasts
    """
    names = [label for label in labels if label != background]
    columns = [labels.index(name) for name in names]
    tried = [f"{name} {place}" for name in range(len(names)) for place in range(len(GRID))]
    starts = dict(zip(tried, np.tile(GRID, len(names)).tolist(), strict=True))
    counts = np.zeros(len(tried), np.int64)
    numbers = {name: number for number, name in enumerate(tried)}
    seconds = 0.0
    for probabilities, times in streams:
        smoother, detector = Smoother(smoothing_seconds), EventDetector("", tried, start=starts)
        for row, time_seconds in zip(probabilities, times.tolist(), strict=True):
            smoothed = np.repeat(smoother.push(row, time_seconds)[columns], len(GRID))
            for event in detector.push(smoothed, time_seconds):
                counts[numbers[event.label]] += event.event == "start"
        seconds += len(times) and float(times[-1] - times[0]) + interval_seconds
    return FalseStarts(tuple(names), counts.reshape(len(names), len(GRID)).T, seconds)


def poisson_interval(count: int) -> tuple[float, float]:
    """The 95 % confidence interval of the mean of a Poisson distribution, after one count of it (Garwood, 1936)."""

    def below(mean: float, last: int) -> float:
        """The probability of `last` or fewer."""
        return sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(last + 1))

    def solve(last: int, probability: float) -> float:
        low, high = 1e-9, 2.0 * count + 20
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if below(middle, last) > probability else (low, middle)
        return low

    return (solve(count - 1, 0.975) if count else 0.0), solve(count, 0.025)
