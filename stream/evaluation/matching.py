"""Matching: pairs of rows of the same group, and the greedy choice that all evaluators make."""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def number(*columns: np.ndarray) -> tuple[int, list[np.ndarray]]:
    """The number of different names in columns of strings, and the columns with numbers from 0 for the names.

    The numbers are in alphabetical order, and the same in all columns.
    """
    names, numbers = np.unique(np.concatenate(columns), return_inverse=True)
    return len(names), np.split(numbers, np.cumsum([len(column) for column in columns])[:-1])


def pairs_in_groups(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs (i, j) for which left[i] and right[j] are the same group; by i, then by j."""
    order = np.argsort(right, kind="stable")
    first = np.searchsorted(right[order], left, "left")
    num = np.searchsorted(right[order], left, "right") - first
    i = np.repeat(np.arange(len(left)), num)
    return i, order[np.arange(len(i)) + np.repeat(first - (np.cumsum(num) - num), num)]


def places_in_groups(groups: np.ndarray) -> np.ndarray:
    """For each row, how many rows of its group stand before it."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    places = np.empty(len(groups), np.int64)
    places[order] = np.arange(len(groups)) - np.searchsorted(ordered, ordered)
    return places


def match(chooser: np.ndarray, target: np.ndarray, *, places: np.ndarray, num_targets: int) -> np.ndarray:
    """Each chooser takes the first of its targets that is still free.

    chooser, target  (P,): the pairs that are allowed, in the order in which each chooser prefers them
    places           (C,): the turn of each chooser; choosers of the same target never have the same turn

    The choosers of one turn choose at once, so there are as many steps as turns. Returns the target that each chooser
    took, int (C,), -1 for none.
    """
    order = np.argsort(places[chooser], kind="stable")
    chooser, target = chooser[order], target[order]
    turns = np.flatnonzero(np.diff(places[chooser], prepend=-1, append=-1))
    taken = np.full(len(places), -1)
    free = np.ones(num_targets, bool)
    for start, stop in pairwise(turns):
        open_ = free[target[start:stop]]
        who, first = np.unique(chooser[start:stop][open_], return_index=True)
        taken[who] = target[start:stop][open_][first]
        free[taken[who]] = False
    return taken


def iou_thumos14(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection of two intervals (N, 2) over their common span, row by row; 0 without an intersection.

    An interval that ends before it starts is turned round.
    """
    a, b = np.sort(a, axis=1), np.sort(b, axis=1)
    shared = np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0])
    span = np.maximum(a[:, 1], b[:, 1]) - np.minimum(a[:, 0], b[:, 0])
    return np.divide(shared, span, out=np.zeros(len(a)), where=shared > 0)


def iou_activitynet(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of intervals (N, 2), row by row; infinite for 0/0, two intervals without duration."""
    shared = (np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0])).clip(0)
    union = (a[:, 1] - a[:, 0]) + (b[:, 1] - b[:, 0]) - shared
    return np.divide(shared, union, out=np.full(len(a), np.inf), where=(shared != 0) | (union != 0))
