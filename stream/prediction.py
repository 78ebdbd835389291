"""What comes out: a prediction for each sampled frame, and events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

SCHEMA = "actionstream/1"


@dataclass(frozen=True, slots=True)
class Label:
    label: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A label starting or ending in a live stream.

    time_seconds  when its smoothed score crossed the threshold, on the source's clock
    score         the smoothed score that told
    """

    stream: str
    event: Literal["start", "end"]
    label: str
    time_seconds: float
    score: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "stream": self.stream,
            "event": self.event,
            "label": self.label,
            "time_seconds": round(self.time_seconds, 6),
            "score": round(self.score, 6),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The scores of one sampled frame.

    frame                index of the frame in its source
    time_seconds         on the source's clock
    latency_ms           from frame available to this
    frames_since_reset   snippets scored since the state was empty, this one included: 1 for the first
    reset                why the state was emptied before this frame ("start", "gap", "jump back", "new size"),
                         else None
    names                a name for each class
    probabilities        float32 (K,), of this snippet alone
    smoothed             float32 (K,), the recent past included; events follow it
    events               labels that start or end with this frame
    """

    stream: str
    frame: int
    time_seconds: float
    latency_ms: float
    frames_since_reset: int
    reset: str | None
    names: tuple[str, ...]
    probabilities: np.ndarray
    smoothed: np.ndarray
    events: tuple[Event, ...]

    @property
    def label(self) -> str:
        """The most likely label of the recent past."""
        return self.names[int(self.smoothed.argmax())]

    @property
    def score(self) -> float:
        """Its smoothed score."""
        return float(self.smoothed.max())

    def top(self, count: int = 5) -> list[Label]:
        """The most likely labels of this snippet, best first."""
        best = np.argsort(-self.probabilities, kind="stable")[:count]
        return [Label(self.names[index], float(self.probabilities[index])) for index in best]

    def to_dict(self, top: int = 5) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "stream": self.stream,
            "frame": self.frame,
            "time_seconds": round(self.time_seconds, 6),
            "latency_ms": round(self.latency_ms, 3),
            "frames_since_reset": self.frames_since_reset,
            "reset": self.reset,
            "labels": [{"label": label.label, "score": round(label.score, 6)} for label in self.top(top)],
        }
