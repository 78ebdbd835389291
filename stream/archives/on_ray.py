"""An archive on the machines of a Ray cluster: Ray Data gives videos to actors, each with a process for videos."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actionstream.archives.apart import Apart, Done, Limits
from actionstream.archives.job_text import read_job, write_job
from actionstream.archives.jobs import Job
from actionstream.cluster import own_environment
from actionstream.models.common.errors import ActionstreamError

MOST_BLOCKS = 10_000
"""Ray Data gives out videos in so many blocks at most; a block is done again where its machine dies."""


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """How videos are shared: the address of the cluster, and the limits of a process.

    stall_seconds  the longest time without a frame
    most_bytes     of its memory; None for its share of the machine's
    """

    address: str
    stall_seconds: float
    most_bytes: int | None


def do_all(job: Job, videos: Mapping[str, str], folder: Path, sharing: Sharing) -> Generator[Done]:
    """Do videos, by name, on the cluster that this process is connected to; yields what became of each, as it is done.

    Each machine has to see the videos, the model and the folder at the same paths. Raises ActionstreamError where the
    model cannot be opened there.
    """
    import ray
    import ray.data
    from ray.data import ActorPoolStrategy

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what matters is told as the outcome of a video
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    threads = job.num_threads or 1
    places = max(int(ray.cluster_resources().get("CPU", 1)) // threads, 1)
    rows = [{"name": name, "video": video} for name, video in videos.items()]
    size = min(places, len(rows))
    done = ray.data.from_items(rows, override_num_blocks=min(len(rows), MOST_BLOCKS)).map_batches(
        Worker,
        fn_constructor_args=(
            write_job(job),
            str(folder.resolve()),
            sharing.stall_seconds,
            sharing.most_bytes,
            own_environment(),
        ),
        batch_size=1,
        # all begin at once; a video that waits behind another one could be done by an actor that is free
        compute=ActorPoolStrategy(min_size=1, max_size=size, initial_size=size, max_tasks_in_flight_per_actor=1),
        num_cpus=threads,
    )
    try:
        for row in done.iter_rows():
            yield Done(**json.loads(row["done"]))
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        raise cause if isinstance(cause, ActionstreamError) else ActionstreamError(_told(error)) from error


class Worker:
    """An actor of Ray Data."""

    def __init__(
        self, job: str, folder: str, stall_seconds: float, most_bytes: int | None, environment: dict[str, str]
    ):
        os.environ.update(environment)
        wanted = read_job(job)
        limits = Limits(stall_seconds=stall_seconds, most_bytes=most_bytes or _share_of_memory(wanted.num_threads or 1))
        self._apart = Apart(wanted, Path(folder), limits)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        names, videos = batch["name"], batch["video"]
        done = [self._apart(str(name), str(video)) for name, video in zip(names, videos, strict=True)]
        return {"done": [json.dumps(asdict(each)) for each in done]}


def _share_of_memory(num_threads: int) -> int:
    """The bytes of this machine's memory for a process that has so many of its cores."""
    of_all = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return int(0.9 * of_all * min(num_threads / (os.cpu_count() or 1), 1))


def _told(error: Exception) -> str:
    """The last line of an error of Ray, which has the tracebacks of all machines in it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"Ray: {lines[-1] if lines else type(error).__name__}"
