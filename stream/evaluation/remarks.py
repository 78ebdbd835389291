"""What is odd in truth and results; the evaluators say how they treat it."""

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
    "videos_not_there": "videos of the truth that were not there, and do not count",
    "videos_not_labelled": "videos that could not be labelled",
    "labels_not_of_the_model": "labels with annotations that the model does not know",
}
"""The text of each kind."""


def remarks(truth: Truth, results: Segments, *, task: EvaluationTask) -> dict[str, list[str]]:
    """What is odd, by its name in `MEANINGS`: for each odd thing the label, or the name of its video."""
    wanted = truth.segments
    annotated, with_results = np.unique(wanted.videos), np.unique(results.videos)
    odd = {
        "videos_without_results": annotated[~np.isin(annotated, with_results)],
        "videos_without_truth": with_results[~np.isin(with_results, list(truth.durations_seconds))],
    }
    if task != "proposals":
        labels = np.array(truth.labels, np.str_)
        odd["labels_without_truth"] = labels[~np.isin(labels, wanted.labels)]
        odd["results_of_unknown_labels"] = results.labels[~np.isin(results.labels, labels)]
    if task == "classification":
        odd["results_twice"] = results.videos[_again(results.videos, results.labels)]
    else:
        ends = np.array([truth.durations_seconds[video] for video in wanted.videos.tolist()])
        odd["annotations_beyond_the_end"] = wanted.videos[wanted.end_seconds > ends]
        for name, segments in (("annotations", wanted), ("results", results)):
            odd[f"{name}_without_duration"] = segments.videos[segments.end_seconds <= segments.start_seconds]
            columns = (segments.videos, segments.labels, segments.start_seconds, segments.end_seconds)
            odd[f"{name}_twice"] = segments.videos[_again(*columns)]
    return {name: names for name in MEANINGS if name in odd and (names := odd[name].tolist())}


def _again(*columns: np.ndarray) -> np.ndarray:
    """For each row, whether an equal row comes before it."""
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    first: dict[tuple[object, ...], int] = {}
    return np.array([first.setdefault(row, index) != index for index, row in enumerate(rows)], bool)
