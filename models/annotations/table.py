"""Annotations as a table: CSV with a header, and a row for each segment.

video,start_seconds,end_seconds,label[,group][,subset]

A row without a label says that nothing happens in its video; it needs no times. Times are seconds, or 1:23.4.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from actionstream.models.annotations.annotated import AnnotatedVideo, Annotation, AnnotationSet
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import read_table

COLUMNS = ("video", "start_seconds", "end_seconds", "label")


def read_annotation_table(path: Path) -> AnnotationSet:
    """The videos of a table, in the order of their first rows; labels are sorted.

    Commas, semicolons or tabs separate the columns. Raises ValueError, with the line, for a row in another layout.
    """
    annotations: dict[str, list[Annotation]] = {}
    said: dict[tuple[str, str], str] = {}
    for where, row in read_table(path, *COLUMNS):
        name = row["video"]
        if not name:
            raise ActionstreamError(f"{where} names no video; expected {','.join(COLUMNS)}")
        for column in ("group", "subset"):
            value = row.get(column, "")
            if said.setdefault((name, column), value) != value:
                before = said[name, column]
                raise ActionstreamError(
                    f"{where}: the {column} of video {name} is {value!r}, and before it is {before!r}; expected the "
                    "same in all rows of a video"
                )
        own = annotations.setdefault(name, [])
        if row["label"]:
            start, end = (_seconds(row[column], where, column) for column in ("start_seconds", "end_seconds"))
            own.append(Annotation(start, end, row["label"]))
    videos = tuple(
        AnnotatedVideo(name, tuple(own), said[name, "subset"] or None, said[name, "group"] or name)
        for name, own in annotations.items()
    )
    labels = {annotation.label for video in videos for annotation in video.annotations}
    return AnnotationSet(path, videos, tuple(sorted(labels)))


def _seconds(text: str, where: str, column: str) -> float:
    """Seconds from "83.4", "1:23.4" or "0:01:23.4"."""
    clock = re.fullmatch(r"(?:(\d+):)?(\d+):(\d{1,2}(?:\.\d*)?)", text)
    if clock and float(clock[3]) < 60:
        return 3600 * int(clock[1] or 0) + 60 * int(clock[2]) + float(clock[3])
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise ActionstreamError(f"{where}: {column} is {text!r}; expected seconds, such as 83.4 or 1:23.4")
    return seconds
