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
        self._shape: tuple[int, int, int] | None = None
        self._matrix: np.ndarray | None = None

    def __call__(self, picture: av.VideoFrame) -> np.ndarray:
        """RGB uint8 (height, width, 3) as a player shows it: rotated and mirrored by its display matrix."""
        shape = picture.width, picture.height, picture.rotation
        if shape != self._shape:  # not for each picture: one whose `side_data` was read waits for the garbage collector
            self._shape = shape
            matrix = picture.side_data.get("DISPLAYMATRIX")
            self._matrix = None if matrix is None else np.frombuffer(bytes(matrix), np.int32)  # type: ignore[call-overload]
        image = self._reformatter.reformat(picture, format="rgb24", threads=1).to_ndarray()
        return image if self._matrix is None else shown_through(self._matrix, image)


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
