"""A live stream of a lesson: what the visitor has taught is said of it, and examples are taken out of it."""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from actionstream.demos.page.lesson import Lesson
from actionstream.demos.page.visitor import Visitor
from actionstream.models.common.errors import ActionstreamError
from actionstream.results import Prediction, Update
from actionstream.sources import Source
from actionstream.teaching.live import LiveFeatures

PICTURE_SECONDS = 0.25
"""Time between two pictures that are kept."""
PICTURES = 6
"""The most pictures of an example."""
PICTURE_PIXELS = 96
"""About the longer side of a picture."""
ONCE_SECONDS = 1.0
"""A correction is not taken again in this time."""


class TaughtVisitor(Visitor):
    """A sink for features. Any thread may take an example out of it."""

    def __init__(self, source: Source, lesson: Lesson):
        super().__init__(source)
        self.lesson = lesson
        limits = lesson.limits
        self._lock = threading.Lock()
        self._features = LiveFeatures(
            interval_seconds=lesson.interval_seconds,
            context=lesson.context,
            longest=lesson.longest,
            kept_seconds=limits.max_example_seconds,
        )
        self._pictures: deque[tuple[float, Image.Image]] = deque(
            maxlen=1 + round(limits.max_example_seconds / PICTURE_SECONDS)
        )
        self._corrected = ("", float("-inf"))
        self._now_seconds = float("-inf")

    def push(self, update: Update) -> None:
        if update.frame is not None:
            self._keep(update.frame.image, update.frame.time_seconds)
        super().push(update)

    def add(self, label: str, begin_seconds: float, end_seconds: float) -> None:
        """Add what was seen in this time as an example."""
        most = self.lesson.limits.max_example_seconds
        if end_seconds - begin_seconds > most + 1:  # a page that stops at the limit comes a little late
            raise ActionstreamError(f"an example of {end_seconds - begin_seconds:.0f} s; the longest is {most:g} s")
        with self._lock:
            features = self._features.between(begin_seconds, end_seconds)
            pictures = [image for time, image in self._pictures if begin_seconds <= time <= end_seconds]
        self.lesson.add(label, features, _encoded(pictures))

    def correct(self, label: str) -> None:
        """Add the last seconds as an example, as many as those of the label have; once, however often it is pressed."""
        num_snippets = self.lesson.correction_length(label)
        with self._lock:
            now = self._now_seconds
            if self._corrected[0] == label and now < self._corrected[1] + ONCE_SECONDS:
                return
            features = self._features.last(num_snippets)
            if 2 * features.shape[1] < num_snippets:
                shown, wanted = (number * self.lesson.interval_seconds for number in (features.shape[1], num_snippets))
                raise ActionstreamError(
                    f"the camera has shown {shown:.1f} s; a correction takes the last {wanted:.1f} s; wait a moment"
                )
            begin = self._features.begin_of_last(num_snippets)
            pictures = [image for time, image in self._pictures if time >= begin]
        self.lesson.add(label, features, _encoded(pictures))
        self._corrected = label, now

    def _described(self, prediction: Prediction) -> dict[str, Any]:
        head = self.lesson.head
        with self._lock:
            self._now_seconds = prediction.time_seconds
            told = self._features.push(
                prediction.scores, prediction.time_seconds, head, reset=prediction.reset is not None
            )
        best: list[tuple[str, float]] = []
        if head is not None and told is not None:
            order = np.argsort(-told, kind="stable")[:5]
            best = [(head.labels[index], round(float(told[index]), 4)) for index in order]
        return {
            "time": round(prediction.time_seconds, 4),
            "best": best,
            "latency_ms": round(prediction.latency_ms, 1),
            "version": self.lesson.version,
        }

    def _keep(self, image: np.ndarray, time_seconds: float) -> None:
        with self._lock:
            if self._pictures and time_seconds < self._pictures[-1][0] + PICTURE_SECONDS:
                return
            picture = Image.fromarray(image)
            self._pictures.append((time_seconds, picture.reduce(max(1, round(max(picture.size) / PICTURE_PIXELS)))))


def _encoded(pictures: Sequence[Image.Image]) -> list[bytes]:
    """Some of the pictures, evenly spaced, as JPEG."""
    chosen = np.linspace(0, len(pictures) - 1, min(PICTURES, len(pictures))).round().astype(int)
    encoded = []
    for place in chosen:
        data = io.BytesIO()
        pictures[place].save(data, "JPEG", quality=70)
        encoded.append(data.getvalue())
    return encoded
