"""Segments from scores: what happens from when to when in a whole video.

Candidates come from temporal actionness grouping (TAG, in the SSN paper, arXiv:1704.06228), run on the smoothed score
of each class and, where there is a background class, on its complement. Each is moved to the edges of its score. Of
candidates that overlap, the one with the highest contrast to its surroundings stays. A segment's score is the geometric
mean of its contrast and of the M-TWI score of its inside.

Letters: n rows, K classes, M candidates. Candidates are counted in rows: (first, end), the end not included.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from actionstream.models.common.errors import ActionstreamError
from actionstream.results import Segment
from actionstream.sampler import gap_after
from actionstream.scoring.grouping import contrasts, group, refine, smooth
from actionstream.scoring.mtwi import PUBLISHED, integrate
from actionstream.scoring.nms import nms, soft_nms

Suppression = Literal["hard", "soft"]

DUPLICATE_IOU = 0.95
"""Candidates with a higher IoU are duplicates, as in TAG."""
SURE = 0.3
"""Segments of this score or more are worth showing."""
GRID = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""TAG's thresholds."""


def sure_segments(segments: Iterable[Segment], min_score: float = SURE) -> list[Segment]:
    """The segments worth showing, of segments that are given best first.

    Segments below `min_score` are left out. Of two of the same label of which one lies mostly inside the other, the
    worse one is left out, be it the longer or the shorter.
    """
    shown: list[Segment] = []
    for each in segments:
        if each.score >= min_score and not any(_is_nested(each, better) for better in shown):
            shown.append(each)
    return shown


def _is_nested(a: Segment, b: Segment) -> bool:
    """Whether the labels are the same and more than half of the shorter segment lies inside the longer one."""
    shared = min(a.end_seconds, b.end_seconds) - max(a.start_seconds, b.start_seconds)
    shorter = min(a.end_seconds - a.start_seconds, b.end_seconds - b.start_seconds)
    return a.label == b.label and shared > shorter / 2


@dataclass(frozen=True, kw_only=True)
class SegmentFinder:
    """Finds the segments of a video in the probabilities of its rows.

    smoothing_seconds  standard deviation of the Gaussian that the probabilities are smoothed with; 0: not at all
    thresholds         rows at or above one of these (TAG's gamma) make groups
    shares             neighbouring groups are joined while at least this share of the whole is above the threshold
                       (TAG's tau)
    min_seconds        shorter segments are left out
    num_labels         number of labels, the most likely ones, for a candidate of the complement of the background
    suppression        what is done to the worse of two segments that overlap: "hard" drops it, "soft" lowers its score
    iou_threshold      for "hard": the worse one is dropped where the IoU is above this
    multi_label        segments of different labels may overlap; if not, one suppresses the other
    min_score          segments below are left out
    max_segments       at most so many are scored and returned: those of the highest contrast
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
                raise ActionstreamError(f"the {what} is {seconds} seconds; it must be 0 or more")
        for what, values in (("thresholds", self.thresholds), ("shares", self.shares)):
            if not values or not all(0 < value <= 1 for value in values):
                raise ActionstreamError(f"the {what} are {values}; give one or more, each above 0 and at most 1")
        if self.num_labels < 1 or self.max_segments < 1:
            raise ActionstreamError(
                f"num_labels is {self.num_labels}, max_segments {self.max_segments}; both are 1 or more"
            )
        if self.suppression not in get_args(Suppression):
            raise ActionstreamError(
                f"no suppression {self.suppression!r}; there are {', '.join(get_args(Suppression))}"
            )
        for what, share in (("IoU threshold", self.iou_threshold), ("minimum score", self.min_score)):
            if not 0 <= share <= 1:
                raise ActionstreamError(f"the {what} is {share}; it is a number from 0 to 1")

    def find(
        self,
        probabilities: np.ndarray,
        times_seconds: np.ndarray,
        labels: Sequence[str],
        *,
        background: str | None = None,
        interval_seconds: float,
        begins_anew: np.ndarray | None = None,
    ) -> list[Segment]:
        """The segments of a video, best first; none crosses a break (see `break_up`).

        Beyond the input, it needs memory for a few numbers for each row and each candidate.

        probabilities     (n, K), of softmax or sigmoid
        times_seconds     (n,), increasing: a row stands for the time from its own to that of the next row
        labels            a name for each of the K classes
        background        the class that says that nothing happens; it has no segments itself
        interval_seconds  between two rows; the last row, and a row before a break, stands for this long at most
        begins_anew       bool (n,): rows with a break before them, such as a reset of the network's state

        ValueError for input that is not as above.
        """
        rows, times = _checked(probabilities, times_seconds, labels, background, begins_anew)
        firsts, ends = break_up(times, interval_seconds=interval_seconds, begins_anew=begins_anew)
        found: list[Segment] = []
        for first, end in pairwise([*np.flatnonzero(firsts).tolist(), len(times)]):
            found += self._find_in_run(rows[first:end], times[first:end], ends[first:end], labels, background)
        found.sort(key=lambda segment: -segment.score)
        return found[: self.max_segments]

    def _find_in_run(
        self, rows: np.ndarray, times: np.ndarray, ends: np.ndarray, labels: Sequence[str], background: str | None
    ) -> list[Segment]:
        """The segments in rows without a break, which stand for the times up to `ends` (n,)."""
        sigma_rows = round(self.smoothing_seconds / float(np.median(ends - times)), 3)
        reach = math.ceil(2 * sigma_rows)
        classes = [index for index, label in enumerate(labels) if label != background]
        if not classes:
            return []

        def curve_of(index: int) -> np.ndarray:
            # computed each time: the curves of all classes would need more than twice the memory of the rows
            return smooth(rows[:, index].astype(np.float64), sigma_rows)

        shared, owners = np.empty((0, 2), np.int64), np.empty((0, 1), np.int64)
        if background is not None:
            shared = self._find_in_curve(1 - curve_of(labels.index(background)), reach)
            owners = self._most_likely(shared, ((index, curve_of(index)) for index in classes))
        parts = []
        for number in classes:
            curve = curve_of(number)
            spans = np.concatenate([self._find_in_curve(curve, reach), shared[(owners == number).any(axis=1)]])
            spans = np.unique(spans, axis=0)
            contrast = contrasts(spans, curve)
            long = ends[spans[:, 1] - 1] - times[spans[:, 0]] >= self.min_seconds - 1e-6
            # with less contrast the score is below min_score, whatever is inside
            wanted = long & (contrast > 0) & (contrast >= self.min_score**2)
            parts.append((spans[wanted], contrast[wanted], np.full(np.count_nonzero(wanted), number)))
        spans, contrast, index = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.lexsort((index, spans[:, 1], spans[:, 0]))
        spans, contrast, index = spans[order], contrast[order], index[order]
        seconds = np.stack([times[spans[:, 0]], ends[spans[:, 1] - 1]], axis=1)
        kept, factors = self._suppress(seconds, contrast, index)
        kept, factors = kept[: self.max_segments], factors[: self.max_segments]
        inside = np.empty(len(kept))
        for number in np.unique(index[kept]).tolist():
            curve = curve_of(number)
            for place in np.flatnonzero(index[kept] == number):
                first, end = spans[kept[place]]
                inside[place] = _integrate_inside(curve[first:end], times[first:end], np.ptp(seconds[kept[place]]))
        scores = np.minimum(1, factors * np.sqrt(inside * contrast[kept]))
        return [
            Segment(start, end, labels[number], score)
            for (start, end), number, score in zip(seconds[kept].tolist(), index[kept], scores.tolist(), strict=True)
            if score >= self.min_score
        ]

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

    def _most_likely(self, spans: np.ndarray, curves: Iterable[tuple[int, np.ndarray]]) -> np.ndarray:
        """The classes (M, num_labels) that are highest inside each span (M, 2); -1 where there are fewer."""
        owners = np.full((len(spans), self.num_labels), -1)
        highest = np.full(owners.shape, -np.inf)
        for index, curve in curves:
            sums = np.concatenate([[0.0], curve.cumsum()])
            highest = np.column_stack([highest, sums[spans[:, 1]] - sums[spans[:, 0]]])
            owners = np.column_stack([owners, np.full(len(spans), index)])
            best = np.argsort(-highest, axis=1, kind="stable")[:, : self.num_labels]
            highest, owners = (np.take_along_axis(each, best, axis=1) for each in (highest, owners))
        return owners


def break_up(
    times_seconds: np.ndarray, *, interval_seconds: float, begins_anew: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The breaks in n rows: which rows are the first after a break (n,), and the times up to which rows stand (n,).

    There is a break before the first row, before each that begins anew (n,), and after a pause of more than
    `gap_after`. A row stands until the next one, or for `interval_seconds` where a break comes first.
    """
    firsts = np.diff(times_seconds, prepend=-np.inf) > gap_after(interval_seconds)
    if begins_anew is not None:
        firsts |= begins_anew
    following = np.roll(times_seconds, -1)
    following[-1:] = np.inf
    ends = np.where(np.roll(firsts, -1), np.minimum(following, times_seconds + interval_seconds), following)
    return firsts, ends


def _integrate_inside(scores: np.ndarray, times: np.ndarray, duration_seconds: float) -> float:
    """M-TWI of the scores (n,) of one class, at one row a second as published, with the spans that fit inside.

    Longer spans would all give the maximum, and hide the result of the others. A segment shorter than the shortest span
    uses that span alone.
    """
    spans = PUBLISHED.spans_seconds
    fitting = tuple(span for span in spans if span <= duration_seconds + 1e-6) or spans[:1]
    return float(integrate(scores[:, None], plan=replace(PUBLISHED, spans_seconds=fitting), times_seconds=times)[0])


def _checked(
    probabilities: np.ndarray,
    times_seconds: np.ndarray,
    labels: Sequence[str],
    background: str | None,
    begins_anew: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    rows, times = np.asarray(probabilities), np.asarray(times_seconds, np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(labels) or times.shape != (len(rows),):
        raise ActionstreamError(
            f"probabilities {rows.shape}, times {times.shape} and {len(labels)} labels do not fit together; "
            "for n rows and K labels they are (n, K) and (n,)"
        )
    if rows.size and not (rows.min() >= 0 and rows.max() <= 1):
        raise ActionstreamError("probabilities are numbers from 0 to 1; softmax or sigmoid makes them of scores")
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ActionstreamError("times must be finite and increase: sort the rows by time, and leave out repeated ones")
    if begins_anew is not None and (begins_anew.shape, begins_anew.dtype) != (times.shape, np.bool_):
        raise ActionstreamError(f"begins_anew is {begins_anew.dtype} {begins_anew.shape}; it is bool {times.shape}")
    if background is not None and background not in labels:
        raise ActionstreamError(f"no label is called {background!r}; there are {', '.join(labels)}")
    return rows, times
