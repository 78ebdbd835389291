"""Predictions as JSON for the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from actionstream.models.labels import BACKGROUND, NOTHING
from actionstream.results import Prediction

MAX_CLASSES = 20
"""The most classes in an answer; the best ones are sent."""
QUIET = {BACKGROUND, NOTHING, "still", "no gesture", "doing other things"}
"""Labels, in lower case, that mean that nothing happens: `motion` and Jester have some."""


def describe(prediction: Prediction) -> dict[str, Any]:
    """A prediction as JSON: [class, smoothed score] pairs, best first, and the events."""
    best = np.argsort(-prediction.smoothed, kind="stable")[:MAX_CLASSES]
    return {
        "time": round(prediction.time_seconds, 4),
        "scores": [[int(index), round(float(prediction.smoothed[index]), 4)] for index in best],
        "events": [event.to_dict() for event in prediction.events],
        "reset": prediction.reset,
        "latency_ms": round(prediction.latency_ms, 1),
        "warm": prediction.frames_since_reset,
    }


def quiet_classes(labels: Sequence[str]) -> list[int]:
    """The classes that mean that nothing happens; the page shows them apart."""
    return [index for index, label in enumerate(labels) if label.lower() in QUIET]
