"""Thumbnails of a video, taken while it is decoded."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from actionstream.frame import Frame


class Thumbnails:
    """Small pictures spread evenly over a video of unknown length: at least `count` if there are as many frames.

    Up to twice as many are kept; when the room is full, every other one is dropped, and later ones are taken half as
    often.
    """

    def __init__(self, count: int = 40, height: int = 120):
        self.kept: list[tuple[float, np.ndarray]] = []
        self._room = 2 * count
        self._height = height
        self._spacing_seconds = 0.1
        self._next_seconds = -math.inf

    def push(self, frame: Frame) -> None:
        """The next frame of the video."""
        if frame.time_seconds < self._next_seconds:
            return
        if len(self.kept) == self._room:
            self.kept = self.kept[::2]
            self._spacing_seconds = (self.kept[-1][0] - self.kept[0][0]) / (len(self.kept) - 1)
        rows, columns = frame.size
        size = max(1, round(columns * self._height / rows)), self._height
        picture = Image.fromarray(frame.image).resize(size, Image.Resampling.BILINEAR)
        self.kept.append((frame.time_seconds, np.asarray(picture)))
        self._next_seconds = frame.time_seconds + self._spacing_seconds

    def nearest(self, time_seconds: float) -> np.ndarray:
        """The picture that was taken nearest to a time."""
        return min(self.kept, key=lambda each: abs(each[0] - time_seconds))[1]
