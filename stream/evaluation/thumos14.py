"""Files of the THUMOS Challenge 2014, http://crcv.ucf.edu/THUMOS14.

truth of detection      a folder with CLASS_SUBSET.txt for each class and Ambiguous_SUBSET.txt, a line "VIDEO START END"
                        for each segment, times in seconds; detclasslist.txt has the classes and their numbers
detections              a line "VIDEO START END CLASS_NUMBER SCORE" each
scores of recognition   a line for each video: its name and 101 scores, in the order of UCF101's classes

Truth and detections may also be in ActivityNet's layout (with the label `Ambiguous`), and detections in a table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from actionstream.evaluation import activitynet
from actionstream.evaluation.files import write_text
from actionstream.evaluation.segments import SegmentRow, Segments, Truth
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import read_text
from actionstream.models.video import is_hidden

AMBIGUOUS = "Ambiguous"

MISLABELLED = ("video_test_0000270", "video_test_0001292", "video_test_0001496")
"""Test videos whose annotations are wrong or missing; some leave them out and have 210 of 213."""


def read_truth(path: Path, *, subset: str = "test") -> Truth:
    """The annotations of subset "test" or "val" in a folder, or of any subset of a file in ActivityNet's layout."""
    if path.is_dir():
        return read_annotations(path, subset=subset)
    truth = activitynet.read_truth(path, subset=subset)
    ambiguous = truth.segments.labels == AMBIGUOUS
    return replace(
        truth,
        segments=truth.segments[~ambiguous],
        ambiguous=truth.segments[ambiguous],
        labels=tuple(label for label in truth.labels if label != AMBIGUOUS),
    )


def read_annotations(folder: Path, *, subset: str = "test") -> Truth:
    """The annotations in a folder, in the order of the files.

    The classes are those of detclasslist.txt, or of the files where there is no such list. Raises ValueError when there
    are no annotations, when a class has no file, and for a line in another layout.
    """
    if (folder / "detclasslist.txt").is_file():
        classes = list(read_class_list(folder / "detclasslist.txt").values())
    else:
        files = sorted(path for path in folder.glob(f"*_{subset}.txt") if not is_hidden(path))
        classes = [path.name.removesuffix(f"_{subset}.txt") for path in files]
        classes = [name for name in classes if name != AMBIGUOUS]
    if not any((folder / f"{name}_{subset}.txt").is_file() for name in classes):
        raise ActionstreamError(f"{folder} has no annotations CLASS_{subset}.txt; the subsets are called test and val")
    segments = Segments.from_rows(
        row for name in classes for row in _read_segments(folder / f"{name}_{subset}.txt", name)
    )
    ambiguous = folder / f"{AMBIGUOUS}_{subset}.txt"
    unclear = Segments.from_rows(_read_segments(ambiguous, AMBIGUOUS) if ambiguous.is_file() else [])
    durations = dict.fromkeys(sorted({*segments.videos.tolist(), *unclear.videos.tolist()}), math.nan)
    return Truth(segments, unclear, durations, tuple(classes))


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


def read_class_list(path: Path) -> dict[str, str]:
    """The names of the classes by their number, in the order of the file."""
    return {number: name for _, (number, name) in _lines(path, "NUMBER CLASS")}


def read_detections(path: Path, *, classes: dict[str, str]) -> Segments:
    """The detections in a text file of the challenge; names of videos may end in .mp4.

    classes  the names by their number; a number that is none of them becomes the label "class NUMBER"
    """
    rows: list[SegmentRow] = []
    for where, (video, start, end, number, score) in _lines(path, "VIDEO START END CLASS_NUMBER SCORE"):
        label = classes.get(number, f"class {number}")
        times = _number(start, where), _number(end, where)
        rows.append((video.removesuffix(".mp4"), *times, label, _number(score, where)))
    return Segments.from_rows(rows)


def read_recognition_scores(path: Path) -> Segments:
    """The scores of whole videos in a text file of the challenge, a row for each video and class."""
    from actionstream.models.labels import read_labels

    classes = read_labels("ucf101")
    rows: list[SegmentRow] = []
    for where, (video, *scores) in _lines(path, "VIDEO" + " SCORE" * len(classes)):
        name = video.removesuffix(".mp4").removesuffix(".mpeg")
        for label, score in zip(classes, scores, strict=True):
            rows.append((name, math.nan, math.nan, label, _number(score, where)))
    return Segments.from_rows(rows)


def _read_segments(path: Path, label: str) -> Iterator[SegmentRow]:
    for where, (video, start, end) in _lines(path, "VIDEO START END"):
        yield video, _number(start, where), _number(end, where), label, 1.0


def _lines(path: Path, layout: str) -> Iterator[tuple[str, list[str]]]:
    """The place of each line that is not empty, for messages, and its fields."""
    num_fields = len(layout.split())
    for number, line in enumerate(read_text(path).splitlines(), 1):
        fields = line.split()
        where = f"line {number} of {path}"
        if fields and len(fields) != num_fields:
            wanted = layout if num_fields < 10 else f"a video and {num_fields - 1} scores"
            raise ActionstreamError(f"{where} has {len(fields)} fields instead of {num_fields}: {wanted}")
        if fields:
            yield where, fields


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ActionstreamError(f"{where}: {text!r} is no number") from None
    if not math.isfinite(number):
        raise ActionstreamError(f"{where}: {text!r} is not a finite number")
    return number
