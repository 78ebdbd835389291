"""Annotated videos as they are learnt from: found in a folder, divided into sides, and cleared of what is unusable."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from actionstream.models.annotations.annotated import AMBIGUOUS, AnnotatedVideo, Annotation, AnnotationSet
from actionstream.models.annotations.read import read_annotations
from actionstream.models.annotations.subsets import SIDES, Side, side_of
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.labels import find_background
from actionstream.models.training.folders import Videos, find_videos
from actionstream.models.training.left_out import LeftOut
from actionstream.models.video import SourceError, index_of

OF_NO_SIDE = "videos of a subset that is not for training, validation or test"


@dataclass(frozen=True, slots=True)
class AnnotatedData:
    """The videos of a file of annotations that can be learnt from; each has a path and its real duration.

    training    videos to learn from
    validation  videos of the subset for validation; none where the file has no such subset beside that of training
    labels      of the actions of training, sorted; without a label that means background
    left_out    what could not be used, by reason
    """

    training: tuple[AnnotatedVideo, ...]
    validation: tuple[AnnotatedVideo, ...]
    labels: tuple[str, ...]
    left_out: LeftOut


def read_annotated_videos(source: Path, root: Path) -> AnnotatedData:
    """The annotated videos of a folder, in any layout that actionstream.models.annotations.read takes.

    Segments may overlap, also of one label. What is not annotated is background, and so is what is annotated as
    `background` or `nothing`. Unusable segments, missing videos and those that cannot be read are left out by name; a
    segment that lasts longer than its video is cut. Raises ValueError where no video or no segment is left.

    source  annotations
    root    a folder with the videos, NAME.mp4 and the like, or v_NAME.mp4, at any depth
    """
    if not root.is_dir():
        raise ActionstreamError(f"no folder {root}; expected the folder of the videos that {source} names")
    annotations, left_out, videos = read_annotations(source), LeftOut(), Videos(root)
    if annotations.not_annotated and not annotations.videos:
        raise ActionstreamError(
            f"none of the {len(annotations.not_annotated)} videos of {source} is annotated, or marked as reviewed; "
            "accept drafts or add segments with `actionstream annotate`"
        )
    sides = choose_sides(annotations, left_out)
    left_out.add("videos that are not annotated, and not marked as reviewed", *annotations.not_annotated)
    left_out.add("videos for testing, on which nothing is chosen", *(video.name for video in sides.test))
    training, validation = (
        [_usable(video, left_out) for video in _readable(side, videos, left_out)]
        for side in (sides.training, sides.validation)
    )
    learnt = {annotation.label for video in training for annotation in video.annotations}
    if not learnt:
        why = "; ".join(left_out.lines()) or "its videos have no annotations"
        raise ActionstreamError(
            f"no segment of {source} can be learnt from, with the videos of {root}: {why}; expected annotated videos "
            "as NAME.mp4 in that folder, and segments with an end after their start"
        )
    background = find_background(sorted(learnt))
    labels = tuple(sorted(learnt - {background}))
    if not labels:
        raise ActionstreamError(f"all segments of {source} are {background}; expected segments of actions, too")
    unlearnt = {*annotations.labels, *learnt} - {*labels, background, AMBIGUOUS}
    left_out.add("labels without a segment to learn from", *sorted(unlearnt))
    left_out.merge(videos.left_out)
    _name_strangers(annotations, videos, left_out)
    return AnnotatedData(
        tuple(_of_labels(video, labels, background) for video in training),
        tuple(_of_labels(video, labels, background) for video in validation),
        labels,
        left_out,
    )


class Sides(NamedTuple):
    """The videos of a set of annotations by side."""

    training: list[AnnotatedVideo]
    validation: list[AnnotatedVideo]
    test: list[AnnotatedVideo]


def divide(annotations: AnnotationSet, left_out: LeftOut) -> Sides:
    """The videos by the sides that their subsets mean; all are for training where no video has a subset.

    Videos of other subsets are left out by name.
    """
    by_side: dict[Side | None, list[AnnotatedVideo]] = defaultdict(list)
    for video in annotations.videos:
        by_side["training" if video.subset is None else side_of(video.subset)].append(video)
    left_out.add(OF_NO_SIDE, *(video.name for video in by_side[None]))
    return Sides(by_side["training"], by_side["validation"], by_side["test"])


def choose_sides(annotations: AnnotationSet, left_out: LeftOut) -> Sides:
    """The videos to learn from, as training, and the others.

    Where there is no subset for training, that for validation is learnt from, as is usual with THUMOS14. Raises
    ValueError where there is neither.
    """
    sides = divide(annotations, left_out)
    if not (sides.training or sides.validation):
        raise no_subset(annotations, "training")
    return sides if sides.training else Sides(sides.validation, [], sides.test)


def no_subset(annotations: AnnotationSet, side: Side) -> ActionstreamError:
    """The error for annotations without videos of a side."""
    return ActionstreamError(
        f"{annotations.source} has no videos of the subset {side!r}; its subsets: "
        f"{', '.join(annotations.subsets) or 'none'}; expected one such as {' or '.join(SIDES[side][:2])}, or no "
        "subset for any video"
    )


def _readable(side: Sequence[AnnotatedVideo], videos: Videos, left_out: LeftOut) -> list[AnnotatedVideo]:
    """The videos that are there and can be read, with their paths and durations."""
    found = find_videos(videos, (video.name for video in side), left_out)
    readable = []
    for video in side:
        if (path := found.get(video.name)) is None:
            continue
        try:
            index = index_of(path)
        except SourceError as error:
            left_out.add("videos that cannot be read", str(error))
            continue
        readable.append(replace(video, path=path, duration_seconds=index.num_places / index.rate))
    return readable


def _usable(video: AnnotatedVideo, left_out: LeftOut) -> AnnotatedVideo:
    """The video with the segments that can be learnt from, cut at its end; those that are ambiguous are ignored."""
    last = math.inf if video.duration_seconds is None else video.duration_seconds
    segments = []
    for each in usable_annotations(video, last, left_out):
        if each.end_seconds > last:
            left_out.add("parts of segments after the end of their video", f"{video.name} {each}")
        segments.append(replace(each, end_seconds=min(each.end_seconds, last)))
    ambiguous = tuple(each for each in video.annotations if each.label == AMBIGUOUS)
    return replace(video, annotations=tuple(segments), ignored=ambiguous)


def usable_annotations(video: AnnotatedVideo, last: float, left_out: LeftOut) -> list[Annotation]:
    """The segments of a video that is `last` seconds long, without those that nothing can be learnt from."""
    usable: dict[Annotation, None] = {}
    for each in video.annotations:
        start, end = each.start_seconds, each.end_seconds
        reason = ""
        if each.label == AMBIGUOUS:
            reason = "segments that are marked as ambiguous"
        elif math.isnan(start):
            reason = "labels of whole videos, without a segment"
        elif end < start:
            reason = "segments that end before they begin"
        elif end == start:
            reason = "segments that end where they begin"
        elif start < 0:
            reason = "segments that begin before their video"
        elif start >= last:
            reason = "segments after the end of their video"
        elif each in usable:
            reason = "segments that are there twice"
        if reason:
            left_out.add(reason, f"{video.name} {each}")
        else:
            usable[each] = None
    return list(usable)


def _of_labels(video: AnnotatedVideo, labels: Collection[str], background: str | None) -> AnnotatedVideo:
    """The video with annotations of the labels alone; segments of a label that is not learnt are ignored."""
    return replace(
        video,
        annotations=tuple(each for each in video.annotations if each.label in labels),
        ignored=(
            *video.ignored,
            *(each for each in video.annotations if each.label not in (*labels, background)),
        ),
    )


def _name_strangers(annotations: AnnotationSet, videos: Videos, left_out: LeftOut) -> None:
    """Name the videos of the folder that the annotations do not name."""
    names = [*(video.name for video in annotations.videos), *annotations.not_annotated]
    named = {path for name in names for path in videos.find_all(name)}
    every = sorted(path for paths in videos.everywhere.values() for path in paths)
    strange = (path.relative_to(videos.root).as_posix() for path in every if path not in named)
    left_out.add("videos that the annotations do not name", *strange)


def summary(data: AnnotatedData) -> list[str]:
    """What was understood of the annotations, in lines."""
    every = [*data.training, *data.validation]
    seconds = [video.duration_seconds or 0.0 for video in every]
    segments = [each for video in every for each in video.annotations]
    counts = Counter(each.label for each in segments)
    lasting = sorted(each.end_seconds - each.start_seconds for each in segments)
    empty = 1 - sum(map(annotated_seconds, every)) / sum(seconds)
    num_quiet = sum(not (video.annotations or video.ignored) for video in every)
    num_begun = sum(video.reviewed is False for video in every)
    begun = f"not marked as reviewed: {num_begun} videos; what is not annotated in them counts as background"
    subsets = " and ".join(sorted({video.subset for video in data.training if video.subset}))
    held_out = f"{len(data.validation)} of the subset for validation, " if data.validation else ""
    return [
        f"read: {len(data.training)} videos to learn from{subsets and f', of the subset {subsets}'}, {held_out}"
        f"{sum(seconds) / 3600:.2f} hours, {num_quiet} videos in which nothing happens",
        f"{len(segments)} segments of {len(data.labels)} labels: "
        + ", ".join(f"{label} {counts[label]}" for label in data.labels),
        f"segments last {lasting[0]:.1f} to {lasting[-1]:.1f} s, {np.median(lasting):.1f} s at the median; "
        f"{100 * empty:.0f} % of the time is not annotated",
        *([begun] if num_begun else []),
        *data.left_out.lines(),
    ]


def annotated_seconds(video: AnnotatedVideo) -> float:
    """The seconds of a video that are in a segment or in several."""
    total = reached = 0.0
    for each in sorted(video.annotations, key=lambda each: each.start_seconds):
        total += max(each.end_seconds - max(each.start_seconds, reached), 0.0)
        reached = max(reached, each.end_seconds)
    return total
