"""Non-maximum suppression of temporal segments: of segments that overlap, the best stays.

All groups (the classes, or the classes of each video) are processed at once: a turn of the loop takes the best segment
that each group has left, so there are as many turns as the largest group keeps segments.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from actionstream.models.common.errors import ActionstreamError


def nms(
    segments: np.ndarray, scores: np.ndarray, *, iou_threshold: float, groups: np.ndarray | None = None
) -> np.ndarray:
    """Take the best segment, drop those that overlap it by more than the threshold, repeat.

    segments       (N, 2): start and end in seconds
    scores         (N,)
    iou_threshold  intersection over union, 0 to 1; a segment that reaches exactly this stays
    groups         (N,), numbers or strings: segments of different groups leave each other alone

    Of equal scores the segment that stands first wins. Segments of zero duration overlap nothing.

    Returns the indices of what stays, best first, int (M,). ValueError for input that is not as above.
    """
    segments, scores, groups = _checked(segments, scores, groups)
    _check_share("IoU threshold", iou_threshold)
    left = np.lexsort((-scores, groups))
    segments, groups = segments[left], groups[left]
    kept = [left[:0]]
    while len(left):
        best = np.flatnonzero(np.diff(groups, prepend=-1))
        kept.append(left[best])
        overlap = _overlap(segments, np.repeat(segments[best], np.diff(best, append=len(left)), axis=0))
        stays = overlap <= iou_threshold
        stays[best] = False
        left, segments, groups = left[stays], segments[stays], groups[stays]
    indices = np.concatenate(kept)
    return indices[np.lexsort((indices, -scores[indices]))]


def soft_nms(
    segments: np.ndarray,
    scores: np.ndarray,
    *,
    method: Literal["linear", "gaussian"] = "gaussian",
    iou_threshold: float = 0.3,
    sigma: float = 0.5,
    min_score: float = 0.001,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Take the best segment, lower the scores of those that overlap it, repeat (Bodla et al., ICCV 2017).

    segments, groups  as for `nms`
    scores            (N,), not negative
    method            "linear" multiplies by 1 - IoU where IoU is above `iou_threshold`, "gaussian" by
                      exp(-IoU^2 / sigma) everywhere
    min_score         a segment whose score is, or falls, below this is dropped

    Of equal scores the segment that stands first is taken first.

    Returns the indices of what stays, best first, int (M,), and their new scores (M,). ValueError for input that is
    not as above.
    """
    segments, scores, groups = _checked(segments, scores, groups)
    if method not in ("linear", "gaussian"):
        raise ActionstreamError(f"no soft-NMS is called {method!r}; there are linear and gaussian")
    _check_share("IoU threshold", iou_threshold)
    if not sigma > 0:
        raise ActionstreamError(f"sigma is {sigma}; it must be above 0")
    if len(scores) and scores.min() < 0:
        raise ActionstreamError(
            f"a score is {scores.min()}; soft-NMS lowers scores by factors, so they must be 0 or more"
        )
    left = np.argsort(groups, kind="stable")
    left = left[scores[left] >= min_score]
    segments, scores, groups = segments[left], scores[left], groups[left]
    kept, kept_scores = [left[:0]], [scores[:0]]
    while len(left):
        first = np.flatnonzero(np.diff(groups, prepend=-1))
        sizes = np.diff(first, append=len(left))
        highest = np.flatnonzero(scores == np.repeat(np.maximum.reduceat(scores, first), sizes))
        best = highest[np.diff(groups[highest], prepend=-1) > 0]
        kept.append(left[best])
        kept_scores.append(scores[best])
        overlap = _overlap(segments, np.repeat(segments[best], sizes, axis=0))
        if method == "linear":
            scores = scores * np.where(overlap > iou_threshold, 1 - overlap, 1)
        else:
            scores = scores * np.exp(-(overlap**2) / sigma)
        stays = scores >= min_score
        stays[best] = False
        left, segments, scores, groups = left[stays], segments[stays], scores[stays], groups[stays]
    indices, new_scores = np.concatenate(kept), np.concatenate(kept_scores)
    order = np.lexsort((indices, -new_scores))
    return indices[order], new_scores[order]


def _checked(
    segments: np.ndarray, scores: np.ndarray, groups: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The input in float64, and the groups as numbers from 0."""
    segments, scores = np.asarray(segments, np.float64), np.asarray(scores, np.float64)
    num = len(scores)
    groups = np.zeros(num, np.int64) if groups is None else np.asarray(groups)
    if segments.size == 0:
        segments = segments.reshape(0, 2)
    if scores.ndim != 1 or segments.shape != (num, 2) or groups.shape != (num,):
        raise ActionstreamError(
            f"segments {segments.shape}, scores {scores.shape} and groups {groups.shape} do not fit together; "
            "for N segments they are (N, 2), (N,) and (N,)"
        )
    if not (np.isfinite(segments).all() and np.isfinite(scores).all()):
        raise ActionstreamError("a time or a score of a segment is not a finite number")
    if (segments[:, 1] < segments[:, 0]).any():
        start, end = segments[segments[:, 1] < segments[:, 0]][0]
        raise ActionstreamError(f"a segment starts at {start} s and ends before, at {end} s")
    return segments, scores, np.unique(groups, return_inverse=True)[1]


def _check_share(what: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ActionstreamError(f"the {what} is {value}; it is a number from 0 to 1")


def _overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of segments (N, 2) row by row, 0 where nothing is shared."""
    shared = (np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0])).clip(0)
    union = (a[:, 1] - a[:, 0]) + (b[:, 1] - b[:, 0]) - shared
    return np.divide(shared, union, out=np.zeros(len(a)), where=shared > 0)
