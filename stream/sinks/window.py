"""A desktop window that shows the video."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from time import perf_counter

import numpy as np

from actionstream.models.common.errors import ActionstreamError
from actionstream.results import Update
from actionstream.sinks.overlay import Overlay
from actionstream.sinks.sink import SinkClosed

TILE = 480, 360  # width and height of a stream's picture, for several streams
DRAWN_A_SECOND = 40


class DesktopWindow:
    """Shows every frame with the overlay, several streams in a grid; q, Escape or closing the window ends.

    On Linux create it before PyAV is imported: the wheels of OpenCV and PyAV both have a libxcb, and the window hangs
    with PyAV's (opencv/opencv issue 29195).
    """

    def __init__(self, title: str, overlay: Callable[[], Overlay]):
        from actionstream.models.common.opencv import cv2

        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise ActionstreamError(
                "--show needs a desktop, and there is none here (DISPLAY is not set); try --save OUT.mp4"
            )
        os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false;qt.qpa.fonts.warning=false")
        self._cv2 = cv2
        self._title = title
        self._make_overlay = overlay
        self._overlays: dict[str, Overlay] = {}
        self._pictures: dict[str, np.ndarray] = {}
        self._drawn = 0.0
        cv2.namedWindow(title, cv2.WINDOW_NORMAL)

    def push(self, update: Update) -> None:
        name, notice = update.stream, update.notice
        if update.frame is not None:
            if name not in self._overlays:
                self._overlays[name] = self._make_overlay()
            self._pictures[name] = self._overlays[name](update.frame, update.prediction)
        elif notice is not None and notice.event == "close":
            self._overlays.pop(name, None)
            self._pictures.pop(name, None)
        elif notice is not None and notice.event == "disconnect" and name in self._pictures:
            self._pictures[name] = self._pictures[name] // 4  # darken it: the picture is old
        if perf_counter() - self._drawn > 1 / DRAWN_A_SECOND:
            self.draw()

    def draw(self) -> None:
        """Draw the window and handle keys; SinkClosed when the user ends it."""
        cv2 = self._cv2
        self._drawn = perf_counter()
        if self._pictures:
            cv2.imshow(self._title, self._side_by_side()[..., ::-1])
        key = cv2.waitKey(1) & 0xFF
        if key in (ord("q"), 27) or cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
            raise SinkClosed

    def close(self) -> None:
        self._cv2.destroyAllWindows()

    def _side_by_side(self) -> np.ndarray:
        """The pictures of all streams in a grid, each fitted into its tile; a single picture keeps its size."""
        pictures = list(self._pictures.values())
        if len(pictures) == 1:
            return pictures[0]
        columns = math.ceil(math.sqrt(len(pictures)))
        rows = math.ceil(len(pictures) / columns)
        width, height = TILE
        wall = np.zeros((rows * height, columns * width, 3), np.uint8)
        for n, picture in enumerate(pictures):
            scale = min(width / picture.shape[1], height / picture.shape[0])
            size = max(1, int(picture.shape[1] * scale)), max(1, int(picture.shape[0] * scale))
            small = self._cv2.resize(picture, size)
            top, left = n // columns * height, n % columns * width
            wall[top : top + small.shape[0], left : left + small.shape[1]] = small
        return wall
