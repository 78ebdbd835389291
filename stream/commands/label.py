"""The command `label`: the segments of whole videos, as files and on the screen."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from actionstream.choices import PrecisionName, SubtitleFormat
from actionstream.commands import signals
from actionstream.commands.tables import open_console
from actionstream.engine.fusion import open_scorer
from actionstream.engine.scorer import Scorer
from actionstream.evaluation.activitynet import write_results
from actionstream.evaluation.detection_table import write_table
from actionstream.evaluation.segments import SegmentRow, Segments
from actionstream.frame import Frame
from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError, in_a_line, is_mistake, is_out_of_memory
from actionstream.models.common.files import atomic_write, write_text
from actionstream.models.labels import find_background
from actionstream.results import Segment
from actionstream.runtimes.threads import core_left_free
from actionstream.scoring.segments import sure_segments
from actionstream.sources import Source, SourceError, open_source
from actionstream.sources.source import reason
from actionstream.videos.label import LabelledVideo, label_video
from actionstream.videos.picture import draw_timeline
from actionstream.videos.sheet import clock
from actionstream.videos.subtitles import subtitles
from actionstream.videos.thumbnails import Thumbnails

MAX_SEGMENTS_SHOWN = 40
OVERALL_SHOWN = 3
ALL = "results"
"""The name of the file with the segments of all videos."""


def label_files(
    videos: Sequence[str],
    *,
    model: str,
    device: str,
    precision: PrecisionName,
    background: str | None,
    folder: Path,
    subtitle: SubtitleFormat | None,
    table: bool,
    scores: bool,
    threshold: float,
    say: Callable[[str], None],
    **loading: Any,
) -> int:
    """Label each video and write its results into the folder; returns the exit code. `loading` is for models.load.

    A video that fails, or with files that cannot be written, is reported and skipped. NAME.json has all segments in
    ActivityNet's layout, for evaluation, and so has results.json of several videos. NAME.csv and NAME.png, the
    timeline, have no segments of one label that lie inside each other. The screen and the subtitles have those with a
    score of `threshold` or more.

    NAME.npz, with `scores`: times_seconds (n,), scores (n, K), logits, and probabilities (n, K), of the n rows after
    the warm-up; overall (K,), probabilities of the whole video; labels (K,); duration_seconds.
    """
    if not 0 <= threshold <= 1:
        raise ActionstreamError(f"--threshold is {threshold}; expected a number from 0 to 1")
    kinds = [
        "json",
        "png",
        *([subtitle] if subtitle else []),
        *(["csv"] if table else []),
        *(["npz"] if scores else []),
    ]
    names = [name_of(video) for video in videos]
    _check_targets(videos, names, folder, kinds)
    scorer = open_scorer(model, device=device, precision=precision, say=say, **loading)
    background = find_background(scorer.card.labels, background)
    folder.mkdir(parents=True, exist_ok=True)
    console = open_console()
    everything: list[SegmentRow] = []
    done: list[str] = []
    all_whole = True
    for name, found, thumbnails in label_each(zip(names, videos, strict=True), scorer, background=background, say=say):
        all_whole = all_whole and found is not None and not found.scores.cut_short
        if found is None:
            continue
        targets = {kind: folder / f"{name}.{kind}" for kind in kinds}
        sure = sure_segments(found.segments, threshold)
        try:
            write_found(targets, name, found, sure, card=scorer.card, thumbnails=thumbnails)
        except OSError as error:
            say(reason(error))
            all_whole = False
            continue
        _show(console, name, found, sure, scorer.card)
        console.print("written: " + ", ".join(map(str, targets.values())) + "\n", soft_wrap=True)
        everything += rows_of(name, found.segments)
        done.append(name)
    if len(videos) > 1 and done:
        write_results(folder / f"{ALL}.json", Segments.from_rows(everything), videos=done)
        console.print(f"{len(everything)} segments in {len(done)} videos: {folder / ALL}.json")
    if all_whole:
        return 0
    return 1 if done else 2


def name_of(video: str) -> str:
    """The name of a video's files, without suffix."""
    path = Path(video)
    return path.resolve().name if path.is_dir() else path.stem


def label_each(
    videos: Iterable[tuple[str, str | Path]], scorer: Scorer, *, background: str | None, say: Callable[[str], None]
) -> Generator[tuple[str, LabelledVideo | None, Thumbnails]]:
    """Label videos; yields the name, the result, and thumbnails of each; the result is None for a video that failed.

    A progress bar on standard error shows the time that is left.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    console = Console(stderr=True)
    videos = list(videos)
    left = TimeRemainingColumn(), TextColumn("left")
    progress = Progress(*columns, *left, console=console, transient=True, disable=not console.is_terminal)
    try:
        with core_left_free(), progress:
            for number, (name, video) in enumerate(videos, 1):
                task = progress.add_task(f"{name} ({number} of {len(videos)})", total=None)
                thumbnails = Thumbnails()
                found, remarks = None, list[str]()
                try:
                    source = _open(video)
                    remarks = source.warnings
                    look = partial(_look, source, thumbnails, partial(progress.update, task))
                    found = label_video(source, scorer, background=background, look=look)
                    wrong = found.scores.cut_short
                except Exception as error:
                    if is_out_of_memory(error):
                        wrong = f"{video}: {in_a_line(error)}"
                    elif is_mistake(error):
                        wrong = str(error) if isinstance(error, ActionstreamError) else f"{video}: {reason(error)}"
                    else:
                        raise
                for remark in (*remarks, wrong):
                    if remark:
                        say(remark)
                progress.remove_task(task)
                progress.stop()
                yield name, found, thumbnails
                progress.start()
    finally:
        signals.arrived()


def _open(video: str | Path) -> Source:
    if not Path(video).exists() and video != "sample":
        raise SourceError(f"no such file: {video}; give video files, or folders of images")
    return open_source(video if video == "sample" else Path(video))


def _look(source: Source, thumbnails: Thumbnails, update: Callable[..., None], frame: Frame) -> None:
    thumbnails.push(frame)
    if frame.index % 30 == 0:
        update(total=source.seconds or None, completed=frame.time_seconds)


def rows_of(name: str, segments: Iterable[Segment]) -> list[SegmentRow]:
    """The segments of a video as rows, with times to the millisecond."""
    return [
        (name, round(each.start_seconds, 3), round(each.end_seconds, 3), each.label, round(each.score, 6))
        for each in segments
    ]


def _check_targets(videos: Sequence[str], names: Sequence[str], folder: Path, kinds: Sequence[str]) -> None:
    """Raise ValueError where a file would be written twice, or would replace a video."""
    taken = {ALL: "the results of all"} if len(videos) > 1 else {}
    for video, name in zip(videos, names, strict=True):
        if name in taken:
            raise ActionstreamError(
                f"{video} and {taken[name]} would both be written as {folder / name}.json; label them one by one, "
                "each with another --out"
            )
        taken[name] = video
    targets = {(folder / f"{name}.{kind}").resolve() for name in taken for kind in kinds}
    for video in videos:
        if Path(video).resolve() in targets:
            raise ActionstreamError(f"{video} would be overwritten; give another folder, --out DIR")


def write_found(
    targets: dict[str, Path],
    name: str,
    found: LabelledVideo,
    sure: list[Segment],
    *,
    card: Card,
    thumbnails: Thumbnails,
) -> None:
    """Write the results of a video, a file of each kind: json, png, srt, vtt, csv, npz.

    sure  segments above the threshold, for subtitles
    """
    write_results(targets["json"], Segments.from_rows(rows_of(name, found.segments)), videos=[name])
    with atomic_write(targets["png"]) as picture:
        draw_timeline(
            picture,
            found,
            title=name,
            labels=card.labels,
            interval_seconds=card.interval_seconds,
            thumbnails=thumbnails,
        )
    for kind in ("srt", "vtt"):
        if kind in targets:
            write_text(targets[kind], subtitles(sure, kind=kind))
    if "csv" in targets:
        write_table(targets["csv"], Segments.from_rows(rows_of(name, sure_segments(found.segments, 0.0))))
    if "npz" in targets:
        with atomic_write(targets["npz"]) as path, path.open("wb") as file:  # given a name, numpy would append .npz
            np.savez_compressed(
                file,
                times_seconds=found.scores.times_seconds,
                scores=found.scores.scores,
                probabilities=found.probabilities,
                overall=found.overall,
                labels=np.array(card.labels),
                duration_seconds=found.scores.duration_seconds,
            )


def _show(console: Console, title: str, found: LabelledVideo, sure: list[Segment], card: Card) -> None:
    """Print the best segments in order of time, and the labels of the whole video."""
    table = Table(title=title, box=SIMPLE_HEAD, show_edge=False, title_justify="left")
    for column in ("start", "end", "label", "score"):
        is_name = column == "label"
        table.add_column(column, justify="left" if is_name else "right", no_wrap=not is_name, overflow="fold")
    for each in sorted(sure[:MAX_SEGMENTS_SHOWN], key=lambda each: (each.start_seconds, each.end_seconds)):
        times = clock(each.start_seconds, digits=1), clock(each.end_seconds, digits=1)
        table.add_row(*times, each.label, f"{each.score:.2f}")
    console.print(table)
    if table.row_count < (num_all := len(sure_segments(found.segments, 0.0))):
        console.print(f"the best {table.row_count} of {num_all} segments")
    top = np.argsort(-found.overall, kind="stable")[:OVERALL_SHOWN]
    console.print("as a whole: " + ", ".join(f"{card.labels[index]} {found.overall[index]:.2f}" for index in top))
