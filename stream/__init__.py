"""Everything that happens to a frame at run time.

from stream import watch

for prediction in watch("film.mp4"):
    print(prediction.time_seconds, prediction.label, prediction.score)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.engine import Engine, Snapshot
    from stream.frame import Frame
    from stream.prediction import Event, Label, Prediction
    from stream.sources import SourceError, open_source
    from stream.watching import watch

_HOMES = {
    "Engine": "engine",
    "Snapshot": "engine",
    "Frame": "frame",
    "Event": "prediction",
    "Label": "prediction",
    "Prediction": "prediction",
    "SourceError": "sources",
    "open_source": "sources",
    "watch": "watching",
}

__all__ = [
    "Engine",
    "Event",
    "Frame",
    "Label",
    "Prediction",
    "Snapshot",
    "SourceError",
    "open_source",
    "watch",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is: torch and PyAV take their time, and a help text needs neither."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"stream.{_HOMES[name]}"), name)
