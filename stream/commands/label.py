"""The command `label`: the segments of whole videos, as files and on the screen."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from actionstream.archives.jobs import open_video
from actionstream.archives.label_files import rows_of, write_found
from actionstream.archives.label_job import LabelJob
from actionstream.archives.listing import list_videos
from actionstream.archives.remote import is_remote
from actionstream.commands import signals
from actionstream.commands.tables import open_console
from actionstream.engine.scorer import Scorer
from actionstream.evaluation.activitynet import write_results
from actionstream.evaluation.segments import SegmentRow, Segments
from actionstream.frame import Frame
from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError, in_a_line, is_mistake, is_out_of_memory
from actionstream.models.labels import find_background
from actionstream.models.training.left_out import LeftOut
from actionstream.results import Segment
from actionstream.runtimes.threads import core_left_free
from actionstream.scoring.segments import sure_segments
from actionstream.sources import Source
from actionstream.sources.address import masked
from actionstream.sources.source import reason
from actionstream.videos.label import LabelledVideo, label_video
from actionstream.videos.sheet import clock
from actionstream.videos.thumbnails import Thumbnails

MAX_SEGMENTS_SHOWN = 40
OVERALL_SHOWN = 3
ALL = "results"
"""The name of the file with the segments of all videos."""


def label_files(sources: Sequence[str], job: LabelJob, folder: Path, *, say: Callable[[str], None]) -> int:
    """Label each video and write its results into the folder; returns the exit code.

    A video that fails, or with files that cannot be written, is reported and skipped. NAME.json has all segments in
    ActivityNet's layout, for evaluation, and so has results.json of several videos. NAME.csv and NAME.png, the
    timeline, have no segments of one label that lie inside each other. The screen and the subtitles have those with a
    score of the job's threshold or more.

    NAME.npz: times_seconds (n,), scores (n, K), logits, and probabilities (n, K), of the n rows after the warm-up;
    overall (K,), probabilities of the whole video; labels (K,); duration_seconds.
    """
    if addresses := [source for source in sources if is_remote(source)]:
        raise ActionstreamError(
            f"{masked(addresses[0])} is an address; --ray reads those of files, such as s3://bucket/videos, and "
            "`watch` labels cameras"
        )
    left_out = LeftOut()
    videos = list_videos(sources, left_out)
    check_targets(videos, folder, job.kinds)
    for line in left_out.lines():
        say(line)
    scorer = job.open_scorer(say)
    background = find_background(scorer.card.labels, job.background)
    folder.mkdir(parents=True, exist_ok=True)
    console = open_console()
    everything: list[SegmentRow] = []
    done: list[str] = []
    all_whole = True
    for name, found, thumbnails in label_each(videos.items(), scorer, background=background, say=say):
        all_whole = all_whole and found is not None and not found.scores.cut_short
        if found is None:
            continue
        targets = job.targets(folder, name)
        try:
            write_found(found, name, targets, card=scorer.card, thumbnails=thumbnails, threshold=job.threshold)
        except OSError as error:
            say(reason(error))
            all_whole = False
            continue
        _show(console, name, found, sure_segments(found.segments, job.threshold), scorer.card)
        console.print("written: " + ", ".join(map(str, targets.values())) + "\n", soft_wrap=True)
        everything += rows_of(name, found.segments)
        done.append(name)
    if len(videos) > 1 and done:
        write_results(folder / f"{ALL}.json", Segments.from_rows(everything), videos=done)
        console.print(f"{len(everything)} segments in {len(done)} videos: {folder / ALL}.json")
    if all_whole:
        return 0
    return 1 if done else 2


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
                    source = open_video(video)
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


def _look(source: Source, thumbnails: Thumbnails, update: Callable[..., None], frame: Frame) -> None:
    thumbnails.push(frame)
    if frame.index % 30 == 0:
        update(total=source.seconds or None, completed=frame.time_seconds)


def check_targets(videos: Mapping[str, str], folder: Path, kinds: Sequence[str]) -> None:
    """Raise ActionstreamError where a file would be written twice, or would replace a video."""
    if len(videos) > 1 and ALL in videos:
        raise ActionstreamError(
            f"{videos[ALL]} and the results of all would both be written as {folder / ALL}.json; label it alone"
        )
    targets = {(folder / f"{name}.{kind}").resolve() for name in (*videos, ALL) for kind in kinds}
    for video in videos.values():
        if Path(video).resolve() in targets:
            raise ActionstreamError(f"{video} would be overwritten; give another folder, --out DIR")


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
        console.print(f"the best {table.row_count} of {num_all} segments; the files have all")
    top = np.argsort(-found.overall, kind="stable")[:OVERALL_SHOWN]
    console.print("as a whole: " + ", ".join(f"{card.labels[index]} {found.overall[index]:.2f}" for index in top))
