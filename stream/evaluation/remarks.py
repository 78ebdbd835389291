"""Counts of what is odd in truth and results; the evaluators say how they treat it."""

from __future__ import annotations

import numpy as np

from actionstream.choices import EvaluationTask
from actionstream.evaluation.segments import Segments, Truth

MEANINGS = {
    "annotations_without_duration": "annotations that end where they start, or before",
    "annotations_beyond_the_end": "annotations that reach beyond the end of their video",
    "annotations_twice": "annotations that are there twice",
    "labels_without_truth": "labels without an annotation in this subset, which do not count",
    "videos_without_results": "videos with annotations that have no results",
    "videos_without_truth": "videos of the results that are not in the truth",
    "results_without_duration": "results that end where they start, or before",
    "results_twice": "results that are there twice",
    "results_of_unknown_labels": "results of labels that the truth does not know, which do not count",
    "videos_not_there": "videos of the truth that were not there to be labelled",
    "videos_not_labelled": "videos that could not be labelled",
    "labels_not_of_the_model": "labels with annotations that the model does not know",
}
"""The text of each count."""


def remarks(truth: Truth, results: Segments, *, task: EvaluationTask) -> dict[str, int]:
    """The counts that are not 0, by their names in `MEANINGS`."""
    wanted = truth.segments
    counts = {
        "videos_without_results": ~np.isin(np.unique(wanted.videos), results.videos),
        "videos_without_truth": ~np.isin(np.unique(results.videos), list(truth.durations_seconds)),
    }
    if task != "proposals":
        counts["labels_without_truth"] = ~np.isin(list(truth.labels), wanted.labels)
        counts["results_of_unknown_labels"] = ~np.isin(results.labels, truth.labels)
    if task == "classification":
        counts["results_twice"] = _again(results.videos, results.labels)
    else:
        ends = np.array([truth.durations_seconds[video] for video in wanted.videos.tolist()])
        counts["annotations_beyond_the_end"] = wanted.end_seconds > ends
        for name, segments in (("annotations", wanted), ("results", results)):
            counts[f"{name}_without_duration"] = segments.end_seconds <= segments.start_seconds
            columns = (segments.videos, segments.labels, segments.start_seconds, segments.end_seconds)
            counts[f"{name}_twice"] = _again(*columns)
    return {name: num for name in MEANINGS if name in counts and (num := int(np.count_nonzero(counts[name])))}


def _again(*columns: np.ndarray) -> np.ndarray:
    """For each row, whether an equal row comes before it."""
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    first: dict[tuple[object, ...], int] = {}
    return np.array([first.setdefault(row, index) != index for index, row in enumerate(rows)], bool)
