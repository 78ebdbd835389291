"""Labels that start and end, from smoothed probabilities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Literal

import numpy as np

from actionstream.choices import OTHERS
from actionstream.event_id import new_event_id
from actionstream.models.common.errors import ActionstreamError
from actionstream.results import Event

Threshold = float | Mapping[str, float]
Seconds = float | Mapping[str, float]
START = 0.6
"""The threshold of labels of a model that brings none."""
MIN_DURATION_SECONDS = 0.2
"""The minimum duration of their events."""


class EventDetector:
    """Hysteresis for each class on its own.

    start                 a label starts when its score reaches this
    end                   and ends when its score falls below this; half of `start` unless given
    min_duration_seconds  a start is reported when the score has stayed up for this long, with the time at which it came
                          up; a shorter rise is no event
    max_dip_seconds       after its start, an end is reported when the score has stayed below `end` for this long, with
                          the time at which it fell; a shorter dip is no end
    background            the label that means that nothing happens: it is no event
    wall_offset           of a live stream: seconds since 1970 minus its time, at the last row; its events tell both

    Thresholds are numbers between 0 and 1, durations are 0 or more; both may be mappings from labels, with "*" for the
    others.
    """

    def __init__(
        self,
        stream: str,
        names: Sequence[str],
        *,
        start: Threshold = START,
        end: Threshold | None = None,
        min_duration_seconds: Seconds = MIN_DURATION_SECONDS,
        max_dip_seconds: Seconds = 0.0,
        background: str | None = None,
    ):
        self.stream = stream
        self.names = tuple(names)
        self.background = background
        self.set_thresholds(start, end)
        self.min_durations = durations(min_duration_seconds, self.names, "minimum duration")
        self.max_dips = durations(max_dip_seconds, self.names, "longest dip")
        self.wall_offset: float | None = None
        self._ids = [""] * len(self.names)  # of the events that were told
        self._up = np.full(len(self.names), np.nan)  # since when a label has been up; NaN where it is down
        self._fell = np.full(len(self.names), np.nan)  # since when it has been in a dip; NaN where it is not
        self._told = np.zeros(len(self.names), bool)
        self._last = np.zeros(len(self.names))

    @property
    def open_ids(self) -> set[str]:
        """The ids of the events that have started and not ended."""
        return {self._ids[index] for index in np.flatnonzero(self._told).tolist()}

    def set_thresholds(self, start: Threshold, end: Threshold | None = None) -> None:
        """Other thresholds from the next row on; labels that are up stay so until they fall below the new end."""
        self._start = thresholds(start, self.names)
        self._end = self._start / 2 if end is None else thresholds(end, self.names)
        wrong = [name for name, up, down in zip(self.names, self._start, self._end, strict=True) if down > up]
        if wrong:
            raise ActionstreamError(f"the end threshold of {wrong[0]!r} is above its start threshold")
        if self.background is not None:
            self._start[self.names.index(self.background)] = np.inf

    def push(self, smoothed: np.ndarray, time_seconds: float) -> list[Event]:
        """The events that a smoothed row (K,) makes; ends before starts."""
        self._last = smoothed
        low = ~np.isnan(self._up) & (smoothed < self._end)
        self._fell[~low] = np.nan
        self._fell[low & np.isnan(self._fell)] = time_seconds
        over = low & (~self._told | (time_seconds - self._fell >= self.max_dips - 1e-9))
        events = self._close(over, smoothed, self._fell)
        self._up[np.isnan(self._up) & (smoothed >= self._start)] = time_seconds
        lasting = ~self._told & (time_seconds - self._up >= self.min_durations - 1e-9)
        for index in np.flatnonzero(lasting).tolist():
            self._told[index] = True
            self._ids[index] = new_event_id()
            events.append(self._event("start", index, self._up[index], smoothed[index]))
        return events

    def flush(self, time_seconds: float) -> list[Event]:
        """End what is still up: the stream has ended, or has to start anew."""
        ends = np.where(np.isnan(self._fell), time_seconds, self._fell)
        return self._close(~np.isnan(self._up), self._last, ends)

    def _close(self, which: np.ndarray, smoothed: np.ndarray, times_seconds: np.ndarray) -> list[Event]:
        told = np.flatnonzero(which & self._told).tolist()
        events = [self._event("end", index, times_seconds[index], smoothed[index]) for index in told]
        self._up[which] = self._fell[which] = np.nan
        self._told[which] = False
        return events

    def _event(self, kind: Literal["start", "end"], index: int, time_seconds: float, score: float) -> Event:
        return Event(
            stream=self.stream,
            event=kind,
            id=self._ids[index],
            label=self.names[index],
            time_seconds=float(time_seconds),
            wall_seconds=None if self.wall_offset is None else float(time_seconds) + self.wall_offset,
            score=float(score),
        )


def complete_durations(given: Seconds | None, own: Mapping[str, float], usual: float) -> dict[str, float]:
    """Durations by label, with "*" for the others: what is given counts before the model's own ones."""
    seconds = _by_label(given)
    return seconds if OTHERS in seconds else {OTHERS: usual, **own, **seconds}


def complete_thresholds(
    start: Threshold | None, end: Threshold | None, own: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Start and end thresholds by label, with "*" for the others: what is given counts before the model's own ones.

    The end threshold of a label is half of its start threshold unless it, or one for all labels, is given.
    """
    starts, ends = _by_label(start), _by_label(end)
    if OTHERS not in starts:
        starts = {OTHERS: START, **own, **starts}
    if OTHERS not in ends:
        ends = {label: number / 2 for label, number in starts.items()} | ends
    return starts, ends


def _by_label(value: Threshold | None) -> dict[str, float]:
    if value is None:
        return {}
    return dict(value) if isinstance(value, Mapping) else {OTHERS: value}


def thresholds(value: Threshold, names: Sequence[str]) -> np.ndarray:
    """A threshold for each class, float64 (K,); ValueError unless all lie between 0 and 1."""
    numbers = _in_order(value, names, "threshold")
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise ActionstreamError(f"a threshold is a number from 0 to 1, not {value}")
    return numbers


def durations(value: Seconds, names: Sequence[str], what: str) -> np.ndarray:
    """Seconds for each class, float64 (K,); ValueError, which says what it is, unless all are 0 or more."""
    numbers = _in_order(value, names, what)
    if not ((numbers >= 0) & (numbers < math.inf)).all():
        raise ActionstreamError(f"the {what} is {value} seconds; it must be 0 or more")
    return numbers


def _in_order(value: float | Mapping[str, float], names: Sequence[str], what: str) -> np.ndarray:
    """The number of each class, float64 (K,)."""
    if not isinstance(value, Mapping):
        return np.full(len(names), value, np.float64)
    unknown = set(value) - set(names) - {OTHERS}
    if unknown:
        wanted = sorted(unknown)[0]
        nearest = get_close_matches(wanted, names, n=1, cutoff=0)[0]
        raise ActionstreamError(f"no label is called {wanted!r}; nearest is {nearest!r}")
    missing = [name for name in names if name not in value and OTHERS not in value]
    if missing:
        raise ActionstreamError(f"no {what} for {missing[0]!r}: name every label, or give '*' for the others")
    return np.array([value.get(name, value.get(OTHERS)) for name in names], np.float64)
