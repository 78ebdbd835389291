"""Soak test: do memory or latency grow during a very long stream?"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np

from actionstream.benchmarks.alternation import Done, nobody, percentiles
from actionstream.benchmarks.memory import resident_megabytes
from actionstream.engine.engine import Engine
from actionstream.models.common.errors import ActionstreamError
from actionstream.results import Prediction

WARM_UP = 1000  # frames: libraries fill their caches
LOOKS = 100  # at the memory


def measure_soak(
    engine: Engine, images: Sequence[np.ndarray], *, num_frames: int, done: Done = nobody
) -> dict[str, Any]:
    """Push pictures through one stream in a loop.

    Growth is the memory at the end minus that after the warm-up: the first thousand frames, or a tenth if that is less.
    Drift is the median time of the last tenth of the frames over that of the first tenth.
    """
    warm_up = min(WARM_UP, num_frames // 10)
    if num_frames - warm_up < 20:
        raise ActionstreamError(f"{num_frames} frames are too few to see a drift; push 30 or more (--frames)")
    name = engine.open()
    measured = num_frames - warm_up
    spent_ms = np.zeros(measured, np.float32)  # allocated before: it does not count as growth
    look_every = max(1, measured // LOOKS)
    spent_ms.fill(1.0)
    first = highest = start = resident_megabytes()
    for index in range(num_frames):
        began = perf_counter()
        result = engine.push(name, images[index % len(images)], index * engine.card.frame_seconds)
        if index < warm_up:
            first = resident_megabytes() if index == warm_up - 1 else first
            continue
        spent_ms[index - warm_up] = 1000 * (perf_counter() - began)
        assert result is None or isinstance(result, Prediction)
        if (index - warm_up) % look_every == 0:
            highest = max(highest, resident_megabytes())
            done((index + 1) / num_frames)
    last = resident_megabytes()
    engine.close(name)
    tenth = max(1, measured // 10)
    begin, end = statistics.median(spent_ms[:tenth].tolist()), statistics.median(spent_ms[-tenth:].tolist())
    return {
        "frames": num_frames,
        "warm_up_frames": warm_up,
        "latency_ms": percentiles(spent_ms.tolist()),
        "first_tenth_ms": begin,
        "last_tenth_ms": end,
        "drift": end / begin,
        "megabytes": {"start": start, "after_warm_up": first, "last": last, "highest": max(highest, last)},
        "growth_megabytes": last - first,
    }
