"""Every output value: predictions, events, segments, and notices about the stream itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from actionstream.event_id import wall_time
from actionstream.frame import Frame

SCHEMA = "actionstream/1"
NOT_DUE = ("between samples", "inside a stack", "idle")
"""The reasons for a frame without a prediction that are no loss."""
WARMING_UP = "warming up"
"""The text on a screen in place of a label during the warm-up."""


@dataclass(frozen=True, slots=True)
class Label:
    """A label with its score, a probability from 0 to 1."""

    label: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A label starting or ending in a live stream.

    id            of the start and the end alike: a UUID of version 7
    time_seconds  when the smoothed score crossed the threshold, on the source's clock
    wall_seconds  the same in seconds since 1970; None where the frames came from no live engine
    score         the smoothed score at that time
    """

    stream: str
    event: Literal["start", "end"]
    id: str
    label: str
    time_seconds: float
    score: float
    wall_seconds: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, a line of `watch --json`."""
        return {
            "schema": SCHEMA,
            "stream": self.stream,
            "event": self.event,
            "id": self.id,
            "label": self.label,
            "time_seconds": round(self.time_seconds, 6),
            "wall_time": wall_time(self.wall_seconds),
            "score": round(self.score, 6),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The scores of one sampled frame.

    frame                index of the frame in its source
    time_seconds         time of the frame on the source's clock
    wall_seconds         when the frame could be labelled, in seconds since 1970
    latency_ms           from the frame's `available` to this prediction
    split_ms             the parts of the latency: "preprocess", modality and resizing of this frame in the thread that
                         reads the stream; "waiting", until a batch takes the frame; "model", for all frames of the
                         batch; "scoring", the rest
    frames_since_reset   snippets scored since the state was empty, including this one: 1 for the first
    reset                why the state was emptied before this frame ("start", "gap", "jump back", "new size",
                         "scores not finite"), else None
    warming_up           whether the network has seen too few snippets since the reset: `label` is None, `score` is 0,
                         no event begins, and scores and probabilities mean nothing yet
    names                a name for each class
    scores               float32 (K,), logits of this snippet alone
    probabilities        float32 (K,), of this snippet alone
    smoothed             float32 (K,), probabilities smoothed over the recent past; events follow them
    events               labels that start or end with this frame
    background           the label that means that nothing happens; None where the model has none
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
    wall_seconds: float | None = None
    warming_up: bool = False
    background: str | None = None

    @property
    def label(self) -> str | None:
        """The most likely label of the recent past; None until the warm-up is over."""
        return None if self.warming_up else self.names[int(self.smoothed.argmax())]

    @property
    def score(self) -> float:
        """The smoothed score of `label`; 0 until the warm-up is over."""
        return 0.0 if self.warming_up else float(self.smoothed.max())

    def top(self, count: int = 5) -> list[Label]:
        """The most likely labels of this snippet, best first."""
        best = np.argsort(-self.probabilities, kind="stable")[:count]
        return [Label(self.names[index], float(self.probabilities[index])) for index in best]

    def to_dict(self, top: int = 5) -> dict[str, Any]:
        """As JSON values, a line of `watch --json`, with the `top` best labels."""
        return {
            "schema": SCHEMA,
            "stream": self.stream,
            "frame": self.frame,
            "time_seconds": round(self.time_seconds, 6),
            "wall_time": wall_time(self.wall_seconds),
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

    reason  "between samples": the sampler did not pick it; "inside a stack": it is part of a snippet of several frames
            that is not complete; "idle": the gate held it back, as the scene is still; "scores not finite": the model
            gave NaN or infinity, and the state of the stream is emptied before the next frame; "failed": its
            preparation or scoring raised an error, and the next frame begins with an empty state, too
    error   the error, where the reason is "failed"
    """

    reason: Literal["between samples", "inside a stack", "idle", "scores not finite", "failed"]
    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Frames of a stream so far: received = labelled + dropped (of all reasons) + waiting.

    dropped  by reason: "between samples" (the sampler did not pick it), "inside a stack" (it is part of a snippet that
             was not complete), "idle" (the scene was still; a few of these are scored later), "newer" (a newer sampled
             frame replaced it in the queue), "stale" (it waited too long), "late" (the decoder was behind), "damaged",
             "too large", "scores not finite", "failed" (an error ended the stream), "ended" (it waited when the stream
             was closed)
    """

    received: int = 0
    labelled: int = 0
    waiting: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        """Dropped frames that could have had a prediction."""
        return sum(count for reason, count in self.dropped.items() if reason not in NOT_DUE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that happened to a stream itself.

    event         of a live stream: "connect", "disconnect", "retry" (an attempt to connect failed) and "reconnect";
                  of any stream: "warning", a problem of its source, and "close", its last notice
    time_seconds  time on the stream's clock
    wall_seconds  when it happened, in seconds since 1970
    reason        of a disconnect, a retry, a warning, or a close that came too early
    counts        of a close: all frames of the stream
    refused       of a close: whether the source refused the user, which waiting does not change
    warnings      of a close: all warnings about the source
    """

    stream: str
    event: Literal["connect", "disconnect", "retry", "reconnect", "warning", "close"]
    time_seconds: float
    reason: str | None = None
    counts: Counts | None = None
    refused: bool = False
    warnings: tuple[str, ...] = ()
    wall_seconds: float = field(default_factory=time.time)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, a line of `watch --json`."""
        values: dict[str, Any] = {
            "schema": SCHEMA,
            "stream": self.stream,
            "event": self.event,
            "time_seconds": round(self.time_seconds, 6),
            "wall_time": wall_time(self.wall_seconds),
            "reason": self.reason,
        }
        if self.counts is not None:
            counts = self.counts
            values |= {"received": counts.received, "labelled": counts.labelled, "dropped": dict(counts.dropped)}
            values["warnings"] = list(self.warnings)
        return values


@dataclass(frozen=True, slots=True)
class Segment:
    """A label from a start to an end time, with a score from 0 to 1."""

    start_seconds: float
    end_seconds: float
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class OpenSegment:
    """A label that started and has not ended; `score` is its score so far."""

    start_seconds: float
    label: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoLabels:
    """The labels that M-TWI gives for a stream so far, or for its last `horizon_seconds`: best first."""

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
    """The timeline of a stream after an update.

    news           segments that this update opens or closes, in order of time
    open_segments  segments that are open now
    video          the last answer of M-TWI; None before the first one
    video_is_new   whether this update brings the answer
    """

    stream: str
    news: tuple[OpenSegment | Segment, ...]
    open_segments: tuple[OpenSegment, ...]
    video: VideoLabels | None
    video_is_new: bool

    def to_dicts(self, top: int) -> list[dict[str, Any]]:
        """The new segments, and the answer of M-TWI if it is new, as JSON values."""
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
    """News of one stream: a frame, with its prediction if it was sampled; a notice; events that end.

    frame     also None with the prediction of a frame that was held back before
    timeline  the timeline of the stream, where one is kept
    """

    stream: str
    frame: Frame | None = None
    prediction: Prediction | None = None
    events: tuple[Event, ...] = ()
    notice: Notice | None = None
    timeline: TimelineNews | None = None
