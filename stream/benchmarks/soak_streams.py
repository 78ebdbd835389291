"""Soak test of many live streams that lose their connections: do memory, threads or files grow?"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

from actionstream.benchmarks.alternation import Done, nobody
from actionstream.benchmarks.films import LiveFilm
from actionstream.benchmarks.memory import family_megabytes
from actionstream.benchmarks.streams import GOLDEN
from actionstream.engine.engine import Engine
from actionstream.frame import Frame
from actionstream.live.watch import Watch
from actionstream.models.common.errors import ActionstreamError
from actionstream.sinks import JsonLines
from actionstream.sources.connection import Connection
from actionstream.sources.process import ProcessSource

LOOKS = 40
WARM_UP = 0.1
"""The share of the frames after which nothing should grow."""


class Unreliable(LiveFilm):
    """A camera whose connection ends after some frames."""

    def __init__(self, path: Path, *, rate: float, phase: float, num_frames: int):
        super().__init__(path, rate=rate, phase=phase)
        self._num_frames = num_frames

    def __iter__(self) -> Iterator[Frame]:
        return islice(super().__iter__(), self._num_frames)


def measure_soak_streams(
    engine: Engine,
    film: Path,
    *,
    num_streams: int,
    num_frames: int,
    rate: float,
    frames_a_connection: int,
    done: Done = nobody,
) -> dict[str, Any]:
    """Watch a film in live streams until so many frames of all together have come; each loses its connection often.

    Growth is what there is at the end minus what there was after a tenth of the frames. Memory is that of this program
    and its readers, what they share counts once.
    """
    if num_frames < 100 * num_streams:
        raise ActionstreamError(f"{num_frames} frames are too few for {num_streams} streams: 100 of each, or more")
    looks: list[dict[str, float]] = []
    seen = labelled = reconnects = 0
    with open(os.devnull, "w") as nowhere, closing(Watch(engine, connection=Connection(retries=None))) as watch:
        for number in range(num_streams):
            phase = number * GOLDEN % 1
            make = partial(Unreliable, film, rate=rate, phase=phase, num_frames=frames_a_connection + 7 * number)
            source = ProcessSource(film.name, make, Connection())
            watch.add(source, name=f"stream {number}", sinks=lambda _: [JsonLines(nowhere, top=5)], images=False)
        began = perf_counter()
        for update in watch:
            if update.notice is not None:
                reconnects += update.notice.event == "reconnect"
            if update.frame is None:
                continue
            seen += 1
            labelled += update.prediction is not None
            if seen >= num_frames * (len(looks) + 1) / LOOKS:
                looks.append({"frames": seen, "seconds": perf_counter() - began, **_now()})
                done(seen / num_frames)
                if len(looks) == LOOKS:
                    break
    first = looks[round(WARM_UP * LOOKS) - 1]
    return {
        "frames": seen,
        "labelled": labelled,
        "streams": num_streams,
        "reconnects": reconnects,
        "rate": rate,
        "frames_a_second": [
            (later["frames"] - earlier["frames"]) / (later["seconds"] - earlier["seconds"])
            for earlier, later in ((first, looks[len(looks) // 2]), (looks[len(looks) // 2], looks[-1]))
        ],
        **{
            name: {
                "after_warm_up": first[name],
                "last": looks[-1][name],
                "highest": max(look[name] for look in looks),
            }
            for name in ("megabytes", "threads", "files")
        },
    }


def _now() -> dict[str, float]:
    files = float("nan")
    with suppress(OSError):
        files = len(os.listdir("/proc/self/fd"))
    return {"megabytes": family_megabytes(), "threads": threading.active_count(), "files": files}
