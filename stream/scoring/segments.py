"""Segments from scores: what happens from when to when in a whole video.

Candidates come from temporal actionness grouping (TAG, in the SSN paper, arXiv:1704.06228), run on the smoothed score
of each class and, where there is a background class, on its complement. Each is moved to the edges of its score,
scored by M-TWI inside and by its contrast to what surrounds it, and the best of those that overlap stay.

Letters: n rows, K classes, M candidates. Candidates are counted in rows: (first, end), the end not included.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from stream.sampler import Sampler
from stream.scoring.mtwi import PUBLISHED, integrate
from stream.scoring.nms import nms, soft_nms

Suppression = Literal["hard", "linear", "gaussian"]

DUPLICATE_IOU = 0.95
MARGIN = 0.25
GRID = tuple(round(0.05 * step, 2) for step in range(1, 20))


@dataclass(frozen=True, slots=True)
class Segment:
    """A label from one time to another, and how sure that is (0 to 1)."""

    start_seconds: float
    end_seconds: float
    label: str
    score: float


@dataclass(frozen=True, kw_only=True)
class SegmentFinder:
    """Finds the segments of a video in the probabilities of its rows.

    smoothing_seconds  standard deviation of the Gaussian that the probabilities are smoothed with; 0: not at all
    thresholds         rows at or above one of these (TAG's gamma) make groups
    shares             neighbouring groups are joined while at least this share of the whole is above the threshold
                       (TAG's tau)
    gap_seconds        more time than this between two rows splits segments (default: that of `Sampler`, after which
                       the network has forgotten what was before)
    min_seconds        shorter segments are left out
    num_labels         how many labels a group of the complement of the background gets, the most likely ones
    suppression        what is done to the worse of two segments that overlap: "hard" drops it, "linear" and
                       "gaussian" lower its score (`nms`, `soft_nms`)
    iou_threshold      for "hard" and "linear": from more overlap than this on
    multi_label        segments of different labels may overlap; if not, one suppresses the other
    min_score          segments below are left out
    max_segments       the best so many are kept
    """

    smoothing_seconds: float = 0.3
    thresholds: tuple[float, ...] = GRID
    shares: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    gap_seconds: float | None = None
    min_seconds: float = 0.2
    num_labels: int = 2
    suppression: Suppression = "hard"
    iou_threshold: float = 0.3
    multi_label: bool = True
    min_score: float = 0.05
    max_segments: int = 1000

    def __post_init__(self) -> None:
        for what, seconds in (("smoothing time", self.smoothing_seconds), ("minimum duration", self.min_seconds)):
            if not 0 <= seconds < math.inf:
                raise ValueError(f"the {what} is {seconds} seconds; it must be 0 or more")
        for what, values in (("thresholds", self.thresholds), ("shares", self.shares)):
            if not values or not all(0 < value <= 1 for value in values):
                raise ValueError(f"the {what} are {values}; give one or more, each above 0 and at most 1")
        if self.gap_seconds is not None and not self.gap_seconds > 0:
            raise ValueError(f"gap_seconds is {self.gap_seconds}; it must be positive")
        if self.num_labels < 1 or self.max_segments < 1:
            raise ValueError(f"num_labels is {self.num_labels}, max_segments {self.max_segments}; both are 1 or more")
        if self.suppression not in get_args(Suppression):
            raise ValueError(f"no suppression {self.suppression!r}; there are {', '.join(get_args(Suppression))}")
        for what, share in (("IoU threshold", self.iou_threshold), ("minimum score", self.min_score)):
            if not 0 <= share <= 1:
                raise ValueError(f"the {what} is {share}; it is a number from 0 to 1")

    def find(
        self,
        probabilities: np.ndarray,
        times_seconds: np.ndarray,
        labels: Sequence[str],
        *,
        background: str | None = None,
        interval_seconds: float,
    ) -> list[Segment]:
        """The segments of a video, best first.

        probabilities     (n, K), of softmax or sigmoid
        times_seconds     (n,), increasing: a row stands for the time from its own to that of the next row
        labels            a name for each of the K classes
        background        the class that says that nothing happens; it has no segments itself
        interval_seconds  between two rows; what the last row, and one before a gap, stands for

        ValueError for input that is not as above.
        """
        rows, times = _checked(probabilities, times_seconds, labels, background)
        gap_seconds = Sampler(interval_seconds, self.gap_seconds).gap_seconds
        assert gap_seconds is not None
        found = [np.empty((0, 5))]
        for first, end in _runs(times, gap_seconds):
            ends = np.append(times[first + 1 : end], times[end - 1] + interval_seconds)
            found.append(self._find_in_run(rows[first:end], times[first:end], ends, labels, background))
        starts, ends, classes, scores, _ = np.concatenate(found).T
        segments = np.stack([starts, ends], axis=1)
        groups = classes if self.multi_label else np.zeros(len(classes))
        if self.suppression == "hard":
            kept = nms(segments, scores, iou_threshold=self.iou_threshold, groups=groups)
            scores = scores[kept]
        else:
            kept, scores = soft_nms(
                segments,
                scores,
                method=self.suppression,
                iou_threshold=self.iou_threshold,
                min_score=self.min_score,
                groups=groups,
            )
        found_best = zip(segments[kept].tolist(), classes[kept].astype(int).tolist(), scores.tolist(), strict=True)
        return [Segment(*segment, labels[index], score) for segment, index, score in found_best][: self.max_segments]

    def _find_in_run(
        self, rows: np.ndarray, times: np.ndarray, ends: np.ndarray, labels: Sequence[str], background: str | None
    ) -> np.ndarray:
        """(M, 5) of rows without a gap: start, end, class, score, contrast."""
        smoothed = smooth(rows, self.smoothing_seconds / float(np.median(ends - times)))
        classes = [index for index, label in enumerate(labels) if label != background]
        sums = np.concatenate([np.zeros((1, rows.shape[1])), smoothed.cumsum(axis=0)])
        candidates = [np.empty((0, 3), np.int64)]
        for index in classes:
            spans = refine(group(smoothed[:, index], self.thresholds, self.shares), smoothed[:, index], 4)
            candidates.append(np.column_stack([spans, np.full(len(spans), index)]))
        if background is not None:
            actionness = 1 - smoothed[:, labels.index(background)]
            spans = refine(group(actionness, self.thresholds, self.shares), actionness, 4)
            means = (sums[spans[:, 1]] - sums[spans[:, 0]])[:, classes]
            best = np.argsort(-means, axis=1, kind="stable")[:, : self.num_labels]
            for place in best.T:
                candidates.append(np.column_stack([spans, np.array(classes)[place]]))
        first, end, index = np.unique(np.concatenate(candidates), axis=0).T
        contrast = contrasts(sums, first, end, index)
        wanted = (contrast >= self.min_score**2) & (contrast > 0) & (ends[end - 1] - times[first] >= self.min_seconds)
        first, end, index, contrast = first[wanted], end[wanted], index[wanted], contrast[wanted]
        kept = nms(np.stack([first, end], axis=1), contrast, iou_threshold=DUPLICATE_IOU, groups=index)
        first, end, index, contrast = first[kept], end[kept], index[kept], contrast[kept]
        inside = [score_inside(smoothed[i:j, k], times[i:j]) for i, j, k in zip(first, end, index, strict=True)]
        scores = np.sqrt(np.array(inside).reshape(-1) * contrast)
        found = np.stack([times[first], ends[end - 1], index, scores, contrast], axis=1)
        return found[scores >= self.min_score]


def smooth(rows: np.ndarray, sigma_rows: float) -> np.ndarray:
    """Rows (n, K) under a Gaussian; at the ends the weights of the rows that there are add up to one."""
    reach = min(math.ceil(3 * sigma_rows), len(rows) - 1)
    if reach == 0:
        return rows
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_rows) ** 2)
    weights = np.convolve(np.ones(len(rows)), kernel)[reach : reach + len(rows)]
    columns = [np.convolve(column, kernel)[reach : reach + len(rows)] / weights for column in rows.T]
    return np.stack(columns, axis=1)


def group(curve: np.ndarray, thresholds: Sequence[float], shares: Sequence[float]) -> np.ndarray:
    """Temporal actionness grouping: the different spans (M, 2) of a curve (n,) in [0, 1].

    For each threshold the rows at or above it make groups. From each group on, the following ones are absorbed, with
    what lies between, while the share of rows at or above the threshold in the whole is no less than `shares` says.
    """
    spans = [np.empty((0, 2), np.int64)]
    for threshold in thresholds:
        above = curve >= threshold
        edges = np.flatnonzero(np.diff(above, prepend=False, append=False))
        firsts, ends = edges[::2], edges[1::2]
        if not len(firsts):
            continue
        counts = np.concatenate([[0], above.cumsum()])
        for share in shares:
            # the share from a start s to an end e is enough where count(e) - share e >= count(s) - share s
            last = _count_enough(counts[ends] - share * ends, counts[firsts] - share * firsts - 1e-9)
            spans.append(np.stack([firsts, ends[last - 1]], axis=1))
    return np.unique(np.concatenate(spans), axis=0)


def _count_enough(values: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """For each place i, the first j > i with values[j] < limits[i], or the length where there is none.

    By doubling: level k has the minimum of 2^k values from each place on.
    """
    num = len(values)
    levels = [values]
    while (step := 1 << (len(levels) - 1)) * 2 <= num:
        levels.append(np.minimum(levels[-1][:-step], levels[-1][step:]))
    place = np.arange(num)
    for power, minimum in reversed(list(enumerate(levels))):
        inside = place + (1 << power) <= num
        enough = inside & (minimum[np.where(inside, place, 0)] >= limits)
        place = place + enough * (1 << power)
    return place


def refine(spans: np.ndarray, curve: np.ndarray, reach: int) -> np.ndarray:
    """Move the ends of spans (M, 2) to where the curve crosses the middle between its means inside and outside."""
    return spans


def contrasts(sums: np.ndarray, first: np.ndarray, end: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The mean inside less that of a quarter of the length on both sides; rows that are not there count as 0."""
    margin = np.maximum(1, np.rint(MARGIN * (end - first)).astype(np.int64))
    before, after = np.maximum(first - margin, 0), np.minimum(end + margin, len(sums) - 1)
    inner = sums[end, index] - sums[first, index]
    outer = sums[after, index] - sums[before, index] - inner
    return inner / (end - first) - outer / (2 * margin)


def score_inside(scores: np.ndarray, times: np.ndarray) -> float:
    """M-TWI of the scores (n,) of one class, with the spans that are no longer than the segment."""
    spans = PUBLISHED.spans_seconds
    fitting = tuple(span for span in spans if span <= times[-1] - times[0]) or spans[:1]
    return float(integrate(scores[:, None], plan=replace(PUBLISHED, spans_seconds=fitting), times_seconds=times)[0])


def _runs(times: np.ndarray, gap_seconds: float) -> list[tuple[int, int]]:
    """Rows (first, end) between gaps."""
    breaks = (np.flatnonzero(np.diff(times) > gap_seconds) + 1).tolist()
    return list(zip([0, *breaks], [*breaks, len(times)], strict=True)) if len(times) else []


def _checked(
    probabilities: np.ndarray, times_seconds: np.ndarray, labels: Sequence[str], background: str | None
) -> tuple[np.ndarray, np.ndarray]:
    rows, times = np.asarray(probabilities, np.float64), np.asarray(times_seconds, np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(labels) or times.shape != (len(rows),):
        raise ValueError(
            f"probabilities {rows.shape}, times {times.shape} and {len(labels)} labels do not fit together; "
            "for n rows and K labels they are (n, K) and (n,)"
        )
    if not ((rows >= 0) & (rows <= 1)).all():
        raise ValueError("probabilities are numbers from 0 to 1; softmax or sigmoid makes them of scores")
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ValueError("times must be finite and increase: sort the rows by time, and leave out repeated ones")
    if background is not None and background not in labels:
        raise ValueError(f"no label is called {background!r}; there are {', '.join(labels)}")
    return rows, times
