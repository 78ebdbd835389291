"""Archives: many videos on the machines of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from actionstream.archives.apart import Done
from actionstream.archives.jobs import LabelJob
from actionstream.archives.listing import list_videos
from actionstream.archives.settings import pin
from actionstream.commands import signals
from actionstream.commands.label import check_targets
from actionstream.models.training.left_out import LeftOut


def label_archive(
    sources: Sequence[str],
    job: LabelJob,
    folder: Path,
    *,
    address: str,
    stall_seconds: float,
    most_bytes: int | None,
    say: Callable[[str], None],
) -> int:
    """Label videos that have no results in the folder on a cluster; returns the exit code.

    Beside the files of each video the folder gets job.json, segments.parquet, failures.parquet and attempts.parquet. A
    second run goes on with what is missing.
    """
    from actionstream.archives import tables
    from actionstream.archives.on_ray import cluster, do_all

    left_out = LeftOut()
    videos = {name: _absolute(video) for name, video in list_videos(sources, left_out).items()}
    job = replace(job, model=_absolute(job.model))
    check_targets(videos, folder, job.kinds)
    for line in left_out.lines():
        say(line)
    folder.mkdir(parents=True, exist_ok=True)
    pinned = pin(job, folder, num_threads=job.num_threads or 1)
    wanted = {name: video for name, video in videos.items() if not pinned.is_done(folder, name)}
    failures: list[Done] = []
    began = perf_counter()
    seconds = 0.0
    if wanted:
        with cluster(address), _progress(len(videos), len(videos) - len(wanted)) as advance:
            started = perf_counter()
            try:
                for done in do_all(pinned, wanted, folder, stall_seconds=stall_seconds, most_bytes=most_bytes):
                    seconds += done.seconds
                    if done.outcome not in ("", "done"):
                        failures.append(done)
                    for remark in (*done.remarks, done.reason):
                        if remark:
                            say(remark)
                    advance(len(failures), seconds / (perf_counter() - started))
            finally:
                signals.arrived()  # the cluster is left in peace
    there = [name for name in videos if pinned.is_done(folder, name)]
    num_segments = tables.write_segments(folder, there)
    tables.write_failures(folder, failures)
    tables.write_attempts(folder)
    print(
        f"{folder}: {len(wanted) - len(failures)} videos labelled in {perf_counter() - began:.0f} s "
        f"({seconds / 3600:.2f} hours of video), {len(videos) - len(wanted)} were there, {len(failures)} failed; "
        f"{num_segments} segments in segments.parquet"
    )
    if not failures:
        return 0
    return 1 if there else 2


def _absolute(name: str) -> str:
    """The path that is the same for a process with another working folder; a name of no file stays."""
    return str(Path(name).resolve()) if Path(name).exists() else name


@contextmanager
def _progress(total: int, done: int) -> Iterator[Callable[[int, float], None]]:
    """A bar on standard error; the function is called when a video is done."""
    console = Console(stderr=True)
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("videos")),
        *(TextColumn("{task.fields[speed]:.0f} x real time"), TimeRemainingColumn(), TextColumn("left")),
        TextColumn("{task.fields[failed]} failed"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("label", total=total, completed=done, speed=0.0, failed=0)

        def advance(failed: int, speed: float) -> None:
            progress.update(task, advance=1, failed=failed, speed=speed)

        yield advance
