"""The command `serve`: a service from a file, which it follows."""

from __future__ import annotations

import queue
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import NoReturn, TextIO, cast

from actionstream.commands import signals
from actionstream.live.followed_file import FollowedFile
from actionstream.serve.reading import parse_settings
from actionstream.serve.service import Service
from actionstream.serve.settings import Settings
from actionstream.sinks.spooled import SpooledText

TICK_SECONDS = 0.5
LONGEST_STOP_SECONDS = 15.0
"""From a signal to the end of the process, whatever hangs then."""


def follow(
    path: Path, put: Callable[[Settings], None], *, state_folder: Path | None, say: Callable[[str], None]
) -> FollowedFile:
    """Follow a file of settings: `put` gets them now, and after each change. SettingsError where the file is wrong."""

    def changed(text: str) -> None:
        settings = parse_settings(text, path)
        if state_folder is not None:
            server = settings.server.model_copy(update={"state_folder": state_folder})
            settings = settings.model_copy(update={"server": server})
        put(settings)

    followed = FollowedFile(path, changed, say)
    followed.start()
    return followed


def serve(path: Path, *, state_folder: Path | None, say: Callable[[str], None]) -> NoReturn:
    """Serve until a signal comes. SettingsError where the file is wrong: then nothing is started."""
    changes: queue.SimpleQueue[Settings | signals.Stopped] = queue.SimpleQueue()
    followed = follow(path, changes.put, state_folder=state_folder, say=say)
    settings = cast(Settings, changes.get())
    with (
        signals.told(changes.put, LONGEST_STOP_SECONDS),
        # a reader of the messages that stalls must not stop anything
        SpooledText(sys.stderr, name="standard error", say=lambda _: None) as errors,
        redirect_stderr(cast(TextIO, errors)),
        Service(settings, say=say) as service,
    ):
        page = settings.server.http
        say(f"cameras are watched: {', '.join(settings.cameras)}" + (f"; their page: http://{page}/" if page else ""))
        try:
            while True:
                service.tick()
                try:
                    change = changes.get(timeout=TICK_SECONDS)
                except queue.Empty:
                    continue
                if isinstance(change, signals.Stopped):
                    raise change
                service.apply(change)
                say(f"{path} has changed, and counts")
        finally:
            followed.stop()
