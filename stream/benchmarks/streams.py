"""How many live streams this machine holds: no frame is dropped, and each is labelled before the next one comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from actionstream.benchmarks.alternation import Done, Stage, no_stage, nobody, percentiles
from actionstream.benchmarks.films import LiveFilm
from actionstream.benchmarks.memory import family_megabytes
from actionstream.engine.engine import Engine
from actionstream.engine.scored_stream import Prepared
from actionstream.frame import Frame
from actionstream.live.watch import Watch
from actionstream.results import Prediction, Skipped, Update
from actionstream.sinks import JsonLines, Sink
from actionstream.sources import SourceError, open_address
from actionstream.sources.address import scheme
from actionstream.sources.connection import Connection
from actionstream.sources.process import ProcessSource

WARM_UP_SECONDS = 1.0
GOLDEN = 0.618034  # phases of streams: its multiples modulo 1 are spread evenly, however many there are
ATTEMPTS = 2  # with a number of streams, before it counts as too many


class MeteredEngine(Engine):
    """An engine that sums the seconds of all batches in "model" and "scoring"."""

    def forget(self) -> None:
        """Reset the sums."""
        self.spent = dict.fromkeys(("model", "scoring"), 0.0)

    def score(self, pairs: Sequence[tuple[Frame, Prepared]]) -> list[Prediction | Skipped]:
        began = perf_counter()
        results = super().score(pairs)
        all_of_it = perf_counter() - began
        split = next((each.split_ms for each in results if isinstance(each, Prediction)), {})
        model = split.get("model", 0.0) / 1000
        self.spent["model"] += model
        self.spent["scoring"] += all_of_it - model
        return results


@dataclass(frozen=True)
class Try:
    """The result of one run with a number of streams.

    frames            frames of all streams after the warm-up
    lost              dropped frames among these
    latency_ms        percentiles from the arrival of a frame to its line of JSON; None where no frame was labelled
    busy_seconds      seconds of each part per second: "readers" are CPU seconds of the processes that decode and
                      resize, the others are in one thread
    processors        the number of CPU cores that this program keeps busy, readers included
    megabytes         its memory in the warm-up, readers included; what they share counts once
    held              whether no frame is lost and the 99th percentile of the latency is below the frame interval
    """

    streams: int
    frames: int
    labelled: int
    lost: int
    latency_ms: dict[str, float] | None
    busy_seconds: dict[str, float]
    processors: float
    megabytes: float
    held: bool


@dataclass
class _CountingSink:
    """A sink that discards JSON lines, counts the frames of a source, and notes their latencies."""

    source: ProcessSource
    lines: JsonLines
    warm_up: int
    seen: int = 0
    sink_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.latencies_ms: list[float] = []

    def push(self, update: Update) -> None:
        began = perf_counter()
        self.lines.push(update)
        done = perf_counter()
        self.sink_seconds += done - began
        if update.frame is not None and update.frame.index >= self.warm_up:
            self.seen += 1
            if update.prediction is not None:
                self.latencies_ms.append(1000 * (done - update.frame.available))

    def close(self) -> None:
        self.lines.close()


def try_streams(
    engine: MeteredEngine,
    source: str | Path,
    num_streams: int,
    *,
    rate: float,
    seconds: float,
    done: Done = nobody,
) -> Try:
    """Watch a source in `num_streams` streams at once.

    source   a file, played by each stream at `rate` frames a second; or the address of a live source of this rate:
             each stream connects to it, and latency counts from when a frame is decoded; of a file it counts from
             when a frame is due
    seconds  after a warm-up of one second
    """
    warm_up, wanted = round(rate * WARM_UP_SECONDS), round(rate * seconds)
    engine.forget()
    clocks: list[_CountingSink] = []
    watch = Watch(engine, policy="newest", connection=Connection(retries=0), max_frames=warm_up + wanted)
    with open(os.devnull, "w") as nowhere, closing(watch):
        for number in range(num_streams):
            clock = _CountingSink(_open(source, rate, number), JsonLines(nowhere, top=5), warm_up)
            clocks.append(clock)
            watch.add(clock.source, name=f"stream {number}", sinks=partial(_alone, clock), images=False)
        began, cpu_before, megabytes = perf_counter(), os.times(), 0.0
        for update in watch:
            if update.frame is not None:
                done(min(1.0, (update.frame.index + 1) / (warm_up + wanted)))
                if not megabytes and update.frame.index >= warm_up // 2:  # of the warm-up: it takes a moment
                    megabytes = family_megabytes()
            if update.notice is not None and update.notice.event == "close" and update.notice.reason is not None:
                raise SourceError(update.notice.reason)
        passed = perf_counter() - began
    ours = _cpu_seconds(cpu_before, os.times())
    readers = sum(clock.source.cpu_seconds for clock in clocks)
    busy = {"readers": readers, **engine.spent, "sink": sum(clock.sink_seconds for clock in clocks)}
    latencies = [each for clock in clocks for each in clock.latencies_ms]
    late = sum(clock.source.lost["late"] for clock in clocks)
    lost = num_streams * wanted - sum(clock.seen for clock in clocks) + late
    latency = percentiles(latencies) if latencies else None
    return Try(
        streams=num_streams,
        frames=num_streams * wanted,
        labelled=len(latencies),
        lost=lost,
        latency_ms=latency,
        busy_seconds={name: spent / passed for name, spent in busy.items()},
        processors=(ours + readers) / passed,
        megabytes=megabytes,
        held=lost == 0 and latency is not None and latency["p99"] < 1000 / rate,
    )


def _alone(sink: Sink, _: str) -> list[Sink]:
    return [sink]


def _open(source: str | Path, rate: float, number: int) -> ProcessSource:
    connection = Connection(retries=0)
    if scheme(text := str(source)):
        return open_address(text, connection)
    play = partial(LiveFilm, Path(source), rate=rate, phase=number * GOLDEN % 1, when_due=True)
    return ProcessSource(Path(source).name, play, connection)


def _cpu_seconds(before: os.times_result, after: os.times_result) -> float:
    """CPU seconds of this process; readers are not children of it."""
    return after.user - before.user + after.system - before.system


def search(holds: Callable[[int], bool], most: int) -> tuple[int, int | None]:
    """Find the largest number up to `most` that holds: try 1, 2, 4 ..., then bisect.

    Returns that number, and the smallest number that failed; None where none failed.
    """
    held, failed = 0, None
    while failed is None and held < most:
        number = min(max(1, 2 * held), most)
        if holds(number):
            held = number
        else:
            failed = number
    while failed is not None and failed - held > 1:
        middle = (held + failed) // 2
        if holds(middle):
            held = middle
        else:
            failed = middle
    return held, failed


def find_most_streams(
    engine: MeteredEngine, source: str | Path, *, rate: float, seconds: float, most: int, stage: Stage = no_stage
) -> dict[str, Any]:
    """Find the largest number of streams up to `most` that this machine holds, as `search` does.

    "limit" is the part that takes most time with the smallest number of streams that is too many.
    """
    tries: list[Try] = []

    def holds(number: int) -> bool:
        for _ in range(ATTEMPTS):
            done = stage(f"{number} streams")
            tries.append(try_streams(engine, source, number, rate=rate, seconds=seconds, done=done))
            if tries[-1].held:
                return True
        return False

    held, failed = search(holds, most)
    limit = None
    if failed is not None:
        last = [each for each in tries if each.streams == failed][-1]
        limit = max(last.busy_seconds, key=last.busy_seconds.__getitem__)
    return {
        "rate": rate,
        "interval_ms": 1000 / rate,
        "seconds": seconds,
        "streams": held,
        "too_many": failed,
        "limit": limit,
        "tries": [asdict(each) for each in tries],
    }
