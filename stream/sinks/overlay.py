"""Labels drawn into a picture."""

from __future__ import annotations

import numpy as np

from actionstream.frame import Frame
from actionstream.results import WARMING_UP, Prediction
from actionstream.scoring.events import Threshold, thresholds

GREEN, GREY = (120, 255, 140), (170, 170, 170)


class Overlay:
    """Draws the current label and the best scores into a copy of each frame; the background label is grey.

    threshold  a label is drawn when its smoothed score reaches this: a number, or a mapping as for `EventDetector`
    """

    def __init__(self, *, top: int, threshold: Threshold):
        from actionstream.models.common.opencv import cv2

        self._cv2 = cv2
        self._top = top
        self._threshold = threshold
        self._latest: Prediction | None = None

    def __call__(self, frame: Frame, prediction: Prediction | None) -> np.ndarray:
        """The RGB image with the overlay, uint8, at least 320 pixels wide."""
        cv2 = self._cv2
        self._latest = prediction or self._latest
        image = frame.image
        scale = max(1, -(-320 // image.shape[1]))
        image = cv2.resize(image, None, fx=scale, fy=scale) if scale > 1 else image.copy()
        if self._latest is None:
            return image
        unit = max(0.45, image.shape[1] / 900)
        line = int(30 * unit)
        latest = self._latest
        order = np.argsort(-latest.smoothed, kind="stable")[: 0 if latest.warming_up else self._top]
        box = image[: line * (len(order) + 1) + line // 2, : int(line * 9)]
        box[:] = box // 3
        label = latest.label or WARMING_UP
        reached = latest.smoothed >= thresholds(self._threshold, latest.names)
        sure = latest.warming_up or reached[latest.smoothed.argmax()]
        colour = GREY if label == latest.background else GREEN
        self._text(image, label if sure else "...", (line // 3, line), unit * 1.1, colour)
        for place, index in enumerate(order):
            score = float(latest.smoothed[index])
            y = line * (place + 2)
            cv2.rectangle(image, (line // 3, y - line // 2), (line // 3 + int(line * 3 * score), y), (90, 200, 120), -1)
            self._text(image, latest.names[index], (line * 4, y), unit * 0.7, (255, 255, 255))
        return image

    def _text(self, image: np.ndarray, text: str, at: tuple[int, int], size: float, colour: tuple) -> None:
        thick = max(1, round(size * 1.6))
        self._cv2.putText(image, text, at, self._cv2.FONT_HERSHEY_SIMPLEX, size, colour, thick, self._cv2.LINE_AA)
