"""What happens in a whole video: its segments, and what it shows as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stream.frame import Frame
from stream.scorer import Scorer
from stream.scoring.mtwi import integrate
from stream.scoring.segments import Segment, SegmentFinder
from stream.sources import Source
from stream.timeline import BACKGROUND
from stream.video_scores import VideoScores, score_video


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledVideo:
    """What was found in a video of n rows.

    scores         of the rows that mean something
    probabilities  float32 (n, K)
    overall        (K,): probabilities of what the video shows as a whole, by M-TWI
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
    """Score a source that ends and find the segments in it; what is raised, and `look`, are as in `score_video`.

    background  the label that means nothing happens
    """
    card = scorer.card
    everything = score_video(source, scorer, look=look)
    scores = everything.after(card.context)
    if not len(scores.scores):
        raise ValueError(
            f"{source.name} is too short: the first {card.context} rows mean nothing, and it has "
            f"{len(everything.scores)} without a gap"
        )
    probabilities = card.probabilities(scores.scores)
    segments = (finder or SegmentFinder()).find(
        probabilities,
        scores.times_seconds,
        card.labels,
        background=background,
        interval_seconds=card.interval_seconds,
    )
    return LabelledVideo(
        scores=scores,
        probabilities=probabilities,
        overall=card.probabilities(integrate(scores.scores, times_seconds=scores.times_seconds)),
        segments=[replace(each, end_seconds=min(each.end_seconds, scores.duration_seconds)) for each in segments],
    )


def find_background(labels: Sequence[str], wanted: str | None) -> str | None:
    """The label that means nothing happens: the wanted one, which must be there, or the one that is called so."""
    if wanted is not None and wanted not in labels:
        raise ValueError(f"no label is called {wanted!r}; there are {', '.join(labels)}")
    return BACKGROUND if wanted is None and BACKGROUND in labels else wanted
