"""The timeline of a stream: its segments as they open and close, and M-TWI's labels of the whole stream."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from actionstream.engine.labelling import EventSettings
from actionstream.models.card import Card
from actionstream.results import Label, OpenSegment, Prediction, Segment, TimelineNews, Update, VideoLabels
from actionstream.scoring import Integrator, WindowPlan

HORIZON_SECONDS = 60.0
"""How far back M-TWI reaches where a source is live."""
VIDEO_EVERY_SECONDS = 2.0
"""Interval between two answers of M-TWI, on the stream's clock."""


class Timeline:
    """The timeline of one stream, from its predictions.

    card             card of the model
    events           how its segments are found; those of the engine that makes the predictions
    horizon_seconds  how far back M-TWI reaches; None: to the beginning

    Predictions during the warm-up do not count. Where the times of a stream jump back, M-TWI starts again.
    """

    def __init__(
        self,
        stream: str,
        card: Card,
        *,
        events: EventSettings,
        horizon_seconds: float | None = None,
    ):
        self._stream = stream
        self._card = card
        self._plan = WindowPlan(horizon_seconds=horizon_seconds)
        self._integrator = Integrator(self._plan)
        self._tracker = events.tracker(card)
        self._last_seconds = self._asked_seconds = -math.inf
        self._video: VideoLabels | None = None

    def push(self, prediction: Prediction) -> TimelineNews:
        """Take the next prediction of the stream."""
        news: list[OpenSegment | Segment] = []
        now = prediction.time_seconds - self._card.delay_seconds  # what the scores are about
        if prediction.reset:
            news += self._tracker.flush()
            self._tracker.reset()
        if now <= self._last_seconds:
            self._integrator = Integrator(self._plan)
            self._last_seconds = self._asked_seconds = -math.inf
        is_due = False
        if prediction.frames_since_reset > self._card.context:
            self._last_seconds = now
            news += self._tracker.push(prediction.probabilities, now)
            self._integrator.push(prediction.scores, now)
            is_due = now >= self._asked_seconds + VIDEO_EVERY_SECONDS
        return self._tell(news, is_due)

    def flush(self) -> TimelineNews:
        """Close the open segments and ask M-TWI a last time, as the stream has ended."""
        news = self._tracker.flush()
        return self._tell(news, self._last_seconds > self._asked_seconds)

    def _tell(self, news: Sequence[OpenSegment | Segment], is_due: bool) -> TimelineNews:
        if is_due:
            self._asked_seconds = self._last_seconds
            self._video = self._ask()
        return TimelineNews(
            stream=self._stream,
            news=tuple(news),
            open_segments=tuple(self._tracker.open_segments),
            video=self._video,
            video_is_new=is_due,
        )

    def _ask(self) -> VideoLabels:
        probabilities = self._card.probabilities(self._integrator.query())
        order = np.argsort(-probabilities, kind="stable").tolist()
        return VideoLabels(
            stream=self._stream,
            time_seconds=self._last_seconds,
            horizon_seconds=self._plan.horizon_seconds,
            labels=tuple(Label(self._card.labels[index], float(probabilities[index])) for index in order),
        )


class Timelines:
    """Adds timelines to the updates of all watched streams.

    events   as for `Timeline`
    is_live  whether the source of a stream, given by name, is live: then M-TWI has a horizon
    """

    def __init__(self, card: Card, *, events: EventSettings, is_live: Callable[[str], bool]):
        self._card = card
        self._events = events
        self._is_live = is_live
        self._timelines: dict[str, Timeline] = {}

    def push(self, update: Update) -> Update:
        """The update, with the timeline of its stream where it has a prediction or closes the stream."""
        name = update.stream
        if update.prediction is not None:
            if name not in self._timelines:
                horizon_seconds = HORIZON_SECONDS if self._is_live(name) else None
                self._timelines[name] = Timeline(name, self._card, events=self._events, horizon_seconds=horizon_seconds)
            return replace(update, timeline=self._timelines[name].push(update.prediction))
        if update.notice is not None and update.notice.event == "close" and name in self._timelines:
            return replace(update, timeline=self._timelines.pop(name).flush())
        return update
