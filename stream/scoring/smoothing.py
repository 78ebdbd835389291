"""Smoothing of probabilities over time."""

from __future__ import annotations

import math

import numpy as np

from actionstream.models.common.errors import ActionstreamError


class Smoother:
    """Exponential moving average over time, for frames at any distance.

    A frame that lies `seconds` back weighs 1/e of the present one. The weights always add up to one, so the
    first rows after a reset are not pulled to zero. With 0 seconds nothing is smoothed.
    """

    def __init__(self, seconds: float):
        self.set_seconds(seconds)
        self._sum: np.ndarray | float = 0.0
        self._total = 0.0
        self._time = 0.0

    def set_seconds(self, seconds: float) -> None:
        """Another smoothing time from the next row on."""
        if not seconds >= 0 or math.isinf(seconds):
            raise ActionstreamError(f"the smoothing time is {seconds} seconds; it must be 0 or more")
        self.seconds = seconds

    def push(self, probabilities: np.ndarray, time_seconds: float) -> np.ndarray:
        """One more row (K,) at its time; returns the smoothed row (K,)."""
        fade = 0.0
        if self._total and self.seconds > 0:
            fade = math.exp(-(time_seconds - self._time) / self.seconds)
        self._sum = self._sum * fade + probabilities.astype(np.float64)
        self._total = self._total * fade + 1
        self._time = time_seconds
        return (self._sum / self._total).astype(np.float32)

    def reset(self) -> None:
        """Forget all rows."""
        self._sum = self._total = self._time = 0.0
