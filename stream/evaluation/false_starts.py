"""Events in videos in which nothing should be found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from actionstream.engine.engine import Engine
from actionstream.models.common.errors import ActionstreamError
from actionstream.sources import open_source


def false_starts(
    engine: Engine, paths: Iterable[Path], *, nothing: tuple[str, ...] = (), say: Callable[[str], None]
) -> tuple[int, float]:
    """The number of starts of labels that are not in `nothing`, and the hours of video they were counted in.

    say  gets the error of each video that cannot be read and does not count; ValueError where none can be read
    """
    starts, seconds = 0, 0.0
    for path in paths:
        stream = engine.open()
        begun, last = 0, 0.0
        try:
            with closing(open_source(path)) as source:
                for frame in source:
                    prediction = engine.push(stream, frame.picture, frame.time_seconds)
                    last = frame.time_seconds + 1 / source.rate
                    if prediction is not None:
                        begun += sum(e.event == "start" and e.label not in nothing for e in prediction.events)
        except (ActionstreamError, OSError) as error:
            say(str(error))
        else:
            starts, seconds = starts + begun, seconds + last
        engine.close(stream)
    if not seconds:
        raise ActionstreamError("none of the videos without action can be read")
    return starts, seconds / 3600
