"""Segments from scores: what happens from when to when in a whole video.

Candidates come from temporal actionness grouping (TAG, in the SSN paper, arXiv:1704.06228), run on the smoothed score
of each class and, where there is a background class, on its complement. Each is moved to the edges of its score,
and of those that overlap the ones stay that stand out most from what surrounds them. A segment's score is the geometric
mean of how much it stands out and of what M-TWI says of the inside.

Letters: n rows, K classes, M candidates. Candidates are counted in rows: (first, end), the end not included.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from stream.sampler import gap_after
from stream.scoring.grouping import contrasts, group, refine, smooth
from stream.scoring.mtwi import PUBLISHED, integrate
from stream.scoring.nms import nms, soft_nms

Suppression = Literal["hard", "soft"]

DUPLICATE_IOU = 0.95
"""Candidates that overlap by more are one, as in TAG."""
GRID = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""TAG's thresholds."""


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
    suppression        what is done to the worse of two segments that overlap: "hard" drops it, "soft" lowers its score
    iou_threshold      for "hard": from more overlap than this on
    multi_label        segments of different labels may overlap; if not, one suppresses the other
    min_score          segments below are left out
    max_segments       no more than these are told, nor scored: the ones that stand out most
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
        sigma_rows = round(self.smoothing_seconds / float(np.median(ends - times)), 3)
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
        long = ends[end - 1] - times[first] >= self.min_seconds - 1e-6
        # what has less contrast has too low a score, whatever is inside
        wanted = long & (contrast > 0) & (contrast >= self.min_score**2)
        first, end, index, contrast = first[wanted], end[wanted], index[wanted], contrast[wanted]
        kept, factors = self._suppress(np.stack([times[first], ends[end - 1]], axis=1), contrast, index)
        found = []
        for n, factor in zip(kept[: self.max_segments].tolist(), factors[: self.max_segments].tolist(), strict=True):
            i, j, k = first[n], end[n], index[n]
            start_seconds, end_seconds = float(times[i]), float(ends[j - 1])
            inside = _integrate_inside(smoothed[i:j, k], times[i:j], end_seconds - start_seconds)
            score = min(1.0, factor * math.sqrt(inside * contrast[n]))
            if score >= self.min_score:
                found.append(Segment(start_seconds, end_seconds, labels[k], score))
        return found

    def _suppress(self, spans: np.ndarray, contrast: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The indices of the candidates that stay, best first, and the factors for their scores."""
        unlike = nms(spans, contrast, iou_threshold=DUPLICATE_IOU, groups=index)
        spans, contrast = spans[unlike], contrast[unlike]
        groups = index[unlike] if self.multi_label else None
        if self.suppression == "hard":
            kept = nms(spans, contrast, iou_threshold=self.iou_threshold, groups=groups)
            return unlike[kept], np.ones(len(kept))
        kept, lowered = soft_nms(spans, contrast, min_score=self.min_score**2, groups=groups)
        return unlike[kept], lowered / contrast[kept]

    def _find_in_curve(self, curve: np.ndarray, reach: int) -> np.ndarray:
        return np.unique(refine(group(curve, self.thresholds, self.shares), curve, reach), axis=0)


def _integrate_inside(scores: np.ndarray, times: np.ndarray, duration_seconds: float) -> float:
    """M-TWI of the scores (n,) of one class, at one row a second as published, with the spans that fit inside.

    The longer ones would all say the same, the maximum, and hide what the others see. A segment shorter than the
    shortest has that alone.
    """
    spans = PUBLISHED.spans_seconds
    fitting = tuple(span for span in spans if span <= duration_seconds + 1e-6) or spans[:1]
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
