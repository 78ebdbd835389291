"""From the scores of a stream to its predictions: smoothing, events, and the counters of the stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from actionstream.frame import Frame
from actionstream.models.card import Card
from actionstream.models.labels import find_background
from actionstream.results import Event, Prediction
from actionstream.scoring import EventDetector, SegmentTracker, Smoother
from actionstream.scoring.events import (
    MIN_DURATION_SECONDS,
    Seconds,
    Threshold,
    complete_durations,
    complete_thresholds,
)
from actionstream.scoring.tracker import MAX_DIP_SECONDS


@dataclass(frozen=True, kw_only=True)
class EventSettings:
    """How the events and segments of a stream are found; see `Engine`. What is None is that of the model's card."""

    threshold: Threshold | None = None
    end_threshold: Threshold | None = None
    smoothing_seconds: float = 0.3
    min_duration_seconds: Seconds | None = None
    background: str | None = None

    def thresholds(self, card: Card) -> tuple[dict[str, float], dict[str, float]]:
        """Start and end thresholds by label, with "*" for the others; those of the card where none are given."""
        return complete_thresholds(self.threshold, self.end_threshold, card.thresholds)

    def min_durations(self, card: Card) -> dict[str, float]:
        """Minimum durations by label, with "*" for the others."""
        return complete_durations(self.min_duration_seconds, card.min_durations, MIN_DURATION_SECONDS)

    def labelling(self, card: Card) -> Labelling:
        """A labelling for a new stream; ActionstreamError where a setting is wrong, or names no label of the card."""
        start, end = self.thresholds(card)
        detector = EventDetector(
            "",
            card.labels,
            start=start,
            end=end,
            min_duration_seconds=self.min_durations(card),
            max_dip_seconds=complete_durations(None, card.max_dips, 0.0),
            background=find_background(card.labels, self.background),
        )
        return Labelling(Smoother(self.smoothing_seconds), detector, card.delay_seconds)

    def tracker(self, card: Card) -> SegmentTracker:
        """A tracker for the probabilities of a new stream, as they come; ActionstreamError as for `labelling`."""
        start, end = self.thresholds(card)
        return SegmentTracker(
            card.labels,
            interval_seconds=card.interval_seconds,
            background=find_background(card.labels, self.background),
            smoothing_seconds=self.smoothing_seconds,
            start=start,
            end=end,
            min_duration_seconds=self.min_durations(card),
            max_dip_seconds=complete_durations(None, card.max_dips, MAX_DIP_SECONDS),
        )


@dataclass
class Labelling:
    """Makes predictions from the scores of one stream, and keeps the counters of the stream.

    delay_seconds       from what a score is about to its own frame; events are told in the time of the former
    next_index          index of the next frame, where the caller gives none
    frames_since_reset  snippets scored since the state was empty
    last_seconds        time of the last frame
    flushed             whether the source has ended
    reset               why the state was emptied; the next prediction reports it
    ended               events that this reset ended; the next prediction reports them
    """

    smoother: Smoother
    detector: EventDetector
    delay_seconds: float = 0.0
    next_index: int = 0
    frames_since_reset: int = 0
    last_seconds: float = 0.0
    flushed: bool = False
    reset: str | None = None
    ended: list[Event] = field(default_factory=list)

    def start_anew(self, why: str) -> None:
        """Start again after the state of the stream was emptied; the open events end with its last frame."""
        self.reset = why
        self.ended += self.detector.flush(self.last_seconds - self.delay_seconds)
        self.smoother.reset()
        self.frames_since_reset = 0

    def push(
        self, frame: Frame, scores: np.ndarray, card: Card, split_ms: dict[str, float], wall_seconds: float
    ) -> Prediction:
        """The prediction of a frame, from its scores, float32 (K,), the parts of its latency so far, and its time."""
        probabilities = card.probabilities(scores)
        reset, self.reset = self.reset, None
        events, self.ended = self.ended, []
        self.frames_since_reset += 1
        smoothed = probabilities
        self.detector.wall_offset = wall_seconds - frame.time_seconds
        warming_up = self.frames_since_reset <= card.context
        if not warming_up:
            about_seconds = frame.time_seconds - self.delay_seconds
            smoothed = self.smoother.push(probabilities, about_seconds)
            events = events + self.detector.push(smoothed, about_seconds)
        latency_ms = (perf_counter() - frame.available) * 1000
        return Prediction(
            stream=frame.stream,
            frame=frame.index,
            time_seconds=frame.time_seconds,
            wall_seconds=wall_seconds,
            latency_ms=latency_ms,
            split_ms={**split_ms, "scoring": latency_ms - sum(split_ms.values())},
            frames_since_reset=self.frames_since_reset,
            reset=reset,
            names=card.labels,
            scores=scores,
            probabilities=probabilities,
            smoothed=smoothed,
            events=tuple(events),
            warming_up=warming_up,
            background=self.detector.background,
        )

    def flush(self, time_seconds: float | None) -> list[Event]:
        """End the open events at a time, or with the last frame, as the source has ended; returns their ends."""
        self.flushed = True
        ended, self.ended = self.ended, []
        last_seconds = self.last_seconds if time_seconds is None else time_seconds
        return ended + self.detector.flush(last_seconds - self.delay_seconds)
