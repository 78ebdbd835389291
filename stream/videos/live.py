"""The segments of a whole video as `watch --timeline` tells them live: announced once, and never revised."""

from __future__ import annotations

from dataclasses import dataclass

from actionstream.engine.labelling import EventSettings
from actionstream.models.card import Card
from actionstream.results import OpenSegment, Segment
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


def live_segments(scores: VideoScores, card: Card, events: EventSettings) -> list[LiveSegment]:
    """The segments of a video in the order of their announcements, from its rows after the warm-up.

    A reset of the network's state ends all segments, and so does the end of the video.
    """
    tracker = events.tracker(card)
    told: list[tuple[float, OpenSegment | Segment]] = []
    rows = zip(card.probabilities(scores.scores), scores.times_seconds.tolist(), scores.begins_anew, strict=True)
    for row, time_seconds, begins_anew in rows:
        if begins_anew:
            told += [(time_seconds, each) for each in tracker.flush()]
            tracker.reset()
        told += [(time_seconds, each) for each in tracker.push(row, time_seconds)]
    told += [(scores.duration_seconds, each) for each in tracker.flush()]
    ends = {(each.label, each.start_seconds): each.end_seconds for _, each in told if isinstance(each, Segment)}
    return [
        LiveSegment(
            start_seconds=each.start_seconds,
            end_seconds=min(ends[each.label, each.start_seconds], scores.duration_seconds),
            label=each.label,
            score=each.score,
            announced_seconds=time_seconds,
        )
        for time_seconds, each in told
        if isinstance(each, OpenSegment)
    ]
