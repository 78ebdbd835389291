"""Segments of a live stream: announced soon after they start, closed soon after they end, and then never revised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actionstream.models.common.errors import ActionstreamError
from actionstream.results import Event, OpenSegment, Segment
from actionstream.sampler import gap_after
from actionstream.scoring.events import (
    MIN_DURATION_SECONDS,
    START,
    EventDetector,
    Seconds,
    Threshold,
    durations,
    thresholds,
)
from actionstream.scoring.smoothing import Smoother

MAX_DIP_SECONDS = 0.4
"""The longest dip of labels of a model that brings none."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """The sums before a row: of smoothed probabilities (K,), and the number of rows."""

    sums: np.ndarray
    num_rows: int


class SegmentTracker:
    """The segments of one stream, each label on its own, from the rows of probabilities as they come.

        tracker = SegmentTracker(labels, interval_seconds=card.interval_seconds)
        for row, time_seconds in rows:
            for news in tracker.push(row, time_seconds):      # OpenSegment: announced; Segment: closed
                ...
        last = tracker.flush()

    It is an `EventDetector` that remembers: a segment lasts from the start of a label to its end, and its score is the
    mean of the smoothed probability in between.

    A segment is announced with the first row that lies `announce_delay_seconds` or more after its start, and closed no
    later than with the first one `close_delay_seconds` or more after its end. Its announced label and start do not
    change, and a closed segment is never reported again. The delays count from the reported times, which are those of
    the smoothed probability.

    A gap, as `Sampler` defines it, ends all segments.

    background         a label that has no segments
    interval_seconds   between two rows; the last row, and a row before a gap, ends this long after its time
    smoothing_seconds  as for `Smoother`; 0 where the rows are already smoothed
    start, end, min_duration_seconds, max_dip_seconds
                       as for `EventDetector`
    """

    _last_seconds: float
    _now: _Mark
    _marks: dict[float, _Mark]  # of the last rows: a start or an end there may still be reported
    _open: dict[str, tuple[float, _Mark]]  # start, and the sums before it

    def __init__(
        self,
        labels: Sequence[str],
        *,
        interval_seconds: float,
        background: str | None = None,
        smoothing_seconds: float = 0.3,
        start: Threshold = START,
        end: Threshold | None = None,
        min_duration_seconds: Seconds = MIN_DURATION_SECONDS,
        max_dip_seconds: Seconds = MAX_DIP_SECONDS,
    ):
        if background is not None and background not in labels:
            raise ActionstreamError(f"no label is called {background!r}; there are {', '.join(labels)}")
        self._num_labels = len(labels)
        self._classes = [index for index, label in enumerate(labels) if label != background]
        self._places = {labels[index]: place for place, index in enumerate(self._classes)}
        self._interval_seconds = interval_seconds
        self._gap_seconds = gap_after(interval_seconds)
        self._smoother = Smoother(smoothing_seconds)
        self._detector = EventDetector(
            "",
            list(self._places),
            start=self._of_classes(thresholds(start, labels)),
            end=None if end is None else self._of_classes(thresholds(end, labels)),
            min_duration_seconds=self._of_classes(durations(min_duration_seconds, labels, "minimum duration")),
            max_dip_seconds=self._of_classes(durations(max_dip_seconds, labels, "longest dip")),
        )
        self.reset()

    def _of_classes(self, numbers: np.ndarray) -> dict[str, float]:
        """Those of the labels that have segments, of the numbers of all labels (K,)."""
        return dict(zip(self._places, numbers[self._classes].tolist(), strict=True))

    @property
    def announce_delay_seconds(self) -> float:
        """The longest time from the start of a segment to its announcement, up to the next row."""
        return float(self._detector.min_durations.max(initial=0))

    @property
    def close_delay_seconds(self) -> float:
        """The longest time from the end of a segment to its closing, up to the next row."""
        return float(self._detector.max_dips.max(initial=0))

    @property
    def open_segments(self) -> list[OpenSegment]:
        """The segments that are announced and not closed, the oldest first."""
        return [
            OpenSegment(start_seconds, label, self._mean(label)) for label, (start_seconds, _) in self._open.items()
        ]

    def push(self, probabilities: np.ndarray, time_seconds: float) -> list[OpenSegment | Segment]:
        """Add a row (K,) at its time; returns the segments that it closes, then those that it announces.

        Raises ValueError, and changes nothing, for a row of other classes, a row that is not of probabilities, a time
        that does not increase, and after `flush`.
        """
        row = np.asarray(probabilities)
        if self._flushed:
            raise ActionstreamError("this tracker was flushed; reset() it before pushing more rows")
        if row.shape != (self._num_labels,) or not ((row >= 0) & (row <= 1)).all():
            raise ActionstreamError(f"a row is {self._num_labels} probabilities from 0 to 1, not {row}")
        if not self._last_seconds < time_seconds < math.inf:
            raise ActionstreamError(
                f"a row at {time_seconds} seconds after one at {self._last_seconds}: times increase; flush() and "
                "reset() where a stream begins anew"
            )
        news: list[OpenSegment | Segment] = []
        if time_seconds - self._last_seconds > self._gap_seconds:
            news += self._end_all()
        smoothed = self._smoother.push(row, time_seconds)[self._classes]
        self._last_seconds = float(time_seconds)
        self._marks[self._last_seconds] = self._now
        self._now = _Mark(self._now.sums + smoothed, self._now.num_rows + 1)
        for event in self._detector.push(smoothed, self._last_seconds):
            if event.event == "end":
                news.append(self._close(event))
            else:
                self._open[event.label] = event.time_seconds, self._marks[event.time_seconds]
                news.append(OpenSegment(event.time_seconds, event.label, self._mean(event.label)))
        oldest = self._last_seconds - max(self.announce_delay_seconds, self.close_delay_seconds)
        while self._marks and next(iter(self._marks)) <= oldest + 1e-9:  # what began there has been reported
            del self._marks[next(iter(self._marks))]
        return news

    def flush(self) -> list[Segment]:
        """Close all open segments: the stream has ended, or has to start anew. No more rows until `reset`."""
        self._flushed = True
        return self._end_all()

    def reset(self) -> None:
        """Forget all rows: the next one is the first of a stream. Open segments are not reported; `flush` first."""
        self._flushed = False
        self._last_seconds = -math.inf
        self._forget()

    def _forget(self) -> None:
        self._smoother.reset()
        self._detector.flush(0.0)
        self._now = _Mark(np.zeros(len(self._places)), 0)
        self._marks = {}
        self._open = {}

    def _end_all(self) -> list[Segment]:
        closed = [self._close(event) for event in self._detector.flush(self._last_seconds + self._interval_seconds)]
        self._forget()
        return closed

    def _close(self, event: Event) -> Segment:
        score = self._mean(event.label, self._marks.get(event.time_seconds))
        start_seconds, _ = self._open.pop(event.label)
        return Segment(start_seconds, event.time_seconds, event.label, score)

    def _mean(self, label: str, end: _Mark | None = None) -> float:
        """The mean score of an open segment until a mark, or until now."""
        _, start = self._open[label]
        end = end or self._now
        place = self._places[label]
        return float((end.sums[place] - start.sums[place]) / (end.num_rows - start.num_rows))
