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

from stream.sampler import gap_after
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
    min_seconds        shorter segments are left out
    num_labels         how many labels a group of the complement of the background gets, the most likely ones
    suppression        what is done to the worse of two segments that overlap: "hard" drops it, "linear" and
                       "gaussian" lower its score (`nms`, `soft_nms`)
    iou_threshold      for "hard" and "linear": from more overlap than this on
    multi_label        segments of different labels may overlap; if not, one suppresses the other
    min_score          segments below are left out
    max_segments       so many are kept: those of most contrast, where nothing else ranks them
    """

    smoothing_seconds: float = 0.3
    thresholds: tuple[float, ...] = GRID
    shares: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
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
        """The segments of a video, best first; none goes over a gap, as `Sampler` has it.

        probabilities     (n, K), of softmax or sigmoid
        times_seconds     (n,), increasing: a row stands for the time from its own to that of the next row
        labels            a name for each of the K classes
        background        the class that says that nothing happens; it has no segments itself
        interval_seconds  between two rows; what the last row, and one before a gap, stands for

        ValueError for input that is not as above.
        """
        rows, times = _checked(probabilities, times_seconds, labels, background)
        found: list[Segment] = []
        for first, end in _runs(times, gap_after(interval_seconds)):
            ends = np.append(times[first + 1 : end], times[end - 1] + interval_seconds)
            found += self._find_in_run(rows[first:end], times[first:end], ends, labels, background)
        found.sort(key=lambda segment: -segment.score)
        return found[: self.max_segments]

    def _find_in_run(
        self, rows: np.ndarray, times: np.ndarray, ends: np.ndarray, labels: Sequence[str], background: str | None
    ) -> list[Segment]:
        """The segments in rows without a gap, which stand for the times up to `ends` (n,)."""
        sigma_rows = self.smoothing_seconds / float(np.median(ends - times))
        reach = math.ceil(2 * sigma_rows)
        smoothed = smooth(rows, sigma_rows)
        classes = [index for index, label in enumerate(labels) if label != background]
        sums = np.concatenate([np.zeros((1, rows.shape[1])), smoothed.cumsum(axis=0)])
        candidates = [np.empty((0, 3), np.int64)]
        for index in classes:
            spans = self._find_in_curve(smoothed[:, index], reach)
            candidates.append(np.column_stack([spans, np.full(len(spans), index)]))
        if background is not None:
            spans = self._find_in_curve(1 - smoothed[:, labels.index(background)], reach)
            means = (sums[spans[:, 1]] - sums[spans[:, 0]])[:, classes]
            best = np.argsort(-means, axis=1, kind="stable")[:, : self.num_labels]
            for place in best.T:
                candidates.append(np.column_stack([spans, np.array(classes)[place]]))
        first, end, index = np.unique(np.concatenate(candidates), axis=0).T
        contrast = contrasts(sums, first, end, index)
        long = ends[end - 1] - times[first] >= self.min_seconds - 1e-9
        # what has less contrast has too low a score, whatever is inside
        wanted = long & (contrast > 0) & (contrast >= self.min_score**2)
        first, end, index, contrast = first[wanted], end[wanted], index[wanted], contrast[wanted]
        kept, contrast = self._suppress(np.stack([times[first], ends[end - 1]], axis=1), contrast, index)
        found = []
        kept = kept[: self.max_segments]
        for i, j, k, share in zip(first[kept], end[kept], index[kept], contrast, strict=False):
            score = math.sqrt(score_inside(smoothed[i:j, k], times[i:j]) * share)
            if score >= self.min_score:
                found.append(Segment(float(times[i]), float(ends[j - 1]), labels[k], score))
        return found

    def _suppress(self, spans: np.ndarray, contrast: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The indices of what stays of candidates, and how much of their contrast does."""
        unlike = nms(spans, contrast, iou_threshold=DUPLICATE_IOU, groups=index)
        spans, contrast = spans[unlike], contrast[unlike]
        groups = index[unlike] if self.multi_label else None
        if self.suppression == "hard":
            kept = nms(spans, contrast, iou_threshold=self.iou_threshold, groups=groups)
            return unlike[kept], contrast[kept]
        kept, contrast = soft_nms(
            spans,
            contrast,
            method=self.suppression,
            iou_threshold=self.iou_threshold,
            min_score=self.min_score**2,
            groups=groups,
        )
        return unlike[kept], contrast

    def _find_in_curve(self, curve: np.ndarray, reach: int) -> np.ndarray:
        return np.unique(refine(group(curve, self.thresholds, self.shares), curve, reach), axis=0)


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
    """Move both ends of spans (M, 2) to where the curve (n,) crosses the middle of its step there.

    The middle is that between the mean inside and the mean of the margin on that side, where rows that are not there
    count as 0. A symmetric smoothing leaves a step with its middle in its place, whatever threshold found it. An end
    moves by `reach` rows at most, and stays where it is when the middle is not crossed by then. (Ours.)
    """
    sums = np.concatenate([[0.0], curve.cumsum()])
    num = len(curve)
    first, end = spans[:, 0], spans[:, 1]
    margin = _margin(first, end)
    quarter = (end - first) // 4
    inside = (sums[end - quarter] - sums[first + quarter]) / (end - first - 2 * quarter)
    before = (sums[first] - sums[np.maximum(first - margin, 0)]) / margin
    after = (sums[np.minimum(end + margin, num)] - sums[end]) / margin
    padded = np.concatenate([[-np.inf], curve, [-np.inf]])  # row i at place i + 1
    moved_first = _move(first + 1, padded, (inside + before) / 2, reach)
    moved_end = num + 1 - _move(num - end + 1, padded[::-1], (inside + after) / 2, reach)
    crossed = moved_first < moved_end
    return np.stack([np.where(crossed, moved_first - 1, first), np.where(crossed, moved_end, end)], axis=1)


def _move(places: np.ndarray, padded: np.ndarray, middles: np.ndarray, reach: int) -> np.ndarray:
    """The nearest places at which the curve comes up to the middles: at or above them there, and below just before."""
    best = places.copy()
    looking = np.ones(len(places), bool)
    for distance in range(reach + 1):
        for place in (places + distance, places - distance):
            place = place.clip(1, len(padded) - 2)
            comes_up = looking & (padded[place] >= middles) & (padded[place - 1] < middles)
            best[comes_up] = place[comes_up]
            looking &= ~comes_up
    return best


def _margin(first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """How many rows beside a span it is compared with."""
    return np.maximum(1, np.rint(MARGIN * (end - first)).astype(np.int64))


def contrasts(sums: np.ndarray, first: np.ndarray, end: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The mean inside less that of a quarter of the length on both sides; rows that are not there count as 0."""
    margin = _margin(first, end)
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
