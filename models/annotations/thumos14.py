"""The temporal annotations of the THUMOS Challenge 2014, as released: a folder with a file for each class and subset.

A line "VIDEO START END" of CLASS_val.txt or CLASS_test.txt is a segment, with times in seconds; Ambiguous_val.txt has
those of which nobody can say what happens. detclasslist.txt has the classes and their numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from actionstream.models.annotations.annotated import AMBIGUOUS, AnnotatedVideo, Annotation, AnnotationSet
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import read_text
from actionstream.models.video import is_hidden

SUBSETS = ("val", "test")
CLASS_LIST = "detclasslist.txt"


def read_thumos14(folder: Path) -> AnnotationSet:
    """The videos of the subsets that a folder has, sorted by name; annotations are in the order of the files.

    The labels are those of detclasslist.txt, or of the files where there is no such list. Raises ValueError where no
    subset is there, where a class of the list has no file, and for a line in another layout.
    """
    listed = list(read_class_list(folder / CLASS_LIST).values()) if (folder / CLASS_LIST).is_file() else []
    videos: list[AnnotatedVideo] = []
    labels = dict.fromkeys(listed)
    for subset in SUBSETS:
        ending = f"_{subset}.txt"
        there = sorted(path for path in folder.glob(f"*{ending}") if not is_hidden(path))
        classes = [path.name.removesuffix(ending) for path in there]
        if classes:
            own = [*(listed or classes), *(name for name in classes if name == AMBIGUOUS)]
            labels.update(dict.fromkeys(own))
            videos += _read_subset(folder, list(dict.fromkeys(own)), subset)
    if not videos:
        raise ActionstreamError(f"{folder} has no annotations CLASS_val.txt or CLASS_test.txt with a line in them")
    return AnnotationSet(folder, tuple(videos), tuple(labels))


def _read_subset(folder: Path, classes: list[str], subset: str) -> list[AnnotatedVideo]:
    annotations: dict[str, list[Annotation]] = {}
    for label in classes:
        for where, (name, start, end) in read_fields(folder / f"{label}_{subset}.txt", "VIDEO START END"):
            annotations.setdefault(name, []).append(Annotation(finite(start, where), finite(end, where), label))
    return [AnnotatedVideo(name, tuple(annotations[name]), subset, name) for name in sorted(annotations)]


def read_class_list(path: Path) -> dict[str, str]:
    """The names of the classes by their number, in the order of the file."""
    return {number: name for _, (number, name) in read_fields(path, "NUMBER CLASS")}


def read_fields(path: Path, layout: str) -> Iterator[tuple[str, list[str]]]:
    """The place of each line that is not empty, for messages, and its fields; ValueError for a wrong number of them."""
    num_fields = len(layout.split())
    for count, line in enumerate(read_text(path).splitlines(), 1):
        fields = line.split()
        where = f"line {count} of {path}"
        if fields and len(fields) != num_fields:
            wanted = layout if num_fields < 10 else f"a video and {num_fields - 1} scores"
            raise ActionstreamError(f"{where} has {len(fields)} fields instead of {num_fields}: {wanted}")
        if fields:
            yield where, fields


def finite(text: str, where: str) -> float:
    """A finite number; ValueError, with the line, for anything else."""
    try:
        value = float(text)
    except ValueError:
        raise ActionstreamError(f"{where}: {text!r} is no number") from None
    if not math.isfinite(value):
        raise ActionstreamError(f"{where}: {text!r} is not a finite number")
    return value
