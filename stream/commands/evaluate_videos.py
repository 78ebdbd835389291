"""The command `evaluate --videos`: label the videos of a truth file, and evaluate the results."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from actionstream.choices import Challenge, EvaluationTask
from actionstream.commands.evaluate import (
    SUBSETS,
    check_task,
    describe,
    measure,
    print_figures,
    read_blocked,
    read_truth,
)
from actionstream.commands.label import label_each, rows_of
from actionstream.engine.fusion import open_scorer
from actionstream.evaluation.activitynet import write_results
from actionstream.evaluation.baselines import thresholded_scores, uniform_segments
from actionstream.evaluation.remarks import MEANINGS, remarks
from actionstream.evaluation.segments import SegmentRow, Segments, Truth
from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.labels import find_background
from actionstream.models.training.folders import Videos, find_videos
from actionstream.models.training.left_out import LeftOut
from actionstream.videos.label import LabelledVideo

UNIFORM, THRESHOLDED = "uniform segments with video-level labels", "thresholded raw frame scores"


def evaluate_videos(
    dataset: Challenge,
    *,
    videos: Path,
    results: Path,
    truth: Path,
    task: EvaluationTask,
    subset: str | None,
    iou_thresholds: Sequence[float],
    blocked: str | None,
    model: str,
    background: str | None,
    device: str,
    as_json: bool,
    say: Callable[[str], None],
) -> int:
    """Label the videos of the truth in a folder, write the results to a file, and print the figures.

    The figures of two baselines with the same scores follow. Returns the exit code.
    """
    check_task(dataset, task, truth, iou_thresholds)
    if results.exists():
        raise ActionstreamError(
            f"{results} is there already; remove it, or give another name for the results, --results FILE"
        )
    if not results.parent.is_dir():
        raise ActionstreamError(f"no folder {results.parent} for the results")
    subset = subset or SUBSETS[dataset]
    known = read_truth(dataset, truth, subset).without(() if blocked is None else read_blocked(blocked))
    left_out = LeftOut()
    files = _find(videos, known, left_out)
    scorer = open_scorer(model, device=device)
    labels = scorer.card.labels
    background = find_background(labels, background)
    wanted = np.unique(known.segments.labels)
    if not np.isin(labels, wanted).any():
        raise ActionstreamError(
            f"{model} has no label of the truth: it has labels such as {labels[0]!r}, "
            f"the truth such as {str(wanted[0])!r}"
        )
    for line in left_out.lines():
        say(line)
    done: list[str] = []
    detectors: dict[str, list[SegmentRow]] = {"ours": [], UNIFORM: [], THRESHOLDED: []}
    for name, found, _ in label_each(files.items(), scorer, background=background, say=say):
        if found is None:
            continue
        done.append(name)
        if task == "classification":
            detectors["ours"] += [
                (name, math.nan, math.nan, label, float(score))
                for label, score in zip(labels, found.overall, strict=True)
                if label != background
            ]
            continue
        for detector, rows in detect(name, found, scorer.card, background).items():
            detectors[detector] += rows
    if not done:
        raise ActionstreamError(f"none of the {len(files)} videos could be labelled: {results} is not written")
    ours = Segments.from_rows(detectors["ours"])
    write_results(results, ours, task=task, videos=done)
    counts = {
        "videos_not_there": len(known.durations_seconds) - len(files),
        "videos_not_labelled": len(files) - len(done),
        "labels_not_of_the_model": int(np.count_nonzero(~np.isin(wanted, labels))),
    }

    def measured(rows: Segments) -> dict[str, Any]:
        counted = rows if task == "proposals" else rows[np.isin(rows.labels, known.labels)]
        return measure(dataset, task, known, counted, iou_thresholds)

    figures = {**describe(dataset, task, subset, known, ours), **measured(ours)}
    if task == "detection":
        figures["baselines"] = {
            name: {key: value for key, value in measured(Segments.from_rows(detectors[name])).items() if key != "AP"}
            for name in (UNIFORM, THRESHOLDED)
        }
    found_odd = {**remarks(known, ours, task=task), **counts}
    figures["remarks"] = {name: found_odd[name] for name in MEANINGS if found_odd.get(name)}
    print_figures(figures, as_json=as_json)
    return 0 if len(done) == len(files) else 1


def _find(folder: Path, known: Truth, left_out: LeftOut) -> dict[str, Path]:
    """The videos of the truth in a folder, by name; what is left out is named. ValueError where none is there."""
    if not folder.is_dir():
        raise ActionstreamError(f"no folder {folder}; --videos is one with the videos of the truth")
    videos = Videos(folder)
    files = find_videos(videos, known.durations_seconds, left_out)
    if not files:
        raise ActionstreamError(
            f"{folder} has none of the {len(known.durations_seconds)} videos of the truth, such as "
            f"{next(iter(known.durations_seconds))}.mp4, but {sum(map(len, videos.everywhere.values()))} others"
        )
    left_out.merge(videos.left_out)
    return files


def detect(name: str, found: LabelledVideo, card: Card, background: str | None) -> dict[str, list[SegmentRow]]:
    """The segments of a video by each detector."""
    scores = found.scores
    uniform = uniform_segments(
        found.overall, card.labels, duration_seconds=scores.duration_seconds, background=background
    )
    thresholded = thresholded_scores(
        found.probabilities,
        scores.times_seconds,
        card.labels,
        interval_seconds=card.interval_seconds,
        background=background,
        begins_anew=scores.begins_anew,
    )
    detectors = {"ours": found.segments, UNIFORM: uniform, THRESHOLDED: thresholded}
    return {detector: rows_of(name, segments) for detector, segments in detectors.items()}
