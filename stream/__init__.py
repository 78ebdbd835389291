"""Everything that happens to a frame at run time.

from actionstream import watch

for prediction in watch("film.mp4"):
    print(prediction.time_seconds, prediction.label, prediction.score)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actionstream.engine.engine import Engine, Snapshot
    from actionstream.frame import Frame
    from actionstream.live.watch import Watch, watch
    from actionstream.results import Counts, Event, Label, Notice, Prediction, Skipped, Update
    from actionstream.sources import Source, SourceError, open_source
    from actionstream.sources.connection import Connection

_HOMES = {
    "Connection": "sources.connection",
    "Counts": "results",
    "Engine": "engine.engine",
    "Event": "results",
    "Frame": "frame",
    "Label": "results",
    "Notice": "results",
    "Prediction": "results",
    "Skipped": "results",
    "Snapshot": "engine.engine",
    "Source": "sources",
    "SourceError": "sources",
    "Update": "results",
    "Watch": "live.watch",
    "open_source": "sources",
    "watch": "live.watch",
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
    if name == "__version__":
        from importlib.metadata import version

        return version("actionstream")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
