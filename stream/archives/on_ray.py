"""An archive on the machines of a Ray cluster: Ray Data gives videos to actors, each with a process for videos."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actionstream.archives.apart import Apart, Done, Limits
from actionstream.archives.job_text import read_job, write_job
from actionstream.archives.jobs import Job
from actionstream.models.common.errors import ActionstreamError

LOCAL = "local"
ANSWER_SECONDS = 10.0
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # GPUs stay visible to actors that ask for none, as Ray will have it
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}
"""For Ray, where the user has not set it: it sends nothing to its makers, and says little."""
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


@contextmanager
def cluster(address: str) -> Generator[None]:
    """Connected to a cluster: "local", one of this machine alone that ends with the program, or an address."""
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    import ray
    import ray.data

    for name in ("ray", "ray.data"):  # what matters is told as the outcome of a video
        logging.getLogger(name).setLevel(logging.CRITICAL)

    _check_answer(address)
    where: dict[str, Any] = {"include_dashboard": False} if address == LOCAL else {}
    try:
        with _silent():
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL, **where)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise ActionstreamError(f"no Ray cluster answers at {address}: {' '.join(str(error).split())}") from error
    try:
        yield
    finally:
        with _silent():
            ray.shutdown()


def _check_answer(address: str) -> None:
    """Raise ActionstreamError where nobody answers at HOST:PORT, for which Ray waits for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and not address.startswith("ray://"):
        try:
            socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
        except (OSError, OverflowError) as error:
            raise ActionstreamError(f"no Ray cluster answers at {address}: {error}") from error


@contextmanager
def _silent() -> Generator[None]:
    """Without standard error, where Ray says that it says nothing, or that what is stopped is stopped."""
    before = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def do_all(job: Job, videos: Mapping[str, str], folder: Path, sharing: Sharing) -> Generator[Done]:
    """Do videos, by name, on the cluster that this process is connected to; yields what became of each, as it is done.

    Each machine has to see the videos, the model and the folder at the same paths. Raises ActionstreamError where the
    model cannot be opened there.
    """
    import ray
    from ray.data import ActorPoolStrategy

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    threads = job.num_threads or 1
    places = max(int(ray.cluster_resources().get("CPU", 1)) // threads, 1)
    rows = [{"name": name, "video": video} for name, video in videos.items()]
    done = ray.data.from_items(rows, override_num_blocks=min(len(rows), MOST_BLOCKS)).map_batches(
        Worker,
        fn_constructor_args=(
            write_job(job),
            str(folder.resolve()),
            sharing.stall_seconds,
            sharing.most_bytes,
            _own_environment(),
        ),
        batch_size=1,
        compute=ActorPoolStrategy(min_size=1, max_size=min(places, len(rows))),
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


def _own_environment() -> dict[str, str]:
    """What the driver was told by its environment and options, such as --max-pixels and --decoder, for all machines."""
    return {name: value for name, value in os.environ.items() if name.startswith("ACTIONSTREAM_")}


def _share_of_memory(num_threads: int) -> int:
    """The bytes of this machine's memory for a process that has so many of its cores."""
    of_all = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return int(0.9 * of_all * min(num_threads / (os.cpu_count() or 1), 1))


def _told(error: Exception) -> str:
    """The last line of an error of Ray, which has the tracebacks of all machines in it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"Ray: {lines[-1] if lines else type(error).__name__}"
