"""The steps by which a live detector learns from annotated videos.

Frozen backbones look at each video once (`look_at`). A memory learns from the features of all videos but those of a
fold, and scores that fold (`hold_out`); on these scores thresholds and durations are chosen (`choose_decisions`) and
figures are measured (`measure`). At the end a memory learns from all videos (`learn`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from actionstream.detector.features import FeatureStore, VideoFeatures
from actionstream.detector.held_out import folds_of, score_features
from actionstream.detector.learning import learn
from actionstream.detector.settings import DetectorSettings
from actionstream.detector.streams import LearntVideo
from actionstream.engine.labelling import EventSettings
from actionstream.engine.scorer import Scorer
from actionstream.evaluation.detection import DetectionAccuracy, activitynet_detection
from actionstream.evaluation.live import LiveAccuracy, LiveVideo, live_accuracy
from actionstream.evaluation.segments import SegmentRow, Segments, Truth
from actionstream.frame import Frame
from actionstream.models.annotations.annotated import AnnotatedVideo, Annotation
from actionstream.models.backbones import looking
from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.networks.frozen_backbones import FrozenBackbones
from actionstream.runtimes.eager import TorchRuntime
from actionstream.sources import SourceError
from actionstream.videos.label import label_scores
from actionstream.videos.live import live_segments
from actionstream.videos.scores import VideoScores

IOU_THRESHOLDS = (0.3, 0.5, 0.7)
MOST_SMOOTHING_SECONDS = 1.0


@dataclass(frozen=True)
class Seen:
    """A video and its features."""

    annotated: AnnotatedVideo
    features: VideoFeatures

    def learnt(self, labels: Sequence[str]) -> LearntVideo:
        """What a memory learns from."""
        return LearntVideo(
            self.features.rows,
            self.features.times_seconds,
            _intervals(self.annotated.annotations),
            np.array([labels.index(each.label) for each in self.annotated.annotations], np.int64),
            _intervals(self.annotated.ignored),
        )


@dataclass(frozen=True)
class HeldOutFigures:
    """What was measured on held-out videos: of segments, and of the live path.

    The thresholds and durations of the live path were chosen on the same videos.
    """

    segments: DetectionAccuracy
    live: LiveAccuracy


def open_store(folder: Path, network: FrozenBackbones, card: Card, *, device: str) -> FeatureStore:
    """The store of the features that a network learns from; what is there of these backbones is used again."""
    digest = hashlib.sha256()
    for name, tensor in network.backbones.state_dict().items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    made_of = f"{digest.hexdigest()} {network.uses} {network.num_features} {card.preprocessing} {card.interval_seconds}"
    return FeatureStore(folder, Scorer(TorchRuntime(*looking(network, card), device=device)), made_of=made_of)


def look_at(
    videos: Iterable[AnnotatedVideo], store: FeatureStore, shown: Callable[[AnnotatedVideo], Callable[[Frame], None]]
) -> tuple[list[Seen], list[str]]:
    """The features of videos, and the errors of those that cannot be read.

    shown  is told each video, and gives what is shown its frames
    """
    seen, broken = [], []
    for video in videos:
        assert video.path is not None, "the videos of AnnotatedData have paths"
        try:
            seen.append(Seen(video, store(video.path, look=shown(video))))
        except SourceError as error:
            broken.append(str(error))
        except ActionstreamError as error:
            broken.append(f"{video.path}: {error}")
    if not any(each.annotated.annotations for each in seen):
        raise ActionstreamError(f"no video with a segment can be read: {'; '.join(broken[:3])}")
    return seen, broken


def hold_out(
    videos: Sequence[Seen],
    card: Card,
    how: DetectorSettings,
    *,
    device: str,
    told: Callable[[int, int], None],
) -> dict[str, VideoScores] | None:
    """The scores of each video by what was learnt from those of other folds; None where all are of one group.

    told  is called before each fold with its number, from 1, and the number of folds
    """
    groups = [video.annotated.group for video in videos]
    folds = folds_of(groups, [video.features.duration_seconds for video in videos], how.num_folds)
    if len(folds) < 2:
        return None
    scores = {}
    for number, fold in enumerate(folds, start=1):
        told(number, len(folds))
        others = [video.learnt(card.labels) for place, video in enumerate(videos) if place not in fold]
        memory = learn(others, len(card.labels), how, device=device)
        for place in fold:
            video = videos[place]
            scores[video.annotated.name] = score_features(memory, video.features).after(card.context)
    return scores


def smoothing_for(videos: Sequence[Seen]) -> float:
    """Seconds of smoothing that suit the segments of whole videos: a quarter of the median duration, up to a second."""
    durations = [each.end_seconds - each.start_seconds for video in videos for each in video.annotated.annotations]
    return min(float(np.median(durations)) / 4, MOST_SMOOTHING_SECONDS)


def truth_of(videos: Sequence[Seen]) -> Truth:
    """The annotations of videos, as evaluation takes them; what is ignored counts as ambiguous."""

    def segments(annotations: Callable[[AnnotatedVideo], Sequence[Annotation]]) -> Segments:
        return Segments.from_rows(
            (video.annotated.name, each.start_seconds, each.end_seconds, each.label, 1.0)
            for video in videos
            for each in annotations(video.annotated)
        )

    return Truth(
        segments=segments(lambda video: video.annotations),
        ambiguous=segments(lambda video: video.ignored),
        durations_seconds={video.annotated.name: video.features.duration_seconds for video in videos},
        labels=tuple(sorted({each.label for video in videos for each in video.annotated.annotations})),
    )


def measure(scores: dict[str, VideoScores], truth: Truth, card: Card) -> HeldOutFigures:
    """The figures of scores after the warm-up, by video, as `evaluate --videos` has them."""
    rows: list[SegmentRow] = []
    live = []
    for name, each in scores.items():
        segments = label_scores(each, card, name=name).segments
        rows += [(name, one.start_seconds, one.end_seconds, one.label, one.score) for one in segments]
        announced = live_segments(each, card, EventSettings())
        live.append(LiveVideo.of(name, each, card, announced, labels=truth.labels))
    found = Segments.from_rows(rows)
    return HeldOutFigures(
        activitynet_detection(truth, found[np.isin(found.labels, truth.labels)], iou_thresholds=IOU_THRESHOLDS),
        live_accuracy(truth, live),
    )


def _intervals(annotations: Sequence[Annotation]) -> np.ndarray:
    """Starts and ends (m, 2) in seconds."""
    return np.array([(each.start_seconds, each.end_seconds) for each in annotations], np.float64).reshape(-1, 2)
