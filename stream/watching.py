"""Watching a source: its frames through an engine, predictions out."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from stream.engine import Engine
from stream.frame import Frame
from stream.prediction import Event, Prediction
from stream.reader import FileReader, LiveReader
from stream.sources import Source, open_source


class Watch:
    """A source and the engine that labels it; iterate for (frame, prediction or None), each frame of the source.

    `events` holds those that ended with the source, once it has.
    """

    def __init__(self, source: Source, engine: Engine, *, realtime: bool = False):
        self.source = source
        self.engine = engine
        self.num_frames = 0
        self.events: list[Event] = []
        self._reader = LiveReader(source) if source.live else FileReader(source, realtime=realtime)

    @property
    def num_dropped(self) -> int:
        """Frames of a live source that nobody took in time."""
        return self._reader.dropped

    def __iter__(self) -> Generator[tuple[Frame, Prediction | None]]:
        stream = self.engine.open(self.source.name)
        try:
            for frame in self._reader:
                prediction = self.engine.push_frames([frame])[0]
                self.num_frames += 1
                yield frame, prediction
        finally:
            self.events = self.engine.flush(stream)
            self.engine.close(stream)
            self.close()

    def close(self) -> None:
        """Stop reading and release the source."""
        self._reader.close()


def watch(
    source: str | int | Path,
    *,
    model: str | os.PathLike[str] = "motion",
    max_frames: int | None = None,
    rate: float = 30.0,
    **options: Any,
) -> Iterator[Prediction]:
    """Predictions for the frames of a source, as they arrive.

    source      a video file, a folder or glob of images, a camera number, or "-" for a video on standard input
    model       a packaged checkpoint, or the path of one
    max_frames  stop after this many frames of the source
    rate        frames a second of a folder of images
    options     those of `Engine`: device, threshold, smoothing_seconds ...

    An event that is open when the source ends has no prediction to come with; it ends there.

    Raises ValueError when the source, the model or an option is of no use, and SourceError, a ValueError, when
    the source ends before its time (after the predictions of what there was).
    """
    session = Watch(open_source(source, rate=rate), Engine(model, **options))

    def predictions() -> Iterator[Prediction]:
        with closing(session), closing(iter(session)) as frames:
            for _, prediction in frames:
                if prediction is not None:
                    yield prediction
                if session.num_frames == max_frames:
                    break

    return predictions()
