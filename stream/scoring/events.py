"""Labels that start and end, from smoothed probabilities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from stream.prediction import Event

Threshold = float | Mapping[str, float]


class EventDetector:
    """Hysteresis for each class on its own.

    start                 a label starts when its score reaches this
    end                   and ends when its score falls below this; half of `start` unless given
    min_duration_seconds  a start is told when the score has stayed up for this long, with the time at which
                          it came up; what is shorter is no event

    Thresholds are numbers between 0 and 1, or a mapping from labels to them with "*" for the others.
    """

    def __init__(
        self,
        stream: str,
        names: Sequence[str],
        *,
        start: Threshold = 0.6,
        end: Threshold | None = None,
        min_duration_seconds: float = 0.2,
    ):
        self.stream = stream
        self.names = tuple(names)
        self._start = thresholds(start, self.names)
        self._end = self._start / 2 if end is None else thresholds(end, self.names)
        wrong = [name for name, up, down in zip(self.names, self._start, self._end, strict=True) if down > up]
        if wrong:
            raise ValueError(f"the end threshold of {wrong[0]!r} is above its start threshold")
        if not min_duration_seconds >= 0 or math.isinf(min_duration_seconds):
            raise ValueError(f"the minimum duration is {min_duration_seconds} seconds; it must be 0 or more")
        self.min_duration_seconds = min_duration_seconds
        self._up = np.full(len(self.names), np.nan)  # since when a label has been up; NaN where it is down
        self._told = np.zeros(len(self.names), bool)
        self._last = np.zeros(len(self.names))

    def push(self, smoothed: np.ndarray, time_seconds: float) -> list[Event]:
        """The events that a smoothed row (K,) makes; ends before starts."""
        self._last = smoothed
        ends = ~np.isnan(self._up) & (smoothed < self._end)
        events = self._close(ends, smoothed, time_seconds)
        self._up[np.isnan(self._up) & (smoothed >= self._start)] = time_seconds
        lasting = ~self._told & (time_seconds - self._up >= self.min_duration_seconds - 1e-9)
        for index in np.flatnonzero(lasting).tolist():
            self._told[index] = True
            events.append(self._event("start", index, self._up[index], smoothed[index]))
        return events

    def flush(self, time_seconds: float) -> list[Event]:
        """End what is still up: the stream has ended, or has to start anew."""
        return self._close(~np.isnan(self._up), self._last, time_seconds)

    def _close(self, which: np.ndarray, smoothed: np.ndarray, time_seconds: float) -> list[Event]:
        told = np.flatnonzero(which & self._told).tolist()
        self._up[which] = np.nan
        self._told[which] = False
        return [self._event("end", index, time_seconds, smoothed[index]) for index in told]

    def _event(self, kind: Literal["start", "end"], index: int, time_seconds: float, score: float) -> Event:
        return Event(
            stream=self.stream,
            event=kind,
            label=self.names[index],
            time_seconds=float(time_seconds),
            score=float(score),
        )


def thresholds(value: Threshold, names: Sequence[str]) -> np.ndarray:
    """A threshold for each class, float64 (K,); ValueError unless all lie between 0 and 1."""
    if isinstance(value, Mapping):
        unknown = set(value) - set(names) - {"*"}
        if unknown:
            raise ValueError(f"no label is called {sorted(unknown)[0]!r}; there are {', '.join(names)}")
        missing = [name for name in names if name not in value and "*" not in value]
        if missing:
            raise ValueError(f"no threshold for {missing[0]!r}: name every label, or give '*' for the others")
        numbers = [value.get(name, value.get("*")) for name in names]
    else:
        numbers = [value] * len(names)
    array = np.array(numbers, np.float64)
    if not ((array >= 0) & (array <= 1)).all():
        raise ValueError(f"a threshold is a number from 0 to 1, not {value}")
    return array
