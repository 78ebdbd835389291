"""Archives: many videos on the machines of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from actionstream.archives.apart import Done
from actionstream.archives.jobs import Job
from actionstream.archives.label_job import LabelJob
from actionstream.archives.listing import list_videos
from actionstream.archives.on_ray import Sharing, do_all
from actionstream.archives.settings import FILE, pin
from actionstream.cluster import cluster
from actionstream.commands import signals
from actionstream.commands.label import check_targets
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.training.left_out import LeftOut


@dataclass(kw_only=True)
class Work:
    """What was done: num_wanted videos had no results before, seconds of video are done now."""

    num_wanted: int
    failures: list[Done] = field(default_factory=list)
    seconds: float = 0.0


def label_archive(
    sources: Sequence[str], job: LabelJob, folder: Path, *, sharing: Sharing, say: Callable[[str], None]
) -> int:
    """Label videos that have no results in the folder on a cluster; returns the exit code.

    Beside the files of each video the folder gets job.json, segments.parquet, failures.parquet and attempts.parquet. A
    second run goes on with what is missing.
    """
    from actionstream.archives.tables import write_segments

    left_out = LeftOut()
    videos = list_videos(sources, left_out)
    if (taken := Path(FILE).stem) in videos:
        raise ActionstreamError(
            f"the results of a video named {taken} would take the place of {FILE}, the settings; give it another name"
        )
    job = replace(job, model=absolute(job.model))
    check_targets(videos, folder, job.kinds)
    for line in left_out.lines():
        say(line)
    folder.mkdir(parents=True, exist_ok=True)
    pinned = pin(job, folder, num_threads=job.num_threads or 1)
    began = perf_counter()
    work = share(pinned, videos, folder, sharing, say=say)
    there = [name for name in videos if pinned.is_done(folder, name)]
    num_segments = write_segments(folder, there)
    print(
        f"{folder}: {work.num_wanted - len(work.failures)} videos labelled in {perf_counter() - began:.0f} s "
        f"({work.seconds / 3600:.2f} hours of video), {len(videos) - work.num_wanted} were there, "
        f"{len(work.failures)} failed; {num_segments} segments in segments.parquet"
    )
    if not work.failures:
        return 0
    return 1 if there else 2


def share(
    job: Job, videos: Mapping[str, str | Path], folder: Path, sharing: Sharing, *, say: Callable[[str], None]
) -> Work:
    """Do the videos that have no results in the folder on a cluster.

    Writes failures.parquet and attempts.parquet beside the results, and tells warnings and failures.
    """
    from actionstream.archives.tables import write_attempts, write_failures

    wanted = {name: absolute(str(video)) for name, video in videos.items() if not job.is_done(folder, name)}
    work = Work(num_wanted=len(wanted))
    if wanted:
        with cluster(sharing.address), _progress(len(videos), len(videos) - len(wanted)) as advance:
            started = perf_counter()
            try:
                for done in do_all(job, wanted, folder, sharing):
                    work.seconds += done.seconds
                    if done.outcome not in ("", "done"):
                        work.failures.append(done)
                    for remark in (*done.remarks, done.reason):
                        if remark:
                            say(remark)
                    advance(len(work.failures), work.seconds / (perf_counter() - started))
            finally:
                signals.arrived()  # the cluster is left in peace
    write_failures(folder, work.failures)
    write_attempts(folder)
    return work


def absolute(name: str) -> str:
    """The path that is the same for a process with another working folder; a name of no file stays."""
    return str(Path(name).resolve()) if Path(name).exists() else name


@contextmanager
def _progress(total: int, done: int) -> Iterator[Callable[[int, float], None]]:
    """A bar on standard error; the function is called when a video is done."""
    console = Console(stderr=True)
    columns = (
        *(BarColumn(), MofNCompleteColumn(), TextColumn("videos"), TextColumn("{task.fields[speed]}")),
        *(TimeRemainingColumn(), TextColumn("left"), TextColumn("{task.fields[failed]} failed")),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total, completed=done, speed="", failed=0)

        def advance(failed: int, speed: float) -> None:
            progress.update(task, advance=1, failed=failed, speed=f"{speed:.0f} x real time" if speed else "")

        yield advance
