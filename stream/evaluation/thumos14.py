"""Files of the THUMOS Challenge 2014, http://crcv.ucf.edu/THUMOS14.

truth of detection      a folder, see actionstream.models.annotations.thumos14
detections              a line "VIDEO START END CLASS_NUMBER SCORE" each
scores of recognition   a line for each video: its name and 101 scores, in the order of UCF101's classes

Truth and detections may also be in ActivityNet's layout (with the label `Ambiguous`), or in a table.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from actionstream.evaluation import activitynet
from actionstream.evaluation.files import write_text
from actionstream.evaluation.segments import SegmentRow, Segments, Truth
from actionstream.models.annotations.annotated import AMBIGUOUS
from actionstream.models.annotations.thumos14 import finite, read_fields

MISLABELLED = ("video_test_0000270", "video_test_0001292", "video_test_0001496")
"""Test videos whose annotations are wrong or missing; some leave them out and have 210 of 213."""


def read_truth(path: Path, *, subset: str = "test") -> Truth:
    """The annotations of a subset, see actionstream.evaluation.activitynet; a folder has the subsets test and val."""
    truth = activitynet.read_truth(path, subset=subset)
    ambiguous = truth.segments.labels == AMBIGUOUS
    return replace(
        truth,
        segments=truth.segments[~ambiguous],
        ambiguous=truth.segments[ambiguous],
        labels=tuple(label for label in truth.labels if label != AMBIGUOUS),
    )


def write_annotations(folder: Path, truth: Truth, *, subset: str = "test") -> None:
    """Write a folder as the challenge has it; the numbers of the classes are 1, 2, ..."""
    lines: dict[str, list[str]] = {name: [] for name in (*truth.labels, AMBIGUOUS)}
    for segments in (truth.segments, truth.ambiguous):
        for video, start, end, label, _ in segments.rows():
            lines[label].append(f"{video}  {start} {end}\n")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "detclasslist.txt", "".join(f"{n} {name}\n" for n, name in enumerate(truth.labels, 1)))
    for name, texts in lines.items():
        write_text(folder / f"{name}_{subset}.txt", "".join(texts))


def read_detections(path: Path, *, classes: dict[str, str]) -> Segments:
    """The detections in a text file of the challenge; names of videos may end in .mp4.

    classes  the names by their number; a number that is none of them becomes the label "class NUMBER"
    """
    rows: list[SegmentRow] = []
    for where, (video, start, end, number, score) in read_fields(path, "VIDEO START END CLASS_NUMBER SCORE"):
        label = classes.get(number, f"class {number}")
        times = finite(start, where), finite(end, where)
        rows.append((video.removesuffix(".mp4"), *times, label, finite(score, where)))
    return Segments.from_rows(rows)


def read_recognition_scores(path: Path) -> Segments:
    """The scores of whole videos in a text file of the challenge, a row for each video and class."""
    from actionstream.models.labels import read_labels

    classes = read_labels("ucf101")
    rows: list[SegmentRow] = []
    for where, (video, *scores) in read_fields(path, "VIDEO" + " SCORE" * len(classes)):
        name = video.removesuffix(".mp4").removesuffix(".mpeg")
        for label, score in zip(classes, scores, strict=True):
            rows.append((name, math.nan, math.nan, label, finite(score, where)))
    return Segments.from_rows(rows)
