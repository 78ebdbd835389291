"""Segments of many videos as columns: what truth and results are made of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from actionstream.models.common.errors import ActionstreamError

SegmentRow = tuple[str, float, float, str, float]
"""Video, start and end in seconds, label, score."""


@dataclass(frozen=True, slots=True)
class Segments:
    """Segments of many videos, a row each, in the order of their file.

    videos, labels              str (N,); a label is "" where a file gives none (proposals)
    start_seconds, end_seconds  float64 (N,); NaN where a file gives none (labels of whole videos)
    scores                      float64 (N,), finite; 1 for annotations
    """

    videos: np.ndarray
    start_seconds: np.ndarray
    end_seconds: np.ndarray
    labels: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        shapes = {field.name: getattr(self, field.name).shape for field in fields(self)}
        if len(set(shapes.values())) > 1 or self.videos.ndim != 1:
            raise ActionstreamError(f"the columns of segments are all (N,), not {shapes}")
        if not np.isfinite(self.scores).all():
            video = self.videos[~np.isfinite(self.scores)][0]
            raise ActionstreamError(f"a score of video {video} is not a finite number; nothing can be ranked by it")
        if np.isinf(self.start_seconds).any() or np.isinf(self.end_seconds).any():
            raise ActionstreamError("a segment starts or ends at infinity; times are in seconds")

    @classmethod
    def from_rows(cls, rows: Iterable[SegmentRow]) -> Segments:
        """The columns of rows (video, start, end, label, score)."""
        videos, starts, ends, labels, scores = zip(*rows, strict=True) if (rows := list(rows)) else ((),) * 5
        return cls(
            np.array(videos, np.str_),
            np.array(starts, np.float64),
            np.array(ends, np.float64),
            np.array(labels, np.str_),
            np.array(scores, np.float64),
        )

    def rows(self) -> Iterator[SegmentRow]:
        """The rows, as plain strings and numbers."""
        columns = (self.videos, self.start_seconds, self.end_seconds, self.labels, self.scores)
        return zip(*(column.tolist() for column in columns), strict=True)

    @property
    def intervals(self) -> np.ndarray:
        """Start and end in seconds, float64 (N, 2)."""
        return np.stack([self.start_seconds, self.end_seconds], axis=1)

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, which: np.ndarray | slice) -> Segments:
        """The rows that a mask, indices or a slice choose."""
        return Segments(*(getattr(self, field.name)[which] for field in fields(self)))

    def without(self, videos: Collection[str]) -> Segments:
        """All but the rows of these videos."""
        return self[~np.isin(self.videos, np.array(list(videos), np.str_))] if videos else self


@dataclass(frozen=True, slots=True)
class Truth:
    """The ground truth of the videos of a subset.

    segments           the annotations
    ambiguous          segments marked as ambiguous (THUMOS14); detections there are not counted as false
    durations_seconds  all videos of the subset, those without annotations too; NaN where the file does not say
    labels             all labels of the file; only labels with a segment count
    """

    segments: Segments
    ambiguous: Segments
    durations_seconds: Mapping[str, float]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        missing = {*self.segments.videos.tolist(), *self.ambiguous.videos.tolist()} - set(self.durations_seconds)
        if missing:
            raise ActionstreamError(f"video {min(missing)} has annotations, but is not among the videos of the truth")
        unknown = set(self.segments.labels.tolist()) - set(self.labels)
        if unknown:
            raise ActionstreamError(f"label {min(unknown)!r} has annotations, but is not among the labels of the truth")

    def without(self, videos: Collection[str]) -> Truth:
        """All but these videos."""
        return replace(
            self,
            segments=self.segments.without(videos),
            ambiguous=self.ambiguous.without(videos),
            durations_seconds={name: s for name, s in self.durations_seconds.items() if name not in set(videos)},
        )

    def only(self, videos: Collection[str]) -> Truth:
        """These videos alone."""
        return self.without(set(self.durations_seconds) - set(videos))


def check_comparable(truth: Truth, results: Segments) -> None:
    """Raise ValueError when there is no truth, or when truth and results have no video or no label in common."""
    if not len(truth.segments):
        raise ActionstreamError("no annotations are left to compare with")
    if not len(results):
        return
    if not np.isin(results.videos, list(truth.durations_seconds)).any():
        raise ActionstreamError(
            f"the results have no video of the truth: they have {results.videos[0]} and others, "
            f"the truth has {truth.segments.videos[0]}"
        )
    if results.labels.any() and not np.isin(results.labels, truth.labels).any():
        raise ActionstreamError(
            f"the results have no label of the truth: they have {str(results.labels[0])!r} and others, "
            f"the truth has {truth.labels[0]!r}"
        )


def check_known(truth: Truth, results: Segments) -> None:
    """Raise ValueError when the truth does not know a label of the results."""
    unknown = np.unique(results.labels[~np.isin(results.labels, truth.labels)]).tolist()
    if unknown:
        shown = ", ".join(map(repr, unknown[:3])) + (", ..." if len(unknown) > 3 else "")
        raise ActionstreamError(
            f"{len(unknown)} labels of the results are not in the truth: {shown}; it has {len(truth.labels)} labels, "
            f"such as {truth.labels[0]!r}"
        )


def check_times(segments: Segments, what: str) -> None:
    """Raise ValueError when a segment has no start or no end."""
    missing = np.isnan(segments.start_seconds) | np.isnan(segments.end_seconds)
    if missing.any():
        raise ActionstreamError(
            f"{what} of video {segments.videos[missing][0]} has no start and end; here they are needed"
        )
