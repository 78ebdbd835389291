"""The predictions of sources as they arrive, in one call."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from actionstream.choices import Policy
from actionstream.engine.engine import Engine
from actionstream.live.watch import Watch
from actionstream.models.common.errors import ActionstreamError
from actionstream.results import Prediction
from actionstream.sources import Source, SourceError
from actionstream.sources.connection import Connection


def watch(
    *sources: str | int | Path | Source,
    model: str | os.PathLike[str] = "motion",
    policy: Policy = "auto",
    connection: Connection | None = None,
    realtime: bool = False,
    max_frames: int | None = None,
    rate: float | None = None,
    gate: bool = False,
    **options: Any,
) -> Iterator[Prediction]:
    """Predictions for the frames of sources, as they arrive.

    sources     video files, folders or globs of images, addresses such as "rtsp://camera/stream", camera numbers, or
                "-" for a video on standard input
    model       the name of a packaged checkpoint, or the path of a checkpoint
    policy      "newest": frames that wait too long are dropped; "every": no frame is dropped; "auto": newest where a
                source is live
    connection  timeouts and retries of live sources
    realtime    play files at their own speed
    max_frames  stop after this many frames of each source
    rate        frames a second of a folder of images; default: the rate in its rate.txt, else 30
    gate        save steps of the network while a scene is still, see `actionstream.live.gate.Gate`
    options     options of `Engine`: device, threshold, smoothing_seconds ...

    No prediction reports the end of an event that is open when its source ends.

    During the warm-up, the first predictions of a stream and those after a reset mean nothing: `label` is None, `score`
    is 0 and `warming_up` is true. The `context` of the model's card is the number of these snippets.

    Raises ValueError when a source, the model or an option is wrong. Raises SourceError, a ValueError, after all
    predictions when a source ended too early.
    """
    if not sources:
        raise ActionstreamError("no source to watch; give a file, an address or a camera")
    session = Watch(
        Engine(model, **options),
        policy=policy,
        connection=connection,
        realtime=realtime,
        max_frames=max_frames,
        gate=gate,
    )
    for source in sources:
        session.add(source, rate=rate, images=False)

    def predictions() -> Iterator[Prediction]:
        failures: list[str] = []
        with session:
            for update in session:
                if update.prediction is not None:
                    yield update.prediction
                if update.notice is not None and update.notice.event == "close" and update.notice.reason:
                    failures.append(update.notice.reason)
        if failures:
            raise SourceError("; ".join(failures))

    return predictions()
