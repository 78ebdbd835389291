"""The types of the shapes of regions: boxes and polygons, in shares of the width and the height of a picture."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Strict

from actionstream.serve.polygons import Point, crosses_itself
from actionstream.serve.values import Share, shares, wanted

MOST_CORNERS = 100


def _four(value: Any) -> Any:
    if isinstance(value, list) and len(value) != 4:
        raise wanted("[left, top, right, bottom]")
    return value


def _two(value: Any) -> Any:
    if isinstance(value, list) and len(value) != 2:
        raise wanted("[x, y]")
    return value


def _box(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    if not (left < right and top < bottom):
        raise wanted("[left, top, right, bottom] with left < right and top < bottom")
    return box


def _polygon(corners: tuple[Point, ...]) -> tuple[Point, ...]:
    if not 3 <= len(corners) <= MOST_CORNERS:
        raise wanted(f"3 to {MOST_CORNERS} points")
    if len(set(corners)) < len(corners):
        raise wanted("each point once; the last one is joined to the first")
    if crosses_itself(corners):
        raise wanted("a polygon whose sides do not cross or touch each other")
    return corners


Box = Annotated[
    tuple[Share, Share, Share, Share], Strict(False), BeforeValidator(_four), AfterValidator(_box), shares(4)
]
Corner = Annotated[tuple[Share, Share], Strict(False), BeforeValidator(_two), shares(2)]
Polygon = Annotated[tuple[Corner, ...], Strict(False), AfterValidator(_polygon)]
