"""Everything that happens to a frame at run time.

from stream import watch

for prediction in watch("film.mp4"):
    print(prediction.time_seconds, prediction.label, prediction.score)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.connection import Connection
    from stream.engine import Engine, Snapshot
    from stream.frame import Frame
    from stream.prediction import Counts, Event, Label, Notice, Prediction, Skipped, Update
    from stream.sources import Source, SourceError, open_source
    from stream.watching import Watch, watch

_HOMES = {
    "Connection": "connection",
    "Counts": "prediction",
    "Engine": "engine",
    "Event": "prediction",
    "Frame": "frame",
    "Label": "prediction",
    "Notice": "prediction",
    "Prediction": "prediction",
    "Skipped": "prediction",
    "Snapshot": "engine",
    "Source": "sources",
    "SourceError": "sources",
    "Update": "prediction",
    "Watch": "watching",
    "open_source": "sources",
    "watch": "watching",
}

__all__ = [
    "Connection",
    "Counts",
    "Engine",
    "Event",
    "Frame",
    "Label",
    "Notice",
    "Prediction",
    "Skipped",
    "Snapshot",
    "Source",
    "SourceError",
    "Update",
    "Watch",
    "open_source",
    "watch",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is: torch and PyAV take their time, and a help text needs neither."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"stream.{_HOMES[name]}"), name)
