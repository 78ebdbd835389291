"""Online action detection in untrimmed videos, from the scores and segments that the live path gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from actionstream.evaluation.announcements import (
    AnnouncementCounts,
    Announcements,
    count_announcements,
    match_announcements,
)
from actionstream.evaluation.online import FrameAccuracy, StartAccuracy, frame_accuracy, row_labels, start_accuracy
from actionstream.evaluation.segmental_f1 import F1_IOU_THRESHOLDS, segmental_f1
from actionstream.evaluation.segments import Segments, Truth
from actionstream.models.card import Card
from actionstream.scoring.segments import break_up
from actionstream.videos.live import LiveSegment
from actionstream.videos.scores import VideoScores


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveVideo:
    """What the live path gave for a video.

    labels         the K labels that count
    probabilities  float32 (n, K): of the rows after the warm-up, as they come
    starts_seconds, ends_seconds
                   (n,): from when to when each row stands
    segments       of these labels, in the order of their announcements
    """

    name: str
    labels: tuple[str, ...]
    probabilities: np.ndarray
    starts_seconds: np.ndarray
    ends_seconds: np.ndarray
    duration_seconds: float
    segments: Sequence[LiveSegment]

    @classmethod
    def of(
        cls, name: str, scores: VideoScores, card: Card, segments: Sequence[LiveSegment], *, labels: Sequence[str]
    ) -> LiveVideo:
        """From the rows of a video after the warm-up; only `labels` count."""
        _, ends = break_up(scores.times_seconds, interval_seconds=card.interval_seconds, begins_anew=scores.begins_anew)
        return cls(
            name=name,
            labels=tuple(labels),
            probabilities=card.probabilities(scores.scores)[:, [card.labels.index(label) for label in labels]],
            starts_seconds=scores.times_seconds,
            ends_seconds=np.minimum(ends, max(scores.duration_seconds, scores.times_seconds[-1])),
            duration_seconds=scores.duration_seconds,
            segments=[each for each in segments if each.label in labels],
        )

    @property
    def announcements(self) -> Announcements:
        """The segments as columns."""
        rows = [(self.name, each.start_seconds, each.end_seconds, each.label, each.score) for each in self.segments]
        times = np.array([each.announced_seconds for each in self.segments], np.float64)
        return Announcements(Segments.from_rows(rows), times)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAccuracy:
    """The figures of online action detection in `num_videos` videos of `hours`.

    frames, starts  None where no label holds in any frame, or has any true segment
    f1              of segments, at each of F1_IOU_THRESHOLDS; None where there is no true segment
    counts          of the announcements of all labels
    by_label        of each label that has true segments or announcements, in alphabetical order
    """

    num_videos: int
    hours: float
    frames: FrameAccuracy | None
    starts: StartAccuracy | None
    f1: tuple[float, ...] | None
    counts: AnnouncementCounts
    by_label: dict[str, AnnouncementCounts]


def live_accuracy(truth: Truth, videos: Sequence[LiveVideo]) -> LiveAccuracy:
    """The figures of the live path, of these videos and their labels alone; the truth may have more.

    videos  one or more; all have the same labels, which model and truth know

    Frame mAP and calibrated mAP (De Geest et al., ECCV 2016, arXiv:1604.06506): of the probabilities of single rows,
    not smoothed, of all videos together. A true segment holds in every row that it touches; rows that an Ambiguous
    segment touches do not count.
    Start mAP (Shou et al., ECCV 2018, arXiv:1802.06822): a detection is an announced start, with its score at the
    announcement; see `start_accuracy`.
    F1 (Farha and Gall, CVPR 2019, arXiv:1903.01945): of the closed segments; see `segmental_f1`.
    The counts are those of `match_announcements`.
    """
    truth = truth.only([video.name for video in videos])
    truth = replace(truth, segments=truth.segments[np.isin(truth.segments.labels, videos[0].labels)])
    parts = [video.announcements for video in videos]
    announced = Announcements(
        Segments.from_rows(row for part in parts for row in part.segments.rows()),
        np.concatenate([part.times_seconds for part in parts]),
    )
    hours = sum(video.duration_seconds for video in videos) / 3600
    matched = match_announcements(truth, announced)

    def counts(label: str | None = None) -> AnnouncementCounts:
        return count_announcements(truth, announced, matched, hours=hours, label=label)

    wanted = len(truth.segments) > 0
    return LiveAccuracy(
        num_videos=len(videos),
        hours=hours,
        frames=_frames(truth, videos),
        starts=start_accuracy(truth, announced.segments) if wanted else None,
        f1=segmental_f1(truth, announced.segments, iou_thresholds=F1_IOU_THRESHOLDS) if wanted else None,
        counts=counts(),
        by_label={
            label: counts(label)
            for label in sorted({*truth.segments.labels.tolist(), *announced.segments.labels.tolist()})
        },
    )


def _frames(truth: Truth, videos: Sequence[LiveVideo]) -> FrameAccuracy | None:
    def held(segments: Segments, labels: Sequence[str]) -> np.ndarray:
        return np.concatenate(
            [
                row_labels(
                    segments[segments.videos == video.name],
                    labels,
                    starts_seconds=video.starts_seconds,
                    ends_seconds=video.ends_seconds,
                )
                for video in videos
            ]
        )

    holds = held(truth.segments, videos[0].labels)
    unclear = held(truth.ambiguous, np.unique(truth.ambiguous.labels).tolist()).sum(axis=1) > 0
    if not holds[~unclear].any():
        return None
    return frame_accuracy(np.concatenate([video.probabilities for video in videos]), holds, ignore=unclear)
