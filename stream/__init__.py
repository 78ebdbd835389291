"""Streaming online action recognition: a prediction after each frame.

    from actionstream import watch

    for prediction in watch("film.mp4"):
        print(prediction.time_seconds, prediction.label, prediction.score)

The public names are those in `__all__` here and in models, kernels, scoring and evaluation; other names may move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from actionstream.commands.record import record_clips
    from actionstream.commands.train import train_clips
    from actionstream.engine.engine import Engine, Snapshot
    from actionstream.engine.fusion import open_scorer
    from actionstream.frame import Frame
    from actionstream.live.predictions import watch
    from actionstream.live.watch import Watch
    from actionstream.models.common.errors import ActionstreamError
    from actionstream.results import Counts, Event, Label, Notice, Prediction, Segment, Skipped, Update
    from actionstream.scoring import sure_segments
    from actionstream.sources import Source, SourceError, open_source
    from actionstream.sources.connection import Connection
    from actionstream.teaching import Teacher
    from actionstream.videos.label import LabelledVideo, label_video

_HOMES = {
    "ActionstreamError": "models.common.errors",
    "Connection": "sources.connection",
    "Counts": "results",
    "Engine": "engine.engine",
    "Event": "results",
    "Frame": "frame",
    "Label": "results",
    "LabelledVideo": "videos.label",
    "Notice": "results",
    "Prediction": "results",
    "Segment": "results",
    "Skipped": "results",
    "Snapshot": "engine.engine",
    "Source": "sources",
    "SourceError": "sources",
    "Teacher": "teaching",
    "Update": "results",
    "Watch": "live.watch",
    "label_video": "videos.label",
    "open_scorer": "engine.fusion",
    "open_source": "sources",
    "record_clips": "commands.record",
    "sure_segments": "scoring",
    "train_clips": "commands.train",
    "watch": "live.predictions",
}

__all__ = [
    "ActionstreamError",
    "Connection",
    "Counts",
    "Engine",
    "Event",
    "Frame",
    "Label",
    "LabelledVideo",
    "Notice",
    "Prediction",
    "Segment",
    "Skipped",
    "Snapshot",
    "Source",
    "SourceError",
    "Teacher",
    "Update",
    "Watch",
    "label_video",
    "open_scorer",
    "open_source",
    "record_clips",
    "sure_segments",
    "train_clips",
    "watch",
]


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: torch and PyAV are slow to import, and a help text needs neither."""
    if name == "__version__":
        from importlib.metadata import version

        return version("actionstream")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
