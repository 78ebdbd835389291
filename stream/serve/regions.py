"""Crops of regions: what a stream of a region sees of a picture."""

from __future__ import annotations

import numpy as np

from actionstream.serve.polygons import pixels_inside
from actionstream.serve.settings import Region

GREY = 128


class Crop:
    """Cuts a region out of pictures.

        crop = Crop(region)
        image = crop(image)     uint8 (H, W, 3) -> uint8 (h, w, 3)

    The crop is the bounds of the region, rounded to whole pixels, at least one; a view of the picture, where the region
    is a box. Outside of a polygon a copy is grey.
    """

    def __init__(self, region: Region):
        self._region = region
        self._outside: tuple[tuple[int, int], np.ndarray] | None = None  # of pictures of this size

    def __call__(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        left, top, right, bottom = self._region.bounds
        columns, rows = _pixels(left, right, width), _pixels(top, bottom, height)
        crop = image[rows, columns]
        if self._region.polygon is None:
            return crop
        if self._outside is None or self._outside[0] != (height, width):
            corners = [(x * width - columns.start, y * height - rows.start) for x, y in self._region.polygon]
            self._outside = (height, width), ~pixels_inside(corners, *crop.shape[:2])
        crop = crop.copy()
        crop[self._outside[1]] = GREY
        return crop


def _pixels(begin: float, end: float, size: int) -> slice:
    """The pixels of a share of a side, one at least."""
    first = min(round(begin * size), size - 1)
    return slice(first, max(round(end * size), first + 1))
