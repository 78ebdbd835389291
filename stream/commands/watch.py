"""The command `watch`: labels sources and passes the results to sinks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, redirect_stderr, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TextIO, cast

from actionstream.commands import signals
from actionstream.commands.saving import Saving
from actionstream.engine.engine import Engine
from actionstream.live.timeline import Timelines
from actionstream.live.watch import Watch
from actionstream.live.watch_list import WatchList
from actionstream.results import Notice, Update
from actionstream.sinks import (
    DesktopWindow,
    JsonLines,
    Overlay,
    RotatingText,
    Sink,
    SinkClosed,
    SpooledText,
    Terminal,
)
from actionstream.sources.address import masked
from actionstream.sources.source import reason


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where the results go.

    as_json      print JSON lines on standard output, in place of what a person reads
    json_files   files that get JSON lines, too
    rotation     `max_bytes`, `max_seconds` and `keep` of these files, see `RotatingText`
    events_only  no predictions, and no table on a terminal
    save         an MP4 file for the labelled video; of several sources, a folder
    show         show the labelled video in a window
    timeline     segments in place of events
    top          number of labels that are shown or printed
    """

    as_json: bool = False
    json_files: Sequence[Path] = ()
    rotation: Mapping[str, Any] = field(default_factory=dict)
    events_only: bool = False
    save: Path | None = None
    show: bool = False
    timeline: bool = False
    top: int = 5


def watch_sources(
    sources: Sequence[str],
    *,
    engine: Callable[[], Engine],
    watch_list: Path | None,
    rate: float | None,
    output: Output,
    say: Callable[[str], None],
    **watching: Any,
) -> int:
    """Watch until the sources end or a signal comes; returns the exit code.

    Nobody who reads the output slows down the labels: threads write to standard output, standard error and the files.
    """
    several = len(sources) > 1 or watch_list is not None
    saving = Saving(output.save, several=several) if output.save is not None else None
    files = [RotatingText(path, say=say, **output.rotation) for path in output.json_files]
    opened = engine()
    overlay = partial(Overlay, top=output.top, threshold=opened.thresholds[0])
    lines = partial(JsonLines, top=output.top, events_only=output.events_only)
    report = _Report(say)
    with ExitStack() as texts:
        errors = texts.enter_context(SpooledText(sys.stderr, name="standard error", say=lambda _: None))
        texts.enter_context(redirect_stderr(cast(TextIO, errors)))
        printed = texts.enter_context(SpooledText(sys.stdout, name="standard output", say=say))
        written = {
            file: texts.enter_context(SpooledText(file, name=str(file.path), say=say, write=file.write_bytes))
            for file in files
        }
        with ExitStack() as stack:
            idle = None
            if output.show:
                title = "actionstream" if several else masked(sources[0])
                window = stack.enter_context(closing(DesktopWindow(title, overlay)))
                idle = window.draw
                report.sinks.append(window)
            if saving is not None:
                stack.callback(saving.join)
            watching |= {"keep_open": watch_list is not None, "idle": idle}
            watch = stack.enter_context(Watch(opened, **watching))
            report.sinks += map(lines, written.values())
            if output.as_json:
                report.sinks.append(lines(printed))
            else:
                terminal = Terminal(watch, printed, top=output.top, events_only=output.events_only)
                report.sinks.append(stack.enter_context(closing(terminal)))
            if output.timeline:
                report.timelines = Timelines(opened.card, events=opened.events, is_live=watch.is_live)

            def saved(stream: str) -> list[Sink]:
                if saving is None:
                    return []

                def drops() -> bool:
                    return watch.is_live(stream) if watching["policy"] == "auto" else watching["policy"] == "newest"

                return [saving.add(stream, overlay(), drops=drops, fail=partial(report.fail, stream), say=say)]

            def add(source: str, name: str | None = None) -> str:
                drawn = output.show or saving is not None
                return watch.add(source, name=name, rate=rate, sinks=saved, images=drawn)

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
        report.finish("standard output", printed)
        for file, text in written.items():
            report.finish(str(file.path), text)
            file.close()
            report.failed = report.failed or file.num_lost > 0
    return report.exit_code()


class _Report:
    """Passes each update to the shared sinks, reports errors, and computes the exit code."""

    def __init__(self, say: Callable[[str], None]):
        self.sinks: list[Sink] = []
        self.timelines: Timelines | None = None
        self.failed = False
        self._say = say
        self._num_labelled = 0
        self._warnings: dict[str, list[str]] = {}  # by stream; printed already

    def push(self, update: Update) -> None:
        """Pass an update to the sinks; SinkClosed when a sink has closed, which then gets no more updates."""
        if self.timelines is not None:
            update = self.timelines.push(update)
        closed: SinkClosed | None = None
        for sink in list(self.sinks):
            try:
                sink.push(update)
            except SinkClosed as error:
                self.sinks.remove(sink)
                closed = error
            except Exception as error:  # noqa: BLE001  the streams go on without it
                self.sinks.remove(sink)
                self.fail(f"{type(sink).__name__} failed", error)
                closed = closed or (None if self.sinks else SinkClosed())
        if update.notice is not None:
            self._tell(update.notice)
        if closed is not None:
            raise closed

    def fail(self, what: str, error: Exception) -> None:
        """Report an error in something that the labels do not need; any thread may call this."""
        self._say(f"{what}: {reason(error)}")
        self.failed = True

    def finish(self, name: str, text: SpooledText) -> None:
        """Wait until all of a text is written."""
        try:
            text.close()
        except BrokenPipeError:  # its reader has ended, as `head` does
            pass
        except OSError as error:
            self.fail(name, error)

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
            self.failed = self.failed or notice.reason is not None

    def exit_code(self) -> int:
        if not self.failed:
            return 0
        return 1 if self._num_labelled else 2
