"""Polygons: whether their sides cross, and which pixels lie inside."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np

Point = tuple[float, float]
Side = tuple[Point, Point]
TINY = 1e-12
"""Twice the area of a triangle so flat that its corners lie on a line; coordinates are shares of 0 to 1."""


def sides_of(corners: Sequence[Point]) -> list[Side]:
    """The sides of a polygon; the last one joins the last corner to the first."""
    return [*pairwise(corners), (corners[-1], corners[0])]


def crosses_itself(corners: Sequence[Point]) -> bool:
    """Whether two sides have a point in common, besides the corner that neighbours share; corners differ."""
    return any(_meet(one, other) for one, other in combinations(sides_of(corners), 2))


def pixels_inside(corners: Sequence[Point], height: int, width: int) -> np.ndarray:
    """bool (height, width): the pixels whose centre is inside; the corners are (x, y) in pixels."""
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    inside = np.zeros((height, width), bool)
    for (x1, y1), (x2, y2) in sides_of(corners):  # a pixel inside has an odd number of sides at its right
        rows = np.flatnonzero((y1 <= y) != (y2 <= y))
        if len(rows):
            inside[rows] ^= x < (x1 + (y[rows] - y1) * (x2 - x1) / (y2 - y1))[:, None]
    return inside


def _meet(one: Side, other: Side) -> bool:
    shared = set(one) & set(other)
    if shared:  # neighbours: they also meet where one lies on the other
        (corner,) = shared
        first, second = (next(end for end in side if end != corner) for side in (one, other))
        along = (first[0] - corner[0]) * (second[0] - corner[0]) + (first[1] - corner[1]) * (second[1] - corner[1])
        return _turn(corner, first, second) == 0 and along > 0
    turns = [_turn(*one, end) for end in other] + [_turn(*other, end) for end in one]
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    ends = [(one, end) for end in other] + [(other, end) for end in one]
    return any(turn == 0 and _spans(side, end) for turn, (side, end) in zip(turns, ends, strict=True))


def _turn(start: Point, end: Point, point: Point) -> float:
    """Above 0 where a point is at one hand of a line, below 0 at the other, 0 on it."""
    turn = (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])
    return turn if abs(turn) > TINY else 0.0


def _spans(side: Side, point: Point) -> bool:
    (x1, y1), (x2, y2) = side
    return min(x1, x2) <= point[0] <= max(x1, x2) and min(y1, y2) <= point[1] <= max(y1, y2)
