"""Every value that goes out: predictions, events, segments, and news of the stream itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from actionstream.frame import Frame

SCHEMA = "actionstream/1"
NOT_DUE = ("between samples", "inside a stack")
"""Why a frame has no prediction though nothing was lost."""
WARMING_UP = "warming up"
"""What stands on a screen for a label, where there is none yet."""


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
    split_ms             what it was spent on: "preprocess", the preparation of this frame (modality and resizing) by
                         whoever reads the stream, "waiting" until a batch took it, "model", for all frames of the
                         batch, and "scoring", which is the rest
    frames_since_reset   snippets scored since the state was empty, this one included: 1 for the first
    reset                why the state was emptied before this frame ("start", "gap", "jump back", "new size",
                         "scores not finite"), else None
    warming_up           whether the network has seen too little since then: there is no `label`, `score` is 0, no event
                         begins, and scores and probabilities mean nothing yet
    names                a name for each class
    scores               float32 (K,), of this snippet alone, before softmax or sigmoid
    probabilities        float32 (K,), of this snippet alone
    smoothed             float32 (K,), the recent past included; events follow it
    events               labels that start or end with this frame
    """

    stream: str
    frame: int
    time_seconds: float
    latency_ms: float
    split_ms: Mapping[str, float]
    frames_since_reset: int
    reset: str | None
    names: tuple[str, ...]
    scores: np.ndarray
    probabilities: np.ndarray
    smoothed: np.ndarray
    events: tuple[Event, ...]
    warming_up: bool = False

    @property
    def label(self) -> str | None:
        """The most likely label of the recent past; None until the warm-up is over."""
        return None if self.warming_up else self.names[int(self.smoothed.argmax())]

    @property
    def score(self) -> float:
        """Its smoothed score; 0 until then."""
        return 0.0 if self.warming_up else float(self.smoothed.max())

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
            "split_ms": {stage: round(spent, 3) for stage, spent in self.split_ms.items()},
            "frames_since_reset": self.frames_since_reset,
            "reset": self.reset,
            "warming_up": self.warming_up,
            "labels": [{"label": label.label, "score": round(label.score, 6)} for label in self.top(top)],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A frame without a prediction.

    reason  "between samples": the sampler did not want it; "inside a stack": it went into a snippet of several frames
            that is not due yet; "scores not finite": the model gave NaN or infinity, and the state of the stream is
            emptied before the next frame; "failed": its preparation or scoring raised, and so does the next frame begin
            with an empty state
    error   what was raised, where it failed
    """

    reason: Literal["between samples", "inside a stack", "scores not finite", "failed"]
    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Frames of a stream so far: received = labelled + all that were dropped + those that wait.

    dropped  by reason: "between samples" (the sampler did not want it), "inside a stack" (it went into a snippet that
             was not due), "newer" (a newer sampled one replaced it while it waited), "stale" (waited too long), "late"
             (the decoder was behind), "damaged", "scores not finite", "failed" (an error ended the stream), "ended"
             (waited when the stream was closed)
    """

    received: int = 0
    labelled: int = 0
    waiting: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        """Frames that were dropped though they might have had a prediction."""
        return sum(count for reason, count in self.dropped.items() if reason not in NOT_DUE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """News of a stream itself.

    event         of a live stream: "connect", "disconnect", "retry" (trying to connect did not help) and "reconnect";
                  of any: "warning", something is odd about its source, and "close", its last news
    time_seconds  on the stream's clock
    reason        of a disconnect, a retry, a warning, or a close that came before its time
    counts        with a close: all frames of the stream
    warnings      with a close: all that was odd about the source
    """

    stream: str
    event: Literal["connect", "disconnect", "retry", "reconnect", "warning", "close"]
    time_seconds: float
    reason: str | None = None
    counts: Counts | None = None
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = {
            "schema": SCHEMA,
            "stream": self.stream,
            "event": self.event,
            "time_seconds": round(self.time_seconds, 6),
            "reason": self.reason,
        }
        if self.counts is not None:
            counts = self.counts
            values |= {"received": counts.received, "labelled": counts.labelled, "dropped": dict(counts.dropped)}
            values["warnings"] = list(self.warnings)
        return values


@dataclass(frozen=True, slots=True)
class Segment:
    """A label from one time to another, and how sure that is (0 to 1)."""

    start_seconds: float
    end_seconds: float
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class OpenSegment:
    """A label that started and has not ended; `score` is that of what it has shown so far."""

    start_seconds: float
    label: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoLabels:
    """What M-TWI says of a stream so far, or of its last `horizon_seconds`: labels with scores, best first."""

    stream: str
    time_seconds: float
    horizon_seconds: float | None
    labels: tuple[Label, ...]

    def to_dict(self, top: int) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "stream": self.stream,
            "time_seconds": round(self.time_seconds, 6),
            "horizon_seconds": self.horizon_seconds,
            "video": [{"label": each.label, "score": round(each.score, 6)} for each in self.labels[:top]],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineNews:
    """How the timeline of a stream stands.

    news           segments that were announced or closed with this, in the order in which they were
    open_segments  those that go on
    video          the last answer of M-TWI, None before the first
    video_is_new   whether it came with this
    """

    stream: str
    news: tuple[OpenSegment | Segment, ...]
    open_segments: tuple[OpenSegment, ...]
    video: VideoLabels | None
    video_is_new: bool

    def to_dicts(self, top: int) -> list[dict[str, Any]]:
        """What is new, as JSON."""
        values = [_segment_to_dict(self.stream, segment) for segment in self.news]
        if self.video is not None and self.video_is_new:
            values.append(self.video.to_dict(top))
        return values


def _segment_to_dict(stream: str, segment: OpenSegment | Segment) -> dict[str, Any]:
    closed = isinstance(segment, Segment)
    return {
        "schema": SCHEMA,
        "stream": stream,
        "segment": "closed" if closed else "open",
        "label": segment.label,
        "start_seconds": round(segment.start_seconds, 6),
        "end_seconds": round(segment.end_seconds, 6) if isinstance(segment, Segment) else None,
        "score": round(segment.score, 6),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What is new about one stream: a frame with its prediction, if it was sampled; a notice; events that end.

    timeline  how its timeline stands, where one is kept
    """

    stream: str
    frame: Frame | None = None
    prediction: Prediction | None = None
    events: tuple[Event, ...] = ()
    notice: Notice | None = None
    timeline: TimelineNews | None = None
