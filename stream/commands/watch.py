"""The command `watch`: labels sources and passes the results to sinks."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any

from actionstream.commands import signals
from actionstream.engine.engine import Engine
from actionstream.live.timeline import Timelines
from actionstream.live.watch import Watch
from actionstream.live.watch_list import WatchList
from actionstream.models.common.errors import ActionstreamError
from actionstream.results import Notice, Update
from actionstream.sinks import DesktopWindow, JsonLines, Overlay, Sink, SinkClosed, Terminal, VideoFile
from actionstream.sources.address import masked
from actionstream.sources.source import reason


def watch_sources(
    sources: Sequence[str],
    *,
    engine: Callable[[], Engine],
    watch_list: Path | None,
    rate: float | None,
    as_json: bool,
    save: Path | None,
    show: bool,
    timeline: bool,
    top: int,
    say: Callable[[str], None],
    **watching: Any,
) -> int:
    """Watch until the sources end or a signal comes; returns the exit code."""
    several = len(sources) > 1 or watch_list is not None
    if save is not None and several:
        _make_folder(save)

    written: set[Path] = set()

    def video_file(source: str, stream: str) -> list[Sink]:
        if save is None:
            return []
        path = save
        if several:
            name = re.sub(r"[^\w.-]+", "_", stream)
            ends = chain([".mp4"], (f" ({n}).mp4" for n in count(2)))
            path = next(path for end in ends if (path := save / (name + end)) not in written)
            written.add(path)
        if path.exists() and Path(source).exists() and path.samefile(source):
            raise ActionstreamError(f"{path} is the source itself; write the labelled video to another file")
        return [_Saved(VideoFile(path, overlay()), lambda error: report.fail(stream, error))]

    opened = engine()
    threshold, end_threshold = opened.thresholds
    overlay = partial(Overlay, top=top, threshold=threshold)
    with ExitStack() as stack:
        sinks: list[Sink] = []
        idle = None
        if show:
            title = "actionstream" if several else masked(sources[0])
            window = stack.enter_context(closing(DesktopWindow(title, overlay)))
            idle = window.draw
            sinks.append(window)
        watching |= {"keep_open": watch_list is not None, "idle": idle}
        watch = stack.enter_context(Watch(opened, **watching))
        sinks.append(JsonLines(sys.stdout, top=top) if as_json else Terminal(watch, top=top))
        timelines = None
        if timeline:
            timelines = Timelines(
                watch.engine.card, threshold=threshold, end_threshold=end_threshold, is_live=watch.is_live
            )
        stack.callback(sinks[-1].close)
        report = _Report(sinks, say, timelines)

        def add(source: str, name: str | None = None) -> str:
            return watch.add(source, name=name, rate=rate, sinks=partial(video_file, source))

        for source in sources:
            add(source)
        if watch_list is not None:
            followed = WatchList(watch_list, add=add, remove=watch.remove, say=say)
            stack.callback(followed.stop)
            followed.start()
        try:
            for update in watch:
                report.push(update)
        except SinkClosed:
            pass
        finally:
            signals.arrived()
            watch.stop()
            for update in watch:
                with suppress(SinkClosed):
                    report.push(update)
        return report.exit_code()


class _Saved:
    """The video file of a stream; an error, such as a full disk, is reported once, and labelling goes on without it."""

    def __init__(self, file: VideoFile, fail: Callable[[Exception], None]):
        self._file = file
        self._fail = fail
        self._failed = False

    def push(self, update: Update) -> None:
        self._try(partial(self._file.push, update))

    def close(self) -> None:
        self._try(self._file.close)

    def _try(self, write: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            write()
        except Exception as error:  # noqa: BLE001  the labels go on without the file
            self._failed = True
            self._file.discard()
            self._fail(error)


class _Report:
    """Passes each update to the shared sinks, reports errors, and computes the exit code."""

    def __init__(self, sinks: list[Sink], say: Callable[[str], None], timelines: Timelines | None):
        self._sinks = sinks
        self._say = say
        self._timelines = timelines
        self._num_labelled = 0
        self._failed = False
        self._warnings: dict[str, list[str]] = {}  # by stream; printed already

    def push(self, update: Update) -> None:
        """Pass an update to the sinks; SinkClosed when a sink has closed, which then gets no more updates."""
        if self._timelines is not None:
            update = self._timelines.push(update)
        closed: SinkClosed | None = None
        for sink in list(self._sinks):
            try:
                sink.push(update)
            except SinkClosed as error:
                self._sinks.remove(sink)
                closed = error
            except Exception as error:  # noqa: BLE001  the streams go on without it
                self._sinks.remove(sink)
                self.fail(f"{type(sink).__name__} failed", error)
                closed = closed or (None if self._sinks else SinkClosed())
        if update.notice is not None:
            self._tell(update.notice)
        if closed is not None:
            raise closed

    def fail(self, what: str, error: Exception) -> None:
        """Report an error in something that the labels do not need."""
        self._say(f"{what}: {reason(error)}")
        self._failed = True

    def _tell(self, notice: Notice) -> None:
        if notice.event == "warning":
            self._warnings.setdefault(notice.stream, []).append(str(notice.reason))
        if notice.event == "close":
            said = self._warnings.pop(notice.stream, [])
            for warning in notice.warnings:
                if warning not in said:
                    self._say(warning)
        if notice.event == "reconnect":
            self._say(f"{notice.stream} is back")
        elif notice.reason:
            self._say(notice.reason)
        if notice.counts is not None:
            self._num_labelled += notice.counts.labelled
            self._failed |= notice.reason is not None

    def exit_code(self) -> int:
        if not self._failed:
            return 0
        return 1 if self._num_labelled else 2


def _make_folder(path: Path) -> None:
    if path.suffix and not path.is_dir():
        raise ActionstreamError(f"--save is the file {path}; expected a folder, as there are several streams")
    path.mkdir(parents=True, exist_ok=True)
