"""Baselines of detection: two simple ways to make segments, to compare a better one with.

Both make the segments of one video, and leave the background out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from actionstream.results import Segment
from actionstream.scoring.segments import break_up

NUM_PARTS = 10
THRESHOLD = 0.5


def uniform_segments(
    overall: np.ndarray, labels: Sequence[str], *, duration_seconds: float, background: str | None
) -> list[Segment]:
    """Ten equal parts of a video; each gets every label, with the score `overall` (K,) of the whole video."""
    edges = np.linspace(0, duration_seconds, NUM_PARTS + 1).tolist()
    return [
        Segment(start, end, label, float(score))
        for label, score in zip(labels, overall, strict=True)
        if label != background
        for start, end in pairwise(edges)
    ]


def thresholded_scores(
    probabilities: np.ndarray,
    times_seconds: np.ndarray,
    labels: Sequence[str],
    *,
    interval_seconds: float,
    background: str | None,
    begins_anew: np.ndarray | None = None,
) -> list[Segment]:
    """For each label the stretches of rows (n, K) of 0.5 or more, with their mean as score.

    `break_up` says until when a row stands, and where the breaks are; no stretch crosses a break.
    """
    breaks, ends = break_up(times_seconds, interval_seconds=interval_seconds, begins_anew=begins_anew)
    segments = []
    for label, column in zip(labels, probabilities.T, strict=True):
        if label == background:
            continue
        reached = column >= THRESHOLD
        changes = np.flatnonzero(breaks | np.diff(reached, prepend=False))
        for first, end in pairwise([*changes.tolist(), len(column)]):
            if reached[first]:
                score = float(column[first:end].mean())
                segments.append(Segment(float(times_seconds[first]), float(ends[end - 1]), label, score))
    return segments
