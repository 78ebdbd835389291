"""The command `evaluate`: the figures of a result file, by the rules of a challenge."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from actionstream.choices import Challenge, EvaluationTask
from actionstream.commands.evaluate_live import show_online
from actionstream.commands.tables import open_console, print_table
from actionstream.evaluation import activitynet, thumos14
from actionstream.evaluation.classification import activitynet_classification, hit_at, thumos14_classification
from actionstream.evaluation.detection import (
    ACTIVITYNET_IOU_THRESHOLDS,
    THUMOS14_IOU_THRESHOLDS,
    DetectionAccuracy,
    activitynet_detection,
    thumos14_detection,
)
from actionstream.evaluation.detection_table import read_table
from actionstream.evaluation.proposals import activitynet_proposals
from actionstream.evaluation.remarks import MEANINGS, remarks
from actionstream.evaluation.segments import Segments, Truth
from actionstream.models.annotations.thumos14 import CLASS_LIST, read_class_list
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import read_text
from actionstream.models.training.left_out import NAMES_SHOWN

SUBSETS: dict[Challenge, str] = {"thumos14": "test", "activitynet": "validation"}
"""The default subset of each challenge."""
MAX_CLASSES_SHOWN = 30


def evaluate_results(
    dataset: Challenge,
    *,
    results: Path,
    truth: Path,
    task: EvaluationTask,
    subset: str | None,
    iou_thresholds: Sequence[float],
    blocked: str | None,
    as_json: bool,
) -> int:
    """Print the figures of a file with results against a truth file or folder; returns the exit code."""
    check_task(dataset, task, truth, iou_thresholds)
    subset = subset or SUBSETS[dataset]
    left_out = () if blocked is None else read_blocked(blocked)
    known = read_truth(dataset, truth, subset).without(left_out)
    found = read_results(results, truth, dataset, task).without(left_out)
    figures = {
        **describe(dataset, task, subset, known, found),
        **measure(dataset, task, known, found, iou_thresholds),
        **count_odd(remarks(known, found, task=task)),
    }
    print_figures(figures, as_json=as_json)
    return 0


def check_task(dataset: Challenge, task: EvaluationTask, truth: Path, iou_thresholds: Sequence[float]) -> None:
    """Raise ValueError for a task or option that a data set does not have."""
    if dataset == "thumos14" and task == "proposals":
        raise ActionstreamError(
            "THUMOS14 has no proposals; `evaluate activitynet` takes THUMOS14's truth in its layout, too"
        )
    wrong = [threshold for threshold in iou_thresholds if not 0 <= threshold <= 1]
    if wrong:
        raise ActionstreamError(f"--iou is {wrong[0]}; expected a number from 0 to 1")
    if iou_thresholds and task == "classification":
        raise ActionstreamError("classification has no IoU thresholds; leave --iou out")
    if dataset == "thumos14" and task == "classification" and truth.is_dir():
        raise ActionstreamError(
            f"{truth} has 20 of THUMOS14's 101 classes and no background videos; classification needs all, in a file "
            "in ActivityNet's layout, where a background video has no annotations"
        )


def read_truth(dataset: Challenge, path: Path, subset: str) -> Truth:
    """The annotations of a subset."""
    return (thumos14 if dataset == "thumos14" else activitynet).read_truth(path, subset=subset)


def describe(dataset: Challenge, task: EvaluationTask, subset: str, known: Truth, found: Segments) -> dict[str, Any]:
    """The data set and its sizes, as plain words and numbers."""
    return {
        "dataset": dataset,
        "task": task,
        "subset": subset,
        "videos": len(known.durations_seconds),
        "annotations": len(known.segments),
        "classes": len(np.unique(known.segments.labels)),
        "results": len(found),
    }


def count_odd(odd: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The counts of what `remarks` found, and the first names of each."""
    names = {kind: list(dict.fromkeys(each)) for kind, each in odd.items()}
    return {
        "remarks": {kind: len(each) for kind, each in odd.items()},
        "remarks_on": {
            kind: [*each[:NAMES_SHOWN], *(["..."] if len(each) > NAMES_SHOWN else [])] for kind, each in names.items()
        },
    }


def measure(
    dataset: Challenge, task: EvaluationTask, truth: Truth, found: Segments, iou_thresholds: Sequence[float]
) -> dict[str, Any]:
    """The figures of a task, as plain numbers."""
    if task == "proposals":
        recall = activitynet_proposals(truth, found, iou_thresholds=iou_thresholds or ACTIVITYNET_IOU_THRESHOLDS)
        at = {f"AR@{number}": float(recall.average_recall[number - 1]) for number in (1, 5, 10, 50, 100)}
        return {**at, "AUC": recall.area}
    if task == "classification":
        if dataset == "thumos14":
            accuracy = thumos14_classification(truth, found)
            hits = {}
        else:
            accuracy = activitynet_classification(truth, found)
            hits = hit_at(truth, found)
        return {
            "mAP": accuracy.map,
            **{f"Hit@{k}": hit for k, (hit, _) in hits.items()},
            **{f"Avg_Hit@{k}": average for k, (_, average) in hits.items()},
            "AP": dict(zip(accuracy.labels, accuracy.ap.tolist(), strict=True)),
        }
    if dataset == "thumos14":
        return _figures(thumos14_detection(truth, found, iou_thresholds=iou_thresholds or THUMOS14_IOU_THRESHOLDS))
    return _figures(activitynet_detection(truth, found, iou_thresholds=iou_thresholds or ACTIVITYNET_IOU_THRESHOLDS))


def _figures(accuracy: DetectionAccuracy) -> dict[str, Any]:
    names = [f"{threshold:g}" for threshold in accuracy.iou_thresholds]
    return {
        "mAP": dict(zip(names, accuracy.map.tolist(), strict=True)),
        "average_mAP": accuracy.average_map,
        "AP": {
            label: dict(zip(names, column.tolist(), strict=True))
            for label, column in zip(accuracy.labels, accuracy.ap.T, strict=True)
        },
    }


def read_results(path: Path, truth: Path, dataset: Challenge, task: EvaluationTask) -> Segments:
    """The results in a file; the suffix of its name gives the layout."""
    kind = Path(path.name.removesuffix(".gz")).suffix
    if kind == ".csv" and task != "classification":
        return read_table(path)
    if kind == ".txt" and dataset == "thumos14":
        if task == "classification":
            return thumos14.read_recognition_scores(path)
        if not truth.is_dir():
            raise ActionstreamError(
                f"{path} has class numbers; expected the folder of THUMOS14's annotations as --truth, not {truth}"
            )
        return thumos14.read_detections(path, classes=read_class_list(truth / CLASS_LIST))
    if kind == ".json":
        return activitynet.read_results(path, task=task)
    raise ActionstreamError(f"{path} ends in {kind!r}; for {dataset} {task} see evaluate --help")


def read_blocked(name: str) -> list[str]:
    """The videos to leave out, from THUMOS14's `mislabelled`, or from a file with a name a line or a JSON list."""
    if name == "mislabelled":
        return list(thumos14.MISLABELLED)
    return [word for word in re.split(r'[\s,"\[\]]+', read_text(Path(name))) if word]


def print_figures(figures: dict[str, Any], *, as_json: bool) -> None:
    """Print the figures as one line of JSON, or for a person."""
    if as_json:
        print(json.dumps(figures))
    else:
        show(figures)


def show(figures: dict[str, Any]) -> None:
    """Print the figures as a table, in percent, and remarks."""
    console = open_console()
    console.print(f"{figures['dataset']} {figures['task']}, {figures['subset']}, in %\n")
    of_classes = figures.get("AP", {})
    if len(of_classes) > MAX_CLASSES_SHOWN:
        console.print(f"the figures of all {len(of_classes)} classes are in --json\n")
        of_classes = {}
    if figures["task"] == "detection":
        head = ["IoU", *figures["mAP"], "mean"]
        rows = {label: [*ap.values(), sum(ap.values()) / len(ap)] for label, ap in of_classes.items()}
        beside = figures.get("baselines", {})
        totals = {
            name: [*each["mAP"].values(), each["average_mAP"]] for name, each in {"mAP": figures, **beside}.items()
        }
    else:
        head = ["", ""]
        rows = {label: [ap] for label, ap in of_classes.items()}
        totals = {name: [figure] for name, figure in figures.items() if isinstance(figure, float)}
    parts = [
        [[name, *(f"{100 * share:.2f}" for share in shares)] for name, shares in part.items()]
        for part in (rows, totals)
    ]
    print_table(console, head, *parts)
    console.print(
        "\n{annotations} annotations of {classes} classes in {videos} videos, {results} results".format(**figures)
    )
    for kind, number in figures["remarks"].items():
        console.print(f"{MEANINGS[kind]}: {number} ({', '.join(figures['remarks_on'][kind])})")
    if "online" in figures:
        show_online(console, figures["online"], max_classes=MAX_CLASSES_SHOWN)
