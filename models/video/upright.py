"""Decoded pictures as upright RGB arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import av


class Converter:
    """Pictures of a decoder to RGB arrays, upright; one reformatter serves a whole stream."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()

    def __call__(self, picture: av.VideoFrame) -> np.ndarray:
        """RGB uint8 (height, width, 3) as a player shows it: rotated and mirrored by its display matrix."""
        image = self._reformatter.reformat(picture, format="rgb24").to_ndarray()
        matrix = picture.side_data.get("DISPLAYMATRIX")
        if matrix is None:
            return image
        return shown_through(np.frombuffer(bytes(matrix), np.int32), image)  # type: ignore[call-overload]


def shown_through(matrix: np.ndarray, image: np.ndarray) -> np.ndarray:
    """An image (h, w, 3) through a display matrix, int32 (9,) as in ISO/IEC 14496-12, 8.3.2.

    The pixel at (x, y) is shown at (a x + c y, b x + d y), up to a translation; the matrix begins a, b, u, c, d. Other
    angles are rounded to the nearest multiple of 90 degrees.
    """
    a, b, _, c, d = (int(value) for value in matrix[:5])
    if abs(a) + abs(d) < abs(b) + abs(c):
        image = image.swapaxes(0, 1)
        right, down = c, b
    else:
        right, down = a, d
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1])
