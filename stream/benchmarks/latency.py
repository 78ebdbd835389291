"""The latency of a frame in a live stream, from its arrival to its line of JSON, split into parts."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from actionstream.benchmarks.alternation import Done, nobody, percentiles
from actionstream.benchmarks.background_load import BackgroundLoad
from actionstream.benchmarks.films import LiveFilm
from actionstream.engine.engine import Engine
from actionstream.live.watch import Watch
from actionstream.models.common.errors import ActionstreamError
from actionstream.results import Update
from actionstream.sinks import JsonLines

PARTS = ("decode", "waiting", "preprocess", "model", "scoring", "sink")
STRETCHES = 8  # quiet and busy in turn
WARM_UP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class FrameTime:
    """Milliseconds of one frame; `total` is the sum of the parts. `busy`: whether other processes were computing."""

    parts: dict[str, float]
    busy: bool

    @property
    def total(self) -> float:
        return sum(self.parts.values())


class _LatencySink:
    """A sink that discards JSON lines and notes the time at which a frame is done."""

    def __init__(self, film: LiveFilm, lines: JsonLines, note: Callable[[int, dict[str, float]], None]):
        self._film = film
        self._lines = lines
        self._note = note

    def push(self, update: Update) -> None:
        self._lines.push(update)
        frame, prediction = update.frame, update.prediction
        if frame is None or prediction is None:
            return
        done = perf_counter()
        spent = {
            "decode": 1000 * (frame.available - self._film.arrived[frame.index]),
            **prediction.split_ms,
            "sink": 1000 * (done - frame.available) - prediction.latency_ms,
        }
        self._note(frame.index, {name: spent[name] for name in PARTS})

    def close(self) -> None:
        self._lines.close()


def measure_latency(
    engine: Engine, path: Path, *, rate: float, num_frames: int, num_busy: int = 0, done: Done = nobody
) -> dict[str, Any]:
    """Play a file at the rate of a camera, label it as `watch` does, and time each frame that the model sees.

    rate        frames a second
    num_frames  frames to measure, after a warm-up of one second
    num_busy    other processes (neighbours); they compute in every second one of STRETCHES stretches

    Returns the percentiles of each part in ms and all frames; with neighbours, percentiles of quiet and busy stretches.
    """
    warm_up = round(rate * WARM_UP_SECONDS)
    film = LiveFilm(path, rate=rate)
    times: list[FrameTime] = []
    stretch = max(1, num_frames // STRETCHES)

    def is_busy(index: int) -> bool:
        return num_busy > 0 and index >= warm_up and (index - warm_up) // stretch % 2 == 1

    with BackgroundLoad(num_busy) as neighbours, open(os.devnull, "w") as nowhere:

        def note(index: int, parts: dict[str, float]) -> None:
            if index >= warm_up:
                times.append(FrameTime(parts, is_busy(index)))

        watch = Watch(engine, policy="newest", max_frames=warm_up + num_frames)
        watch.add(film, sinks=lambda _: [_LatencySink(film, JsonLines(nowhere, top=5), note)])
        seen = lost = 0
        now_busy = False
        with closing(watch):
            for update in watch:
                if update.frame is not None:
                    if is_busy(update.frame.index + 1) != now_busy:
                        now_busy = not now_busy
                        neighbours.busy(now_busy)
                    seen += update.frame.index >= warm_up
                    done(min(1.0, (update.frame.index + 1) / (warm_up + num_frames)))
                elif update.notice is not None and update.notice.event == "close":
                    if update.notice.reason is not None:
                        raise ActionstreamError(update.notice.reason)
                    lost = num_frames - seen
    report: dict[str, Any] = {
        "frames": num_frames,
        "labelled": len(times),
        "lost": lost,
        "rate": rate,
        **summary([each for each in times if not each.busy]),
        "each": [{**each.parts, "busy": each.busy} for each in times],
    }
    if num_busy:
        busy = summary([each for each in times if each.busy])
        report["busy"] = {
            "neighbours": num_busy,
            **busy,
            "share_left": neighbours.share_left,
            "times_as_long": busy["total_ms"]["p50"] / report["total_ms"]["p50"],
            "times_as_long_by_share": 1 / neighbours.share_left,
        }
    return report


def summary(times: list[FrameTime]) -> dict[str, Any]:
    """Percentiles of the total time of frames, and of each part."""
    if not times:
        raise ActionstreamError("too few frames were labelled to say anything; measure more of them (--frames)")
    return {
        "total_ms": percentiles([each.total for each in times]),
        "parts_ms": {name: percentiles([each.parts[name] for each in times]) for name in PARTS},
    }
