"""What Ray costs: an archive on the cores of this machine with `label --ray`, beside plain processes.

    python -m actionstream.benchmarks.archives VIDEO --videos 16

loops VIDEO to a minute, copies it, and labels the copies in turn with a Ray cluster of this machine and with plain
processes, one a core, each of which does its share without any watcher. Prints one JSON object. The time of a turn is
from the begin of the first video to the end of the last one; the start (of Ray, of the processes, and of the models)
stands apart.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from actionstream.archives.attempts import read_attempts
from actionstream.archives.job_text import read_job, write_job
from actionstream.archives.label_job import LabelJob
from actionstream.archives.on_ray import Sharing, do_all
from actionstream.archives.settings import pin
from actionstream.benchmarks.alternation import alternate
from actionstream.benchmarks.films import loop_video
from actionstream.benchmarks.machine import machine
from actionstream.cluster import LOCAL, cluster
from actionstream.models.common.errors import ActionstreamError

VIDEO_SECONDS = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m actionstream.benchmarks.archives", description="What Ray costs.")
    parser.add_argument("video", type=Path)
    parser.add_argument("--videos", type=int, default=16, help="number of copies")
    parser.add_argument("--seconds", type=float, default=VIDEO_SECONDS, help="length of each")
    parser.add_argument("--model", default="motion")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            report = measure(arguments, Path(folder))
    except (ActionstreamError, OSError) as error:
        sys.exit(f"archives: {error}")
    print(json.dumps(report, indent=2))


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The whole report, as plain numbers."""
    first = folder / "0.mkv"
    loop_video(arguments.video, first, seconds=arguments.seconds)
    copies = [shutil.copy(first, folder / f"{number}.mkv") for number in range(1, arguments.videos)]
    videos = {Path(path).stem: str(path) for path in (first, *copies)}
    job = pin(LabelJob(model=arguments.model, kinds=("json", "png"), threshold=0.3), folder, num_threads=1)
    starts: dict[str, list[float]] = {"ray": [], "plain": []}

    def turn(side: str) -> float:
        results = Path(tempfile.mkdtemp(dir=folder))
        began = time.time()
        begin, end = {"ray": with_ray, "plain": plainly}[side](job, videos, results)
        starts[side].append(begin - began)
        return end - begin

    spent = alternate({side: partial(turn, side) for side in starts}, rounds=arguments.rounds, warm_ups=0)
    ratios = [ray / plain for ray, plain in zip(spent["ray"], spent["plain"], strict=True)]
    return {
        "machine": machine(),
        "videos": {"number": len(videos), "seconds": arguments.seconds, "model": arguments.model},
        "seconds": spent,
        "start_seconds": starts,
        "ray_over_plain": statistics.median(ratios),
        "ratios": ratios,
    }


def with_ray(job: LabelJob, videos: dict[str, str], results: Path) -> tuple[float, float]:
    """When the first video begins, and when the last one ends."""
    with cluster(LOCAL):
        for done in do_all(job, videos, results, Sharing(address=LOCAL, stall_seconds=60)):
            if done.outcome != "done":
                raise ActionstreamError(done.reason)
    attempts = read_attempts(results)
    return min(each.begin_seconds for each in attempts), max(each.end_seconds or 0 for each in attempts)


def plainly(job: LabelJob, videos: dict[str, str], results: Path) -> tuple[float, float]:
    """The same, with as many processes as there are cores."""
    cores = os.cpu_count() or 1
    names = list(videos)
    shares = [{name: videos[name] for name in names[core::cores]} for core in range(cores)]
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as pool:
        times = list(pool.map(_do_share, [write_job(job)] * cores, shares, [results] * cores))
    return min(begin for begin, _ in times), max(end for _, end in times)


def _do_share(job: str, videos: dict[str, str], results: Path) -> tuple[float, float]:
    do = read_job(job).open()
    begin = time.time()
    for name, video in videos.items():
        do(video, results, name, lambda _: None)
    return begin, time.time()


if __name__ == "__main__":
    main()
