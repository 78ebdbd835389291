"""Time and memory that a long video takes: does decoding overlap with the model, and is nothing kept but score rows.

    python -m actionstream.benchmarks.long_video VIDEO --hours 2

loops VIDEO to this length (packets are copied, not encoded), labels it as `label` does, and prints one JSON object.
Memory (on Linux only) is read at each minute of the video; the peak is read when the segments have been found. For the
time, short passes over two minutes of the video alternate: decoding alone (including the preparation of snippets),
scoring alone (of snippets in memory), and both together as in `label`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from actionstream.benchmarks.alternation import alternate, timed
from actionstream.benchmarks.films import loop_video
from actionstream.benchmarks.machine import machine
from actionstream.benchmarks.memory import forget_peak, resident_megabytes
from actionstream.engine.fusion import open_scorer
from actionstream.engine.scorer import Scorer
from actionstream.frame import Frame
from actionstream.models.common.errors import ActionstreamError
from actionstream.runtimes.threads import core_left_free
from actionstream.sources import open_source
from actionstream.videos.label import label_video
from actionstream.videos.scores import scored_chunks
from actionstream.videos.thumbnails import Thumbnails

PASS_SECONDS = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m actionstream.benchmarks.long_video", description="A long video.")
    parser.add_argument("video", type=Path)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--model", default="motion")
    parser.add_argument("--passes", type=int, default=10, help="passes of each kind, for the time")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder, core_left_free():
            report = measure(arguments.video, Path(folder), arguments.hours, arguments.model, arguments.passes)
    except (ActionstreamError, OSError) as error:
        sys.exit(f"long_video: {error}")
    print(json.dumps(report, indent=2))


def measure(video: Path, folder: Path, hours: float, model: str, passes: int) -> dict[str, Any]:
    """The whole report, as plain numbers."""
    scorer = open_scorer(model)
    film, short = folder / "film.mkv", folder / "short.mkv"
    loop_video(video, film, seconds=3600 * hours)
    loop_video(video, short, seconds=min(PASS_SECONDS, 3600 * hours))
    whole, spent = label_film(film, scorer), times(short, scorer, passes)
    slower = max(spent["decode_seconds"], spent["score_seconds"]) / spent["seconds_of_video"]
    return {
        "machine": {**machine(), "threads": torch.get_num_threads()},
        "video": {"file": video.name, "hours": hours, "model": model, "chunk": scorer.chunk},
        "whole": {**whole, "seconds_over_the_slower": whole["seconds"] / (slower * whole["seconds_of_video"])},
        "time": spent,
    }


def label_film(film: Path, scorer: Scorer) -> dict[str, Any]:
    """Label a video; return the seconds that it takes, and the memory at its minutes and at the end."""
    thumbnails = Thumbnails()
    megabytes: list[float] = []

    def look(frame: Frame) -> None:
        thumbnails.push(frame)
        if frame.time_seconds >= 60 * len(megabytes):
            megabytes.append(resident_megabytes())
            if len(megabytes) == 2:
                forget_peak()

    began = perf_counter()
    found = label_video(open_source(film), scorer, look=look)
    seconds = perf_counter() - began
    peak = max(resident_megabytes("VmHWM"), *megabytes[1:])  # the kernel counts both a few pages late
    scores = found.scores
    rows = (scores.scores.nbytes + scores.times_seconds.nbytes + scores.rows_since_reset.nbytes) / 1e6
    return {
        "seconds_of_video": scores.duration_seconds,
        "seconds": seconds,
        "rows": len(scores.times_seconds),
        "rows_megabytes": rows,
        "megabytes": {
            "minute_1": megabytes[1],
            "highest_later": max(megabytes[1:]),
            "last": megabytes[-1],
            "peak": peak,
        },
        "growth_beyond_rows_megabytes": max(megabytes[1:]) - megabytes[1] - rows,
        "peak_beyond_last_megabytes": peak - megabytes[-1],
        "segments": len(found.segments),
    }


def times(film: Path, scorer: Scorer, passes: int) -> dict[str, Any]:
    """Seconds of alternating passes over a video; the ratio of both together to the slower of the two."""
    stream = scorer.open()
    source, prepared = open_source(film), []
    for frame in source:
        if (each := stream.prepare(frame)).sampled:
            prepared.append(each)

    def decode() -> None:
        stream.reset()
        for frame in open_source(film):
            stream.prepare(frame)

    def score() -> None:
        for first in range(0, len(prepared), scorer.chunk):
            scorer.score(prepared[first : first + scorer.chunk])

    def both() -> None:
        for _ in scored_chunks(open_source(film), scorer, look=Thumbnails().push):
            pass

    sides = {"decode": timed(decode), "score": timed(score), "both": timed(both)}
    spent = alternate(sides, rounds=passes, warm_ups=0)
    ratios = [whole / max(rest) for whole, *rest in zip(spent["both"], spent["decode"], spent["score"], strict=True)]
    return {
        "seconds_of_video": frame.time_seconds + 1 / source.rate,
        **{f"{name}_seconds": statistics.median(values) for name, values in spent.items()},
        "both_over_the_slower": statistics.median(ratios),
        "of_totals": sum(spent["both"]) / max(sum(spent["decode"]), sum(spent["score"])),
        "ratios": ratios,
    }


if __name__ == "__main__":
    main()
