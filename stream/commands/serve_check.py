"""`serve --check`: opens each source of the settings once, and says what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn

from actionstream.commands.tables import open_console, print_table
from actionstream.models.common.errors import ActionstreamError
from actionstream.serve.model_labels import labels_of
from actionstream.serve.reading import read_settings
from actionstream.serve.settings import Camera
from actionstream.sources import SourceError, open_source
from actionstream.sources.address import masked
from actionstream.sources.connection import Connection
from actionstream.sources.source import reason

MOST_AT_ONCE = 8
"""Sources that are opened at the same time; each live one starts a process."""
HEAD = ("camera", "source", "size", "frames/s", "model", "labels", "regions")


@dataclass(frozen=True)
class Opened:
    """The first frame of a source: width and height, and the rate that the source declares."""

    width: int
    height: int
    rate: float


def check(path: Path, *, say: Callable[[str], None]) -> int:
    """Open the source of each camera, and print a table of them; returns the exit code, 2 where one cannot be opened.

    Raises SettingsError for a file with mistakes.
    """
    cameras = read_settings(path).cameras
    found = _open_all(cameras)
    rows = []
    for name, camera in cameras.items():
        opened = found[name]
        if isinstance(opened, Opened):
            gives = [f"{opened.width} x {opened.height}", f"{opened.rate:g}"]
        else:
            say(f"{name}: {reason(opened)}")
            gives = ["not opened", ""]
        labels, _ = labels_of(camera.model, path.parent)
        told = [label for label in camera.labels or labels if label not in camera.ignored_labels]
        regions = ", ".join(camera.regions) or "whole picture"
        rows.append([name, masked(camera.source.get_secret_value()), *gives, camera.model, str(len(told)), regions])
    print_table(open_console(), HEAD, rows)
    return 0 if all(isinstance(each, Opened) for each in found.values()) else 2


def _open_all(cameras: Mapping[str, Camera]) -> dict[str, Opened | Exception]:
    """What opening the source of each camera gives, several at once, with a line of progress on standard error."""
    console = Console(stderr=True)
    columns = TextColumn("opening sources"), MofNCompleteColumn()
    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
        ThreadPoolExecutor(MOST_AT_ONCE) as threads,
    ):
        task = progress.add_task("", total=len(cameras))
        names = {threads.submit(_open, camera): name for name, camera in cameras.items()}
        found = {}
        for each in as_completed(names):
            found[names[each]] = each.result()
            progress.advance(task)
    return found


def _open(camera: Camera) -> Opened | Exception:
    """The first frame of a source; live ones give it in time, see `Connection`."""
    try:
        source = open_source(
            camera.source.get_secret_value(), rate=camera.rate, connection=Connection(transport=camera.transport)
        )
        with closing(source):
            frame = next(iter(source), None)
            source.stop()
    except (ActionstreamError, OSError) as error:
        return error
    if frame is None:
        return SourceError(f"{source.name} has no frame")
    height, width = frame.image.shape[:2]
    return Opened(width, height, source.rate)
