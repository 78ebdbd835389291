"""Events in videos in which nothing should be found."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stream.engine import Engine
from stream.sources import open_source


def false_starts(engine: Engine, paths: Iterable[Path], *, nothing: tuple[str, ...] = ()) -> tuple[int, float]:
    """Starts of any label but those of `nothing`, and the hours of video they were counted in."""
    starts, seconds = 0, 0.0
    for path in paths:
        source = open_source(path)
        stream = engine.open()
        last = 0.0
        for frame in source:
            prediction = engine.push(stream, frame.image, frame.time_seconds)
            last = frame.time_seconds + 1 / source.rate
            if prediction is not None:
                starts += sum(e.event == "start" and e.label not in nothing for e in prediction.events)
        seconds += last
        engine.close(stream)
        source.close()
    return starts, seconds / 3600
