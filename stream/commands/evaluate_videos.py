"""The command `evaluate --videos`: label the videos of a truth file, and evaluate the results."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from actionstream.archives.label_files import rows_of
from actionstream.archives.on_ray import Sharing
from actionstream.archives.score_job import ScoreJob, read_scores
from actionstream.archives.settings import pin
from actionstream.choices import Challenge, DeviceName, EvaluationTask
from actionstream.commands.archive import absolute, share
from actionstream.commands.evaluate import (
    SUBSETS,
    check_task,
    count_odd,
    describe,
    measure,
    print_figures,
    read_blocked,
    read_truth,
)
from actionstream.commands.evaluate_live import online_figures
from actionstream.commands.label import label_each
from actionstream.engine.fusion import open_scorer
from actionstream.engine.labelling import EventSettings
from actionstream.evaluation.activitynet import write_results
from actionstream.evaluation.baselines import thresholded_scores, uniform_segments
from actionstream.evaluation.comparison import draw_comparison
from actionstream.evaluation.live import LiveVideo, live_accuracy
from actionstream.evaluation.remarks import MEANINGS, remarks
from actionstream.evaluation.segments import SegmentRow, Segments, Truth, check_times
from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import atomic_write
from actionstream.models.labels import find_background
from actionstream.models.training.folders import Videos, find_videos
from actionstream.models.training.left_out import LeftOut
from actionstream.sources.source import reason
from actionstream.videos.label import LabelledVideo, label_scores
from actionstream.videos.live import live_segments
from actionstream.videos.thumbnails import Thumbnails

FLAT = str.maketrans("/\\", "--")
"""A name of a video may have folders."""
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
    device: DeviceName,
    pictures: Path | None,
    as_json: bool,
    sharing: Sharing | None,
    say: Callable[[str], None],
) -> int:
    """Label the videos of the truth in a folder, write the results to a file, and print the figures.

    Videos of the truth that are not there do not count; those that cannot be labelled count as without results.

    For detection, the figures of two baselines with the same scores follow, and those of online detection; `pictures`
    is a folder for a picture of each video. With `sharing` the machines of a cluster score the videos; their scores are
    kept beside the results, so that a second run goes on. Returns the exit code.
    """
    check_task(dataset, task, truth, iou_thresholds)
    if pictures is not None and task != "detection":
        raise ActionstreamError(f"--pictures is for detection; leave it out for {task}")
    if results.exists():
        raise ActionstreamError(
            f"{results} is there already; remove it, or give another name for the results, --results FILE"
        )
    if not results.parent.is_dir():
        raise ActionstreamError(f"no folder {results.parent} for the results")
    subset = subset or SUBSETS[dataset]
    known = read_truth(dataset, truth, subset).without(() if blocked is None else read_blocked(blocked))
    if task != "classification":
        check_times(known.segments, "an annotation")
    left_out = LeftOut()
    files = _find(videos, known, left_out)
    not_there = [name for name in known.durations_seconds if name not in files]
    known = known.only(files)
    if not len(known.segments):
        raise ActionstreamError(f"none of the {len(files)} videos of the truth in {videos} has annotations")
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
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
    judged = [label for label in labels if label in known.labels]
    events = EventSettings(background=background)
    live: list[LiveVideo] = []
    all_drawn = True
    done: dict[str, float] = {}  # the videos, and how long they are
    detectors: dict[str, list[SegmentRow]] = {"ours": [], UNIFORM: [], THRESHOLDED: []}
    if sharing is None:
        each = label_each(files.items(), scorer, background=background, say=say)
    else:
        job = ScoreJob(model=absolute(model), device=device, with_pictures=pictures is not None)
        kept = results.with_suffix(".scores")
        each = _label_shared(files, job, kept, sharing, scorer.card, background=background, say=say)
    for name, found, thumbnails in each:
        if found is None:
            continue
        done[name] = found.scores.duration_seconds
        if task == "classification":
            detectors["ours"] += [
                (name, math.nan, math.nan, label, float(score))
                for label, score in zip(labels, found.overall, strict=True)
                if label != background
            ]
            continue
        for detector, rows in detect(name, found, scorer.card, background).items():
            detectors[detector] += rows
        if task == "proposals":
            continue
        announced = live_segments(found.scores, scorer.card, events)
        live.append(LiveVideo.of(name, found.scores, scorer.card, announced, labels=judged))
        if pictures is not None:
            try:
                with atomic_write(pictures / f"{name.translate(FLAT)}.png") as path:
                    draw_comparison(path, known.only([name]), live[-1], thumbnails=thumbnails)
            except OSError as error:
                say(reason(error))
                all_drawn = False
    if not done:
        raise ActionstreamError(f"none of the {len(files)} videos could be labelled: {results} is not written")
    ours = Segments.from_rows(detectors["ours"])
    write_results(results, ours, task=task, videos=list(done))
    missing = {
        "videos_not_there": not_there,
        "videos_not_labelled": [name for name in files if name not in done],
        "labels_not_of_the_model": wanted[~np.isin(wanted, labels)].tolist(),
    }

    def measured(rows: Segments) -> dict[str, Any]:
        counted = rows if task == "proposals" else rows[np.isin(rows.labels, known.labels)]
        return measure(dataset, task, known, counted, iou_thresholds)

    figures = {**describe(dataset, task, subset, known, ours), **measured(ours)}
    if task == "detection":
        figures["online"] = online_figures(live_accuracy(known, live))
        figures["baselines"] = {
            name: {key: value for key, value in measured(Segments.from_rows(detectors[name])).items() if key != "AP"}
            for name in (UNIFORM, THRESHOLDED)
        }
    said = {name: seconds for name, seconds in known.durations_seconds.items() if not math.isnan(seconds)}
    measured_too = replace(known, durations_seconds={**known.durations_seconds, **done, **said})
    found_odd = {**remarks(measured_too, ours, task=task), **missing}
    figures |= count_odd({kind: found_odd[kind] for kind in MEANINGS if found_odd.get(kind)})
    print_figures(figures, as_json=as_json)
    if not as_json:
        print(f"written: {results}" + ("" if pictures is None else f", and a picture of each video in {pictures}"))
    return 0 if len(done) == len(files) and all_drawn else 1


def _label_shared(
    files: Mapping[str, Path],
    job: ScoreJob,
    folder: Path,
    sharing: Sharing,
    card: Card,
    *,
    background: str | None,
    say: Callable[[str], None],
) -> Generator[tuple[str, LabelledVideo | None, Thumbnails]]:
    """As `label_each`, on the machines of a cluster; the scores are kept in a folder."""
    folder.mkdir(exist_ok=True)
    pinned = pin(job, folder, num_threads=1)
    share(pinned, files, folder, sharing, say=say)
    for name in files:
        found, thumbnails = None, Thumbnails()
        if pinned.is_done(folder, name):
            try:
                scores, thumbnails = read_scores(folder, name)
                found = label_scores(scores, card, name=files[name].name, background=background)
            except ActionstreamError as error:
                say(str(error))
        yield name, found, thumbnails


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
