"""The command `train --annotations`: a live detector from whole videos and their annotations."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from actionstream.commands.evaluate_live import online_figures, show_online
from actionstream.commands.tables import print_table
from actionstream.detector.decisions import HeldOut, allowed_false_alarms, choose_decisions
from actionstream.detector.features import FeatureStore
from actionstream.detector.learning import learn
from actionstream.detector.settings import DetectorSettings
from actionstream.detector.training import (
    IOU_THRESHOLDS,
    Seen,
    hold_out,
    look_at,
    measure,
    open_store,
    smoothing_for,
    truth_of,
)
from actionstream.frame import Frame
from actionstream.models.annotations.annotated import AnnotatedVideo
from actionstream.models.backbones import build
from actionstream.models.card import DECISIONS, Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import write_text
from actionstream.models.locate import BEST
from actionstream.models.networks.detector import Detector
from actionstream.models.training.annotated import read_annotated_videos, summary
from actionstream.models.weights.checkpoint import save
from actionstream.runtimes.eager import choose_device

MAX_CLASSES = 30


def train_videos(
    output: Path, *, data: Path, annotations: Path, features: Path | None, settings: DetectorSettings, device: str
) -> None:
    """Train a detector and write it to a folder.

    features  a folder for the features of the videos, which are used again; default: in the output
    """
    if (output / BEST).exists():
        raise ActionstreamError(f"{output} has a complete run in it; take another folder")
    device = choose_device(device).type
    read = read_annotated_videos(annotations, data)
    for line in summary(read):
        _say(line)
    if settings.false_alarms_per_hour is not None:  # an error should come before the work
        hours = sum(video.duration_seconds or 0.0 for video in read.training) / 3600
        allowed_false_alarms(settings.false_alarms_per_hour, hours)
    network, card = build(
        "detector",
        settings.backbones,
        memory=settings.network,
        arguments=settings.arguments,
        num_classes=len(read.labels),
    )
    assert isinstance(network, Detector)
    card = replace(card, labels=read.labels, activation="sigmoid")
    _say(
        f"{' and '.join(settings.backbones)} see {1 / card.interval_seconds:.3g} snippets a second, of "
        f"{card.preprocessing.height} x {card.preprocessing.width} pixels"
    )
    output.mkdir(parents=True, exist_ok=True)
    seen, broken = _look(read.training, open_store(features or output / "features", network, card, device=device))
    for error in broken:
        _say(f"broken: {error}")
    card = replace(card, segment_smoothing_seconds=smoothing_for(seen))
    card = _hold_out(seen, card, settings, device)
    _say("learning from all videos")
    memory = learn([video.learnt(card.labels) for video in seen], len(card.labels), settings, device=device)
    network.memory.load_state_dict(memory.state_dict())
    card = replace(
        card,
        training={
            "settings": asdict(settings),
            "annotations": annotations.name,
            "videos": [video.annotated.name for video in seen],
            "date": date.today().isoformat(),
        },
    )
    save(output / BEST, network, card, half=True)
    found = {"videos": len(seen), "broken": broken, "left_out": read.left_out.summary(), "held_out": card.accuracy}
    write_text(output / "summary.json", json.dumps(found, indent=1, ensure_ascii=False))
    if read.validation:
        _say(f"{len(read.validation)} videos of validation were not looked at: evaluate --videos measures on them")
    print(f"{output}: {len(seen)} videos learnt, {len(broken)} broken, {len(card.labels)} labels")


def _look(videos: Sequence[AnnotatedVideo], store: FeatureStore) -> tuple[list[Seen], list[str]]:
    """The features of videos, with a progress bar in seconds of video."""
    columns = TextColumn("looking at {task.fields[name]}"), BarColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    total = sum(video.duration_seconds or 0.0 for video in videos)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total, name="videos")
        before = 0.0

        def shown(video: AnnotatedVideo) -> Callable[[Frame], None]:
            nonlocal before
            begin, before = before, before + (video.duration_seconds or 0.0)
            progress.update(task, name=video.name, completed=begin)
            return lambda frame: progress.update(task, completed=begin + frame.time_seconds)

        return look_at(videos, store, shown)


def _hold_out(seen: Sequence[Seen], card: Card, settings: DetectorSettings, device: str) -> Card:
    """The card with the thresholds and durations that held-out videos give, and their figures, which are printed."""
    scores = hold_out(
        seen,
        card,
        settings,
        device=device,
        told=lambda number, total: _say(f"fold {number} of {total}: learning from the other videos"),
    )
    if scores is None:
        _say("all videos are of one group, so none is held out: thresholds are the usual ones, and nothing is measured")
        return card
    truth = truth_of(seen)
    try:
        decisions = choose_decisions(
            [HeldOut.of(name, each, card) for name, each in scores.items()],
            truth,
            card.labels,
            interval_seconds=card.interval_seconds,
            metric=settings.metric,
            false_alarms_per_hour=settings.false_alarms_per_hour,
        )
    except ActionstreamError as error:  # what was learnt is not lost
        _say(f"{error}; until then thresholds are the usual ones")
    else:
        card = replace(card, **{name: getattr(decisions, name) for name in DECISIONS})
    found = measure(scores, truth, card)
    names = [f"{threshold:g}" for threshold in IOU_THRESHOLDS]
    figures = {**online_figures(found.live), "mAP": dict(zip(names, found.segments.map.tolist(), strict=True))}
    console = Console()
    console.print("held-out videos, each by what the others teach; thresholds are chosen on them")
    print_table(
        console, ["mAP of segments, IoU", *names], [["", *(f"{100 * share:.2f}" for share in found.segments.map)]]
    )
    show_online(console, figures, max_classes=MAX_CLASSES)
    return replace(card, accuracy=figures)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
