"""Online action detection: accuracy of every frame, and of every start of an action."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from actionstream.evaluation.detection import score_driven_ap
from actionstream.evaluation.segments import Segments, Truth, check_comparable, check_known, check_times
from actionstream.models.common.errors import ActionstreamError

OFFSETS_SECONDS = tuple(float(seconds) for seconds in range(1, 11))


def frame_labels(
    segments: Segments,
    labels: Sequence[str],
    *,
    num_rows: int,
    frames_per_second: float = 24.0,
    chunk: int = 6,
) -> np.ndarray:
    """Which labels hold in each row of scores of a video, bool (num_rows, K).

    segments           those of one video; other labels are left out
    labels             the K labels
    frames_per_second  of the video, as it was sampled
    chunk              frames that share a row; 6 of 24 a second make four rows a second, as is usual on THUMOS14

    A segment holds in every row that it touches: its start is rounded down to a row and its end up. Other roundings
    move mAP by points.
    """
    if not (frames_per_second > 0 and chunk >= 1):
        raise ActionstreamError(
            f"{frames_per_second} frames a second in chunks of {chunk} make no rows; both must be above 0"
        )
    edges = np.arange(num_rows + 1) * chunk / frames_per_second
    return row_labels(segments, labels, starts_seconds=edges[:-1], ends_seconds=edges[1:])


def row_labels(
    segments: Segments, labels: Sequence[str], *, starts_seconds: np.ndarray, ends_seconds: np.ndarray
) -> np.ndarray:
    """Which labels hold in rows that stand from `starts_seconds` to `ends_seconds`, both (n,) and increasing.

    Bool (n, K): a segment of one of the K labels holds in every row that it touches; all are of one video.
    """
    check_times(segments, "a segment")
    table = np.zeros((len(starts_seconds), len(labels)), bool)
    # Rounding errors must not move a segment by a row: 4.1 s at 30 frames a second is row 122.99999999999999.
    firsts = np.searchsorted(ends_seconds, segments.start_seconds + 1e-6, "right")
    lasts = np.searchsorted(starts_seconds, segments.end_seconds - 1e-6, "left")
    index = {label: number for number, label in enumerate(labels)}
    for first, last, label in zip(firsts, lasts, segments.labels.tolist(), strict=True):
        if label in index:
            table[first:last, index[label]] = True
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameAccuracy:
    """Average precision and calibrated average precision of each class (K,), NaN for a class that never holds."""

    ap: np.ndarray
    calibrated_ap: np.ndarray

    @property
    def map(self) -> float:
        """The mean over the classes that hold somewhere."""
        return float(np.nanmean(self.ap))

    @property
    def calibrated_map(self) -> float:
        """The mean over the classes that hold somewhere."""
        return float(np.nanmean(self.calibrated_ap))


def frame_accuracy(scores: np.ndarray, holds: np.ndarray, *, ignore: np.ndarray | None = None) -> FrameAccuracy:
    """AP over all frames of all videos, and cAP (De Geest et al., ECCV 2016).

    scores  (N, K): of N frames or chunks, in any order; actions only, no column for background
    holds   bool (N, K): as `frame_labels` makes it
    ignore  bool (N,): frames that do not count, such as those in THUMOS14's Ambiguous segments

    cAP uses w TP / (w TP + FP) in place of TP / (TP + FP), where w is the number of frames without the class over the
    number with it; chance is near 0.5 for each class, however rare it is. Frames of equal score count together, so
    that AP and cAP do not depend on the order of the frames. Neither is interpolated.
    """
    scores, holds = np.asarray(scores), np.asarray(holds, bool)
    if scores.ndim != 2 or scores.shape != holds.shape or (ignore is not None and ignore.shape != scores.shape[:1]):
        shape = None if ignore is None else ignore.shape
        raise ActionstreamError(
            f"scores {scores.shape}, holds {holds.shape} and ignore {shape} are not (N, K), (N, K) and (N,)"
        )
    if ignore is not None:
        scores, holds = scores[~ignore], holds[~ignore]
    if not np.isfinite(scores).all():
        raise ActionstreamError("a score is not a finite number; nothing can be ranked by it")
    if not holds.any():
        raise ActionstreamError("no class holds in any frame that counts; there is nothing to measure")
    pairs = [_frame_ap(*column) for column in zip(scores.T, holds.T, strict=True)]
    ap, calibrated = np.array(pairs).T
    return FrameAccuracy(ap=ap, calibrated_ap=calibrated)


def _frame_ap(scores: np.ndarray, holds: np.ndarray) -> tuple[float, float]:
    """AP and cAP of one class, both columns (N,)."""
    num_true = np.count_nonzero(holds)
    if not num_true:
        return np.nan, np.nan
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.flatnonzero(np.diff(ordered, append=np.inf))  # where each run of equal scores ends
    true = np.cumsum(holds[order])[last]
    false = last + 1 - true
    gained = np.diff(true, prepend=0) / num_true
    weight = (len(holds) - num_true) / num_true
    calibrated = np.divide(
        weight * true, weight * true + false, out=np.ones(len(true)), where=weight * true + false > 0
    )
    return float((gained * (true / (true + false))).sum()), float((gained * calibrated).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAccuracy:
    """Point-level average precision (T, K) at T offsets, of the K classes that have truth, in alphabetical order."""

    offsets_seconds: tuple[float, ...]
    labels: tuple[str, ...]
    ap: np.ndarray

    @property
    def map(self) -> np.ndarray:
        """The mean over the classes (T,)."""
        return self.ap.mean(axis=1)


def start_accuracy(
    truth: Truth,
    starts: Segments,
    *,
    offsets_seconds: Sequence[float] = OFFSETS_SECONDS,
    blocked: Collection[str] = (),
) -> StartAccuracy:
    """Point-level mAP of detected action starts (Shou et al., ECCV 2018).

    starts           detections; only their start counts, their end may be NaN
    offsets_seconds  the largest distances allowed between a detected start and the true one

    For each class and video the detections choose, best score first (of equal scores the later one in the file): each
    takes the nearest free true start, if that is near enough. AP is interpolated. This is what the public evaluators of
    the task do; the paper does not say it.

    blocked  videos to leave out
    """
    check_known(truth, starts)
    truth, starts = truth.without(blocked), starts.without(blocked)
    check_comparable(truth, starts)
    wanted = truth.segments[::-1]  # of two that are equally near, the public evaluators take the first
    starts = replace(starts, end_seconds=starts.start_seconds)[np.isin(starts.labels, wanted.labels)]
    check_times(wanted, "an annotation")
    check_times(starts, "a detected start")
    ap = score_driven_ap(
        wanted,
        starts,
        closeness=lambda a, b: -np.abs(a[:, 0] - b[:, 0]),
        thresholds=[-seconds for seconds in offsets_seconds],
    )
    labels = tuple(np.unique(wanted.labels).tolist())
    return StartAccuracy(offsets_seconds=tuple(offsets_seconds), labels=labels, ap=ap)
