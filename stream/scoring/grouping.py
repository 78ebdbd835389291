"""From a curve of scores to spans of rows: smoothing, temporal actionness grouping, edges, contrast.

Letters: n rows of one class, M spans. A span is (first, end) in rows, the end not included.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def smooth(curve: np.ndarray, sigma_rows: float) -> np.ndarray:
    """A curve (n,) smoothed by a Gaussian; at the ends the weights of the rows that exist add up to one."""
    reach = min(math.ceil(3 * sigma_rows), len(curve) - 1)
    if reach == 0:
        return curve
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_rows) ** 2)
    weights = np.convolve(np.ones(len(curve)), kernel)[reach : reach + len(curve)]
    return np.convolve(curve, kernel)[reach : reach + len(curve)] / weights


def group(curve: np.ndarray, thresholds: Sequence[float], shares: Sequence[float]) -> np.ndarray:
    """Temporal actionness grouping: the different spans (M, 2) of a curve (n,) in [0, 1].

    For each threshold and each of `shares`: the rows at or above the threshold form groups. Each group then absorbs the
    following groups, and the rows between, while the part of the whole that is at or above the threshold is no less
    than the share.
    """
    spans = [np.empty((0, 2), np.int64)]
    for threshold in thresholds:
        above = curve >= threshold - 1e-9  # for rounding errors of smoothing
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
    """Move both ends of spans (M, 2) to where the curve (n,) crosses the middle of its step.

    The middle lies halfway between two levels: the mean of the central half of the span, and the lowest of the `reach`
    rows before its start, or after its end (0 where there are no rows). Symmetric smoothing keeps the middle of a step
    in its place, so the result does not depend on the threshold. An end moves by `reach` rows at most, and stays where
    it is when the curve does not cross the middle there. (Our own method.)
    """
    first, end = spans.T
    sums = np.concatenate([[0.0], curve.cumsum()])
    quarter = (end - first) // 4
    inside = (sums[end - quarter] - sums[first + quarter]) / (end - first - 2 * quarter)
    moved_first = _move(first, curve, inside, reach)
    moved_end = len(curve) - _move(len(curve) - end, curve[::-1], inside, reach)
    possible = moved_first < moved_end
    return np.stack([np.where(possible, moved_first, first), np.where(possible, moved_end, end)], axis=1)


def _move(first: np.ndarray, curve: np.ndarray, inside: np.ndarray, reach: int) -> np.ndarray:
    """The first rows (M,) of spans with levels `inside` (M,), moved to where the curve comes up to the middle.

    There the curve is at or above the middle, and one row before it is below; the nearest such row is taken.
    """
    lowest = np.full(len(first), np.inf)
    for distance in range(1, reach + 1):
        before = first - distance
        lowest = np.minimum(lowest, np.where(before >= 0, curve[np.maximum(before, 0)], np.inf))
    middle = (inside + np.where(np.isinf(lowest), 0, lowest)) / 2
    moved = first.copy()
    looking = np.ones(len(first), bool)
    for distance in range(reach + 1):
        for place in (first + distance, first - distance):
            place = place.clip(0, len(curve) - 1)
            below_before = (place == 0) | (curve[place - 1] < middle)
            comes_up = looking & below_before & (curve[place] >= middle)
            moved[comes_up] = place[comes_up]
            looking &= ~comes_up
    return moved


def contrasts(spans: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """How much higher the curve (n,) is inside each span (M, 2) than in the margins on both sides (M,).

    A margin is a quarter of the span. Missing rows count as 0. (AutoLoc, arXiv:1807.08333.)
    """
    first, end = spans.T
    margin = np.maximum(1, np.rint(0.25 * (end - first)).astype(np.int64))
    before, after = np.maximum(first - margin, 0), np.minimum(end + margin, len(curve))
    sums = np.concatenate([[0.0], curve.cumsum()])
    inner = sums[end] - sums[first]
    outer = sums[after] - sums[before] - inner
    return inner / (end - first) - outer / (2 * margin)
