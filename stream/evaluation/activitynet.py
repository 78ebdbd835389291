"""Files in the layouts of the ActivityNet challenge, which many other data sets use too.

truth     see actionstream.models.annotations.activitynet
results   {"results": {VIDEO: [{"segment": [s, e], "label": ..., "score": ...}]}, "version": ..., "external_data": ...}

Only `results` is required; names may end in .gz. v1.2 and v1.3 differ in the truth file alone.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

from actionstream.choices import EvaluationTask
from actionstream.evaluation.files import read_object, write_text
from actionstream.evaluation.segments import SegmentRow, Segments, Truth
from actionstream.models.annotations.read import read_annotations
from actionstream.models.common.errors import ActionstreamError

NEEDED: dict[EvaluationTask, tuple[str, ...]] = {
    "detection": ("segment", "label", "score"),
    "classification": ("label", "score"),
    "proposals": ("segment", "score"),
}


def read_truth(path: Path, *, subset: str) -> Truth:
    """The annotations of a subset, such as "validation", in any layout of actionstream.models.annotations.

    All annotations where the file has no subsets. An annotation without a segment is a label of the whole video. Raises
    ValueError for a file in another layout, and for a subset that has no annotations.
    """
    every = read_annotations(path)
    videos = every.of_subset(subset)
    rows = [
        (video.name, annotation.start_seconds, annotation.end_seconds, annotation.label, 1.0)
        for video in videos
        for annotation in video.annotations
    ]
    if not rows:
        raise ActionstreamError(
            f"{path} has no annotations of subset {subset!r}; there are {', '.join(every.subsets) or 'none'}"
        )
    durations = {video.name: math.nan if video.duration_seconds is None else video.duration_seconds for video in videos}
    return Truth(Segments.from_rows(rows), Segments.from_rows([]), durations, every.labels)


def read_results(path: Path, *, task: EvaluationTask) -> Segments:
    """The results for a task: segments with labels, labels of whole videos, or segments alone.

    Raises ValueError for a file in another layout, and for a result without a field that the task needs.
    """
    data = read_object(path, key="results")
    rows: list[SegmentRow] = []
    for video, entries in data["results"].items():
        where = f"{path}: video {video}"
        for entry in _entries(entries, where, NEEDED[task]):
            start, end = _segment(entry, where)
            label = str(entry["label"]) if "label" in NEEDED[task] else ""
            rows.append((video, start, end, label, _number(entry["score"], where, "score")))
    return Segments.from_rows(rows)


def write_truth(path: Path, truth: Truth, *, subset: str) -> None:
    """Write the annotations as a file that has one subset."""
    annotations = _by_video(truth.segments, ("segment", "label"))
    for video, entries in _by_video(truth.ambiguous, ("segment", "label")).items():
        annotations[video] += entries
    database = {
        video: {
            "subset": subset,
            **({} if math.isnan(seconds) else {"duration": seconds}),
            "annotations": annotations[video],
        }
        for video, seconds in truth.durations_seconds.items()
    }
    taxonomy = [{"nodeName": label} for label in truth.labels]
    write_text(path, json.dumps({"version": "1.3", "taxonomy": taxonomy, "database": database}) + "\n")


def write_results(
    path: Path, results: Segments, *, task: EvaluationTask = "detection", videos: Collection[str] = ()
) -> None:
    """Write results as the challenge takes them; `videos` are listed even if nothing was found in them."""
    found = {**{video: [] for video in videos}, **_by_video(results, NEEDED[task])}
    data = {"version": "VERSION 1.3", "results": found, "external_data": {}}
    write_text(path, json.dumps(data) + "\n")


def _by_video(segments: Segments, wanted: tuple[str, ...]) -> dict[str, list[dict[str, Any]]]:
    entries = defaultdict(list)
    for video, start, end, label, score in segments.rows():
        every = {"segment": [start, end], "label": label, "score": score}
        entries[video].append({name: every[name] for name in wanted if name != "segment" or not math.isnan(start)})
    return entries


def _entries(entries: Any, where: str, needed: tuple[str, ...]) -> list[dict[str, Any]]:
    if not isinstance(entries, list):
        raise ActionstreamError(f"{where} has no list of annotations or results")
    for number, entry in enumerate(entries, 1):
        missing = [name for name in needed if not isinstance(entry, dict) or name not in entry]
        if missing:
            raise ActionstreamError(f"{where}: number {number} has no {missing[0]!r}; needed are {', '.join(needed)}")
    return entries


def _segment(entry: dict[str, Any], where: str) -> tuple[float, float]:
    if "segment" not in entry:
        return math.nan, math.nan
    segment = entry["segment"]
    if not isinstance(segment, list) or len(segment) != 2:
        raise ActionstreamError(f"{where}: a segment is [start, end] in seconds, not {segment!r}")
    return _number(segment[0], where, "start"), _number(segment[1], where, "end")


def _number(value: Any, where: str, what: str) -> float:
    """A number, or a string with one, as some files have."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ActionstreamError(f"{where}: {what} is {value!r}, which is no number") from None
