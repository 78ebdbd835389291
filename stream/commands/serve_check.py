"""`serve --check`: opens each source once, says what it gives, and looks at the broker and the files that are used."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn

from actionstream.commands.tables import open_console, print_table
from actionstream.models.common.errors import ActionstreamError
from actionstream.serve.broker import Broker, BrokerConnection, ConnectionFailed
from actionstream.serve.model_labels import labels_of
from actionstream.serve.reading import read_settings
from actionstream.serve.settings import Camera, Mqtt, Settings
from actionstream.sources import SourceError, open_source
from actionstream.sources.address import masked
from actionstream.sources.connection import Connection
from actionstream.sources.source import reason

ANSWER_SECONDS = 10
"""The longest wait for the broker."""
MOST_AT_ONCE = 8
"""Sources that are opened at the same time; each live one starts a process."""
HEAD = ("camera", "source", "size", "frames/s", "model", "labels", "regions")


@dataclass(frozen=True)
class Opened:
    """The first frame of a source: width and height, and the rate that the source declares."""

    width: int
    height: int
    rate: float


def check(path: Path, *, state_folder: Path | None, say: Callable[[str], None]) -> int:
    """Open the source of each camera, and print a table of them; returns the exit code, 2 where one cannot be opened.

    Raises SettingsError for a file with mistakes.
    """
    settings = read_settings(path)
    cameras = settings.cameras
    unusable = list(_unusable(settings, state_folder or settings.server.state_folder))
    for problem in unusable:
        say(problem)
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
        num_labels = len(camera.labels_told(labels))
        regions = ", ".join(camera.regions) or "whole picture"
        rows.append([name, masked(camera.source.get_secret_value()), *gives, camera.model, str(num_labels), regions])
    print_table(open_console(), HEAD, rows)
    return 2 if unusable or not all(isinstance(each, Opened) for each in found.values()) else 0


def _unusable(settings: Settings, state_folder: Path) -> Iterator[str]:
    """What of the broker, the files and folders cannot be used, as they are now; nothing is made."""
    if settings.mqtt is not None:
        yield from _no_broker(settings.mqtt)
    yield from _no_folder("the state folder", state_folder)
    if settings.clips is not None:
        yield from _no_folder("clips.folder", settings.clips.folder)
    if settings.json_file is not None:
        file = settings.json_file.path
        is_writable = os.path.isfile(file) and os.access(file, os.W_OK)
        if not os.path.isdir(file.parent) or (os.path.exists(file) and not is_writable):
            yield f"json.path is {file}, which cannot be written; expected an ordinary file in a folder that is there"


def _no_broker(mqtt: Mqtt) -> Iterator[str]:
    """Connect once, as a client that the broker does not know."""
    broker = Broker(
        host=mqtt.host,
        port=mqtt.port,
        user=mqtt.user,
        password=None if mqtt.password is None else mqtt.password.get_secret_value(),
        tls=mqtt.tls,
        ca_file=mqtt.ca_file,
        client_id=f"actionstream-check-{uuid4().hex[:8]}",
        keepalive_seconds=ANSWER_SECONDS,
    )
    try:
        context = ssl.create_default_context(cafile=mqtt.ca_file) if mqtt.tls else None
    except OSError as error:
        yield f"mqtt.ca_file is {mqtt.ca_file}, which cannot be used: {error.strerror}"
        return
    try:
        BrokerConnection(broker, context, will=None, on_message=lambda _: None, on_lost=lambda: None).close()
    except ConnectionFailed as error:
        yield str(error)


def _no_folder(key: str, folder: Path) -> Iterator[str]:
    there = next(each for each in (folder, *folder.absolute().parents) if os.path.exists(each))
    if not (there.is_dir() and os.access(there, os.W_OK)):
        yield f"{key} is {folder}, which cannot be written; expected a folder, or the name of a new one"


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
    height, width = frame.size
    return Opened(width, height, source.rate)
