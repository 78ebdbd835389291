"""How many live streams this machine holds: each labelled before its next frame comes, and none dropped."""

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
from actionstream.engine.engine import Engine
from actionstream.engine.scored_stream import Prepared
from actionstream.frame import Frame
from actionstream.live.watch import Watch
from actionstream.results import Prediction, Skipped, Update
from actionstream.sinks import JsonLines, Sink
from actionstream.sources import Source, SourceError, open_source
from actionstream.sources.address import scheme
from actionstream.sources.connection import Connection

WARM_UP_SECONDS = 1.0
GOLDEN = 0.618034  # multiples of it are spread over the time between two frames, however many there are
ATTEMPTS = 2  # of a number of streams, before it is too many


class MeteredEngine(Engine):
    """An engine that adds up what frames take: seconds of "preprocess", "model" and "scoring"."""

    def forget(self) -> None:
        """Count from now on."""
        self.spent = dict.fromkeys(("preprocess", "model", "scoring"), 0.0)

    def score(self, pairs: Sequence[tuple[Frame, Prepared]]) -> list[Prediction | Skipped]:
        began = perf_counter()
        results = super().score(pairs)
        all_of_it = perf_counter() - began
        split = next((each.split_ms for each in results if isinstance(each, Prediction)), {})
        model = split.get("model", 0.0) / 1000
        preprocess = sum(prepared.seconds for _, prepared in pairs)
        for name, seconds in {"preprocess": preprocess, "model": model, "scoring": all_of_it - model}.items():
            self.spent[name] += seconds
        return results


@dataclass(frozen=True)
class Try:
    """So many streams for some seconds.

    frames            that came after the first second, of all streams
    lost              of these, those that were dropped
    latency_ms        from when a frame came to its line of JSON; None where none was labelled
    busy_seconds      what each part took a second: of the thread that labels; "decode" and "preprocess", of the readers
    processors        that this program kept busy, readers included
    held              nothing lost, and the 99th percentile below the time between two frames
    """

    streams: int
    frames: int
    labelled: int
    lost: int
    latency_ms: dict[str, float] | None
    busy_seconds: dict[str, float]
    processors: float
    held: bool


@dataclass
class _CountingSink:
    """A sink that writes JSON lines to nowhere, and notes what became of each frame of a source."""

    source: Source
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
                film = self.source if isinstance(self.source, LiveFilm) else None
                came = update.frame.available if film is None else film.arrived[update.frame.index]
                self.latencies_ms.append(1000 * (done - came))

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
    """Watch a source in so many streams at once.

    source   a file, which each stream plays for itself at `rate` frames a second, or the address of a live source,
             which each connects to; `rate` is then what it sends, and a frame comes when it has been decoded
    seconds  beside a first one that does not count
    """
    warm_up, wanted = round(rate * WARM_UP_SECONDS), round(rate * seconds)
    engine.forget()
    clocks: list[_CountingSink] = []
    watch = Watch(engine, policy="newest", connection=Connection(retries=0), max_frames=warm_up + wanted)
    with open(os.devnull, "w") as nowhere, closing(watch):
        for number in range(num_streams):
            clock = _CountingSink(_open(source, rate, number), JsonLines(nowhere, top=5), warm_up)
            clocks.append(clock)
            watch.add(clock.source, name=f"stream {number}", sinks=partial(_alone, clock))
        began, cpu_before = perf_counter(), os.times()
        for update in watch:
            if update.frame is not None:
                done(min(1.0, (update.frame.index + 1) / (warm_up + wanted)))
            if update.notice is not None and update.notice.event == "close" and update.notice.reason is not None:
                raise SourceError(update.notice.reason)
        passed = perf_counter() - began
    ours, readers = _cpu_seconds(cpu_before, os.times())
    films = [clock.source for clock in clocks if isinstance(clock.source, LiveFilm)]
    busy = {
        "decode": sum(film.decode_cpu_seconds for film in films) if films else readers,
        **engine.spent,
        "sink": sum(clock.sink_seconds for clock in clocks),
    }
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
        held=lost == 0 and latency is not None and latency["p99"] < 1000 / rate,
    )


def _alone(sink: Sink, _: str) -> list[Sink]:
    return [sink]


def _open(source: str | Path, rate: float, number: int) -> Source:
    if scheme(str(source)):
        return open_source(source, connection=Connection(retries=0))
    return LiveFilm(Path(source), rate=rate, phase=number * GOLDEN % 1)


def _cpu_seconds(before: os.times_result, after: os.times_result) -> tuple[float, float]:
    """Of this process, and of the processes that it waited for, which read live sources."""
    ours = after.user - before.user + after.system - before.system
    children = after.children_user - before.children_user + after.children_system - before.children_system
    return ours, children


def search(holds: Callable[[int], bool], most: int) -> tuple[int, int | None]:
    """The largest number up to `most` that holds, and the smallest found that does not: 1, 2, 4 ..., then halving."""
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
    """Try 1, 2, 4 ... streams until there are too many, or `most`, and then what lies between.

    The limit is the part that took most of the time when there were too many, for the least number of them.
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
