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

MANY = 8
"""From so many videos a process on, the next one waits at each process: Ray takes 0.2 s to bring it. Of few videos,
one that waits behind a long one could be done by a process that is free."""


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """How videos are shared: the address of the cluster, and what a process may have.

    stall_seconds  the longest time without a frame
    most_bytes     of memory; None for its share of the machine's
    num_gpus       0.25 where four processes share a GPU; None: one for a job on CUDA, and else none
    """

    address: str
    stall_seconds: float
    most_bytes: int | None = None
    num_gpus: float | None = None


def do_all(job: Job, videos: Mapping[str, str], folder: Path, sharing: Sharing) -> Generator[Done]:
    """Do videos, by name, on the cluster that this process is connected to; yields what became of each, as it is done.

    Each machine has to see the videos, the model and the folder at the same paths. Raises ActionstreamError where the
    model cannot be opened there, or the cluster has too few GPUs.
    """
    import ray
    import ray.data
    from ray.data import ActorPoolStrategy

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what matters is told as the outcome of a video
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    threads = job.num_threads or 1
    num_gpus = float(job.device == "cuda") if sharing.num_gpus is None else sharing.num_gpus
    rows = [{"name": name, "video": video} for name, video in videos.items()]
    size = min(num_processes(ray.cluster_resources(), threads, num_gpus), len(rows))
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
        compute=ActorPoolStrategy(  # all begin at once
            min_size=1,
            max_size=size,
            initial_size=size,
            max_tasks_in_flight_per_actor=2 if len(rows) >= MANY * size else 1,
        ),
        num_cpus=threads,
        num_gpus=num_gpus or None,
    )
    try:
        for row in done.iter_rows():
            yield Done(**json.loads(row["done"]))
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        raise cause if isinstance(cause, ActionstreamError) else ActionstreamError(_told(error)) from error


def num_processes(resources: Mapping[str, float], num_cpus: int, num_gpus: float) -> int:
    """How many processes a cluster has a place for, where each one takes so many CPUs and GPUs; at least one.

    num_gpus  at most 1; Ray never takes the parts of a GPU from two

    Raises ActionstreamError where the cluster has none.
    """
    places = int(resources.get("CPU", 1)) // num_cpus
    if num_gpus:
        there = int(resources.get("GPU", 0))
        if there == 0:
            raise ActionstreamError("no machine of the cluster has a GPU; give --device cpu")
        places = min(places, there * int(1 / num_gpus + 1e-9))  # a tenth goes ten times into one, whatever floats say
    return max(places, 1)


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
