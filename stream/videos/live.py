"""The segments of a whole video as `watch --timeline` tells them live: announced once, and never revised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from actionstream.engine.labelling import EventSettings
from actionstream.models.card import Card
from actionstream.results import OpenSegment, Segment
from actionstream.scoring import SegmentTracker
from actionstream.videos.scores import VideoScores


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSegment:
    """A segment that was announced and closed.

    announced_seconds  time of the row that announced it
    score              at the announcement, when its end is not known
    """

    start_seconds: float
    end_seconds: float
    label: str
    score: float
    announced_seconds: float


def follow(
    tracker: SegmentTracker,
    probabilities: np.ndarray,
    times_seconds: np.ndarray,
    *,
    begins_anew: np.ndarray,
    duration_seconds: float,
) -> Iterator[tuple[float, OpenSegment | Segment]]:
    """What a tracker tells of a video, each with the time of the row that it comes with; the last with the duration.

    probabilities  (n, K): of the rows after the warm-up
    times_seconds  (n,)
    begins_anew    bool (n,): rows before which the state of the network was emptied, which ends all segments
    """
    tracker.reset()
    for row, time_seconds, begins in zip(probabilities, times_seconds.tolist(), begins_anew, strict=True):
        if begins:
            yield from ((time_seconds, each) for each in tracker.flush())
            tracker.reset()
        yield from ((time_seconds, each) for each in tracker.push(row, time_seconds))
    yield from ((duration_seconds, each) for each in tracker.flush())


def live_segments(scores: VideoScores, card: Card, events: EventSettings) -> list[LiveSegment]:
    """The segments of a video in the order of their announcements, from its rows after the warm-up.

    A reset of the network's state ends all segments, and so does the end of the video.
    """
    told = list(
        follow(
            events.tracker(card),
            card.probabilities(scores.scores),
            scores.times_seconds,
            begins_anew=scores.begins_anew,
            duration_seconds=scores.duration_seconds,
        )
    )
    ends = {(each.label, each.start_seconds): each.end_seconds for _, each in told if isinstance(each, Segment)}
    return [
        LiveSegment(
            start_seconds=each.start_seconds,
            end_seconds=min(ends[each.label, each.start_seconds], scores.duration_seconds),
            label=each.label,
            score=each.score,
            announced_seconds=min(time_seconds + card.delay_seconds, scores.duration_seconds),
        )
        for time_seconds, each in told
        if isinstance(each, OpenSegment)
    ]
