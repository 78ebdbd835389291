"""Annotations in the layout of the ActivityNet challenge, which many other data sets use too.

{"database": {VIDEO: {"subset": ..., "duration": ..., "annotations": [{"segment": [start, end], "label": ...}]}},
 "taxonomy": [{"nodeName": LABEL, ...}], "version": ...}

Only `database` is required, and a label in each annotation; numbers may be strings. A video may have a "group", the
name of its recording, and "reviewed", as `annotate` writes it. v1.2 and v1.3 differ in nothing that is read.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from actionstream.models.annotations.annotated import AnnotatedVideo, Annotation, AnnotationSet
from actionstream.models.common.checked import read_json, shown
from actionstream.models.common.errors import ActionstreamError


def read_activitynet(path: Path) -> AnnotationSet:
    """The videos of a file, in its order; labels are sorted. ValueError, which names the video, for another layout."""
    data = read_json(path, dict[str, Any])
    database = data.get("database")
    if not isinstance(database, dict):
        raise ActionstreamError(f"{path} has no object 'database', which ActivityNet's layout asks for")
    every = [_video(name, entry, path) for name, entry in database.items()]
    begun = [not video.annotations and video.reviewed is False for video in every]
    videos = tuple(video for video, is_begun in zip(every, begun, strict=True) if not is_begun)
    labels = {annotation.label for video in videos for annotation in video.annotations}
    return AnnotationSet(
        path,
        videos,
        tuple(sorted(labels | _taxonomy(data.get("taxonomy", []), path))),
        not_annotated=tuple(video.name for video, is_begun in zip(every, begun, strict=True) if is_begun),
    )


def _taxonomy(nodes: Any, path: Path) -> set[str]:
    if not isinstance(nodes, list) or not all(isinstance(node, dict) for node in nodes):
        raise ActionstreamError(f"{path}: the taxonomy is no list of objects; expected [{{'nodeName': ...}}, ...]")
    return {str(node["nodeName"]) for node in nodes if "nodeName" in node}


def _video(name: str, entry: Any, path: Path) -> AnnotatedVideo:
    where = f"video {name} of {path}"
    if not isinstance(entry, dict):
        raise ActionstreamError(f"{where} is no object; expected {{'subset': ..., 'annotations': [...]}}")
    annotations, subset, duration = entry.get("annotations", []), entry.get("subset"), entry.get("duration")
    if not isinstance(annotations, list):
        raise ActionstreamError(f"{where} has no list of annotations")
    return AnnotatedVideo(
        name,
        tuple(_annotation(each, f"annotation {number} of {where}") for number, each in enumerate(annotations, start=1)),
        None if subset is None else str(subset),
        str(entry.get("group") or name),
        None if duration is None else _number(duration, where, "duration"),
        reviewed=reviewed if isinstance(reviewed := entry.get("reviewed"), bool) else None,
    )


def _annotation(annotation: Any, where: str) -> Annotation:
    if not isinstance(annotation, dict) or "label" not in annotation:
        raise ActionstreamError(f"{where} is {shown(annotation)}; expected {{'segment': [start, end], 'label': ...}}")
    label, segment = str(annotation["label"]), annotation.get("segment")
    if segment is None:
        return Annotation(math.nan, math.nan, label)
    if not isinstance(segment, list) or len(segment) != 2:
        raise ActionstreamError(f"{where}: the segment is {shown(segment)}; expected [start, end] in seconds")
    start, end = (_number(value, where, what) for value, what in zip(segment, ("start", "end"), strict=True))
    return Annotation(start, end, label)


def _number(value: Any, where: str, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ActionstreamError(f"{where}: {what} is {shown(value)}; expected a number of seconds")
    return number
