"""The command `label`: what happens when in whole videos, as files and on the screen."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from models.checkpoint import Card
from stream import signals
from stream.evaluation.activitynet import write_results
from stream.evaluation.detection_table import write_table
from stream.evaluation.segments import Row, Segments
from stream.fusion import open_scorer
from stream.labelling import VideoLabels, find_background, label_video
from stream.scorer import Scorer
from stream.sources import SourceError, open_source
from stream.sources.source import reason
from stream.subtitles import Subtitles, subtitles
from stream.timeline import Thumbnails, clock, draw_timeline

MAX_SEGMENTS_SHOWN = 40
OVERALL_SHOWN = 3
ALL = "results"
"""The name of the file with the segments of all videos."""


def label_files(
    videos: Sequence[str],
    *,
    model: str,
    device: str,
    background: str | None,
    folder: Path,
    subtitle: Subtitles | None,
    table: bool,
    scores: bool,
    say: Callable[[str], None],
) -> int:
    """Label each video and write what was found into the folder; returns the exit code.

    A video that fails is told and passed over. NAME.json has the segments in ActivityNet's layout, NAME.png the
    timeline; with several videos results.json has the segments of all.

    NAME.npz, with `scores`: times_seconds (n,), scores (n, K) before softmax or sigmoid, probabilities (n, K), of the n
    rows that mean something; overall (K,), probabilities of the whole video; labels (K,); duration_seconds.
    """
    kinds = ["json", "png", *([subtitle] if subtitle else []), *(["csv"] if table else []), *(["npz"] if scores else [])]
    names = [name_of(video) for video in videos]
    _check_targets(videos, names, folder, kinds)
    scorer = open_scorer(model, device=device)
    background = find_background(scorer.card.labels, background)
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(markup=False, highlight=False, emoji=False)
    everything: list[Row] = []
    done: list[str] = []
    failed = False
    try:
        with shown_progress() as progress:
            for video, name in zip(videos, names, strict=True):
                thumbnails = Thumbnails()
                try:
                    found = label_one(video, scorer, background=background, progress=progress, thumbnails=thumbnails)
                except (ValueError, OSError) as error:
                    say(str(error) if isinstance(error, ValueError) else f"{video}: {reason(error)}")
                    failed = True
                    continue
                if found.scores.cut_short:
                    say(found.scores.cut_short)
                    failed = True
                targets = {kind: folder / f"{name}.{kind}" for kind in kinds}
                rows = rows_of(name, found)
                _write(targets, name, found, Segments.from_rows(rows), card=scorer.card, thumbnails=thumbnails)
                _show(console, Path(video).name, found, scorer.card, targets.values())
                everything += rows
                done.append(name)
    finally:
        signals.arrived()
    if len(videos) > 1 and done:
        write_results(folder / f"{ALL}.json", Segments.from_rows(everything), videos=done)
        console.print(f"{len(everything)} segments in {len(done)} videos: {folder / ALL}.json")
    if not failed:
        return 0
    return 1 if done else 2


def name_of(video: str) -> str:
    """What the files of a video are called."""
    path = Path(video)
    return path.resolve().name if path.is_dir() else path.stem


@contextmanager
def shown_progress() -> Generator[Progress]:
    """A bar on standard error that goes when it is done, with the time that is left."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), TextColumn("left"), console=console, transient=True) as progress:
        yield progress


def label_one(
    video: str, scorer: Scorer, *, background: str | None, progress: Progress, thumbnails: Thumbnails | None = None
) -> VideoLabels:
    """Label a video file, or a folder of images, and show how far it is."""
    if not Path(video).exists() and video != "sample":
        raise SourceError(f"no such file: {video}; give video files, or folders of images")
    source = open_source(video)
    task = progress.add_task(source.name, total=source.seconds or None)

    def look(frame):
        if thumbnails is not None:
            thumbnails.push(frame)
        if frame.index % 30 == 0:
            progress.update(task, completed=frame.time_seconds)

    try:
        found = label_video(source, scorer, background=background, look=look)
    finally:
        progress.remove_task(task)
        for warning in source.warnings:
            progress.console.print(f"actionstream: {warning}", markup=False, highlight=False, soft_wrap=True)
    return found


def rows_of(name: str, found: VideoLabels) -> list[Row]:
    """The segments of a video as rows, with times to the millisecond."""
    return [
        (name, round(each.start_seconds, 3), round(each.end_seconds, 3), each.label, round(each.score, 6))
        for each in found.segments
    ]


def _check_targets(videos: Sequence[str], names: Sequence[str], folder: Path, kinds: Sequence[str]) -> None:
    """Raise ValueError where one file would be written twice, or over a video."""
    taken = {ALL: "the results of all"} if len(videos) > 1 else {}
    for video, name in zip(videos, names, strict=True):
        if name in taken:
            raise ValueError(
                f"{video} and {taken[name]} would both be written as {folder / name}.json; label them one by one, "
                "each with another --out"
            )
        taken[name] = video
    targets = {(folder / f"{name}.{kind}").resolve() for name in taken for kind in kinds}
    for video in videos:
        if Path(video).resolve() in targets:
            raise ValueError(f"{video} would be written over; give another folder, --out DIR")


def _write(
    targets: dict[str, Path], name: str, found: VideoLabels, segments: Segments, *, card: Card, thumbnails: Thumbnails
) -> None:
    write_results(targets["json"], segments, videos=[name])
    draw_timeline(
        targets["png"],
        found,
        title=name,
        labels=card.labels,
        interval_seconds=card.interval_seconds,
        thumbnails=thumbnails,
    )
    for kind in ("srt", "vtt"):
        if kind in targets:
            targets[kind].write_text(subtitles(found.segments, kind=kind), encoding="utf-8")
    if "csv" in targets:
        write_table(targets["csv"], segments)
    if "npz" in targets:
        np.savez_compressed(
            targets["npz"],
            times_seconds=found.scores.times_seconds,
            scores=found.scores.scores,
            probabilities=found.probabilities,
            overall=found.overall,
            labels=np.array(card.labels),
            duration_seconds=found.scores.duration_seconds,
        )


def _show(console: Console, title: str, found: VideoLabels, card: Card, written: Sequence[Path]) -> None:
    """The best segments in the order of time, and what the video shows as a whole."""
    best = sorted(found.segments[:MAX_SEGMENTS_SHOWN], key=lambda each: (each.start_seconds, each.end_seconds))
    table = Table("start", "end", "label", "score", title=title, box=SIMPLE_HEAD, show_edge=False, title_justify="left")
    for column in table.columns:
        column.justify = "left" if column.header == "label" else "right"
    for segment in best:
        times = (f"{clock(segment.start_seconds)}", f"{clock(segment.end_seconds)}")
        table.add_row(*times, segment.label, f"{segment.score:.2f}")
    console.print(table)
    if len(best) < len(found.segments):
        console.print(f"the best {len(best)} of {len(found.segments)} segments")
    top = np.argsort(-found.overall, kind="stable")[:OVERALL_SHOWN]
    console.print("as a whole: " + ", ".join(f"{card.labels[index]} {found.overall[index]:.2f}" for index in top))
    console.print("written: " + ", ".join(map(str, written)) + "\n", soft_wrap=True)
