"""The labels of a whole video: its segments, and the scores of the video as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from actionstream.engine.scorer import Scorer
from actionstream.frame import Frame
from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.results import Segment
from actionstream.scoring.mtwi import integrate
from actionstream.scoring.segments import SegmentFinder
from actionstream.sources import Source
from actionstream.videos.scores import VideoScores, score_video

ROWS_AT_ONCE = 4096
CLASSES_AT_ONCE = 16
"""Classes in memory in double precision; all classes of a long video would take several times its scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledVideo:
    """What was found in a video of n rows.

    scores         of the rows after warm-up
    probabilities  float32 (n, K): of each moment, by the best of the rows that are about it
    overall        (K,): probabilities of the video as a whole, by M-TWI
    segments       best first
    """

    scores: VideoScores
    probabilities: np.ndarray
    overall: np.ndarray
    segments: list[Segment]


def label_video(
    source: Source,
    scorer: Scorer,
    *,
    background: str | None = None,
    finder: SegmentFinder | None = None,
    look: Callable[[Frame], None] = lambda frame: None,
) -> LabelledVideo:
    """Score a source that ends and find the segments in it; errors and `look` are as in `score_video`.

    background  the label that means nothing happens

    No segment crosses a reset of the network's state. At the end of the video, memory is twice that of the scores.
    """
    scores = score_video(source, scorer, look=look)
    return label_scores(scores, scorer.card, name=source.name, background=background, finder=finder)


def label_scores(
    scores: VideoScores, card: Card, *, name: str, background: str | None = None, finder: SegmentFinder | None = None
) -> LabelledVideo:
    """Find the segments in a video that has been scored; ValueError where it has no row after warm-up."""
    longest = scores.rows_since_reset.max(initial=0)
    scores = scores.after(card.context)
    if not len(scores.scores):
        raise ActionstreamError(
            f"{name} is too short: the first {card.context} rows are warm-up, and it has {longest} without a gap"
        )
    probabilities = best_about(scores.scores, scores.begins_anew, card.covers)
    for first in range(0, len(probabilities), ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        probabilities[rows] = card.probabilities(probabilities[rows])
    overall = [
        integrate(scores.scores[:, first : first + CLASSES_AT_ONCE], times_seconds=scores.times_seconds)
        for first in range(0, len(card.labels), CLASSES_AT_ONCE)
    ]
    segments = (finder or SegmentFinder(smoothing_seconds=card.segment_smoothing_seconds)).find(
        probabilities,
        scores.times_seconds,
        card.labels,
        background=background,
        interval_seconds=card.interval_seconds,
        begins_anew=scores.begins_anew,
    )
    return LabelledVideo(
        scores=scores,
        probabilities=probabilities,
        overall=card.probabilities(np.concatenate(overall)),
        segments=[replace(each, end_seconds=min(each.end_seconds, scores.duration_seconds)) for each in segments],
    )


def best_about(scores: np.ndarray, begins_anew: np.ndarray, covers: int) -> np.ndarray:
    """The highest scores of the `covers` rows that are about each moment: (n, K) to (n, K), a copy.

    Row i is about the moments of rows i - covers + 1 to i, as far as no reset, bool (n,), lies between.
    """
    best, run = scores.copy(), np.cumsum(begins_anew)
    covers = min(covers, len(scores))
    reached = 1
    while reached < covers:  # twice as far each time
        ahead = min(reached, covers - reached)
        same = (run[ahead:] == run[:-ahead])[:, None]
        np.maximum(best[:-ahead], best[ahead:], out=best[:-ahead], where=same)
        reached += ahead
    return best
