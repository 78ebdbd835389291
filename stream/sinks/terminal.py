"""Results for a person at a terminal."""

from __future__ import annotations

import sys
import threading
from collections import deque
from time import perf_counter
from typing import IO, TYPE_CHECKING, Protocol, cast

import numpy as np
from rich.markup import escape

from actionstream.results import NOT_DUE, WARMING_UP, Counts, Prediction, Segment, Update
from actionstream.sinks.sink import SinkClosed
from actionstream.sinks.spooled import SpooledText

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from actionstream.results import TimelineNews, VideoLabels

STATES = {
    "connect": "live",
    "reconnect": "live",
    "disconnect": "disconnected",
    "retry": "disconnected",
    "close": "ended",
}
RECENT = 100  # number of latencies in the median
RATE_SECONDS = 5.0  # period in which frames/s are counted


class Watched(Protocol):
    """The part of a `Watch` that the terminal uses."""

    @property
    def streams(self) -> list[str]: ...

    def counts(self, name: str) -> Counts: ...


class _StreamStatus:
    """The status of a stream on the screen."""

    def __init__(self) -> None:
        self.prediction: Prediction | None = None
        self.latencies: deque[float] = deque(maxlen=RECENT)
        self.arrivals: deque[float] = deque()
        self.counts = Counts()
        self.begin: float | None = None
        self.timeline: TimelineNews | None = None
        self.state = "connecting"

    def push(self, update: Update) -> None:
        if update.frame is not None:
            self.state = "live"
            self.begin = self.begin or perf_counter()
            self.arrivals.append(perf_counter())
            self._prune()
        if update.prediction is not None:
            self.prediction = update.prediction
        if update.prediction is not None and update.frame is not None:
            self.latencies.append(update.prediction.latency_ms)
        self.timeline = update.timeline or self.timeline
        if update.notice is not None:
            self.state = STATES.get(update.notice.event, self.state)

    def rate(self) -> float:
        """Frames a second in the last RATE_SECONDS."""
        self._prune()
        return len(self.arrivals) / (perf_counter() - self.arrivals[0]) if len(self.arrivals) > 1 else 0.0

    def _prune(self) -> None:
        while self.arrivals and self.arrivals[0] < perf_counter() - RATE_SECONDS:
            self.arrivals.popleft()

    def latency(self) -> str:
        """The median; "-" before the first prediction."""
        return f"{np.median(self.latencies):.1f} ms" if self.latencies else "-"


class Terminal:
    """Prints each event at its end; on a real terminal a live table below shows the current labels.

    The table has the best labels of a single stream, or a row for each of several streams. Where a timeline is kept,
    segments are printed instead of events. With `events_only` there are neither the table nor a summary of each stream.
    """

    def __init__(self, watch: Watched, file: SpooledText, *, top: int, events_only: bool = False):
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=cast(IO[str], file), highlight=False)
        self._watch = watch
        self._top = top
        self._events_only = events_only
        self._rows: dict[str, _StreamStatus] = {}
        self._starts: dict[tuple[str, str], float] = {}
        self._several = False
        self._lock = threading.Lock()  # rich draws in a thread of its own
        self._live = Live(
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=12,
            transient=True,
            redirect_stderr=sys.stderr.isatty(),
        )
        if self._console.is_terminal and not events_only:
            self._live.start()

    def push(self, update: Update) -> None:
        """Print what is new; SinkClosed where the reader of a pipe has ended."""
        try:
            self._push(update)
        except SystemExit:  # rich raises it for a broken pipe
            raise SinkClosed from None

    def _push(self, update: Update) -> None:
        self._several |= len(self._watch.streams) > 1
        with self._lock:
            row = self._rows.setdefault(update.stream, _StreamStatus())
            row.push(update)
        if row.timeline is None:
            self._tell_events(update)
        else:
            self._tell_segments(update)
        notice = update.notice
        if notice is not None and notice.counts is not None and notice.counts.received and not self._events_only:
            if row.timeline is not None and row.timeline.video is not None:
                self._console.print(self._who(update.stream) + self._video(row.timeline.video))
            self._console.print(self._summary(update.stream, row, notice.counts))
        if notice is not None and notice.event == "close":
            with self._lock:
                del self._rows[update.stream]

    def close(self) -> None:
        self._live.stop()

    def _draw(self) -> RenderableType:
        with self._lock:
            rows = {stream: self._rows.setdefault(stream, _StreamStatus()) for stream in self._watch.streams}
            for stream, row in rows.items():
                row.counts = self._watch.counts(stream)
            if len(rows) == 1 and not self._several:
                return self._one(*rows.popitem())
            return self._all(rows) if rows else ""

    def _tell_events(self, update: Update) -> None:
        for event in update.events:
            key = event.stream, event.label
            if event.event == "start":
                self._starts[key] = event.time_seconds
                continue
            began = self._starts.pop(key, event.time_seconds)
            who = f"  {escape(event.stream)}" if self._several else ""
            self._console.print(f"{began:8.2f} s  {event.time_seconds:8.2f} s  [bold]{escape(event.label)}[/]{who}")

    def _tell_segments(self, update: Update) -> None:
        for segment in update.timeline.news if update.timeline else ():
            if isinstance(segment, Segment):
                who = f"  {escape(update.stream)}" if self._several else ""
                self._console.print(
                    f"{segment.start_seconds:8.2f} s  {segment.end_seconds:8.2f} s  {segment.score:4.2f}  "
                    f"[bold]{escape(segment.label)}[/]{who}"
                )

    def _who(self, stream: str) -> str:
        return f"{escape(stream)}: " if self._several else ""

    def _video(self, video: VideoLabels) -> str:
        """The answer of M-TWI, in a line."""
        what = "whole video" if video.horizon_seconds is None else f"last {video.horizon_seconds:.0f} s"
        best = video.labels[: min(self._top, len(video.labels), 5)]
        return f"{what}: " + "  ".join(f"{escape(each.label)} {each.score:.2f}" for each in best)

    def _summary(self, stream: str, row: _StreamStatus, counts: Counts) -> str:
        who = self._who(stream)
        speed = counts.received / max(perf_counter() - (row.begin or 0), 1e-9)
        return (
            f"{who}{counts.received} frames, {counts.labelled} labelled, {speed:.0f} frames/s, "
            f"latency {row.latency()}, {_dropped(counts)}"
        )

    def _one(self, stream: str, row: _StreamStatus) -> RenderableType:
        from rich.console import Group
        from rich.table import Table

        prediction = row.prediction
        now = f"  {prediction.time_seconds:.2f} s" if prediction else ""
        table = Table(title=f"{escape(stream)}{now}", title_justify="left")
        table.add_column("label", min_width=16)
        table.add_column("score", justify="right")
        table.add_column("", min_width=24)
        if prediction is not None and prediction.warming_up:
            table.add_row(f"[dim]{WARMING_UP}[/]", "", "")
        elif prediction is not None:
            for place, index in enumerate(np.argsort(-prediction.smoothed, kind="stable")[: self._top]):
                score = float(prediction.smoothed[index])
                name = prediction.names[index]
                style = "dim" if name == prediction.background else "bold green" if place == 0 else ""
                table.add_row(escape(name), f"{score:.2f}", "█" * round(24 * score), style=style)
        figures = [row.state, f"{row.rate():.0f} frames/s", f"latency {row.latency()}", _dropped(row.counts)]
        table.caption = "   ".join(figures)
        if row.timeline is None:
            return table
        video = [] if row.timeline.video is None else [self._video(row.timeline.video)]
        return Group(table, f"now: {_going_on(row.timeline)}", *video)

    def _all(self, rows: dict[str, _StreamStatus]) -> Table:
        from rich.table import Table

        table = Table()
        for column in ("stream", "label"):
            table.add_column(column)
        for column in ("score", "time", "frames/s", "latency"):
            table.add_column(column, justify="right")
        table.add_column("frames")
        if any(row.timeline is not None for row in rows.values()):
            table.add_column("now")
        for stream, row in rows.items():
            now = row.prediction
            live = now is not None and row.state == "live"
            label = now.label if now and live else None
            state = WARMING_UP if now and live else row.state
            table.add_row(
                escape(stream),
                escape(label) if label else f"[dim]{state}[/]",
                f"{now.score:.2f}" if now and label else "",
                f"{now.time_seconds:.1f} s" if now else "",
                f"{row.rate():.0f}",
                row.latency(),
                _dropped(row.counts),
                *([] if row.timeline is None else [_going_on(row.timeline)]),
            )
        return table


def _going_on(timeline: TimelineNews) -> str:
    """The segments that are open, in a line."""
    since = [f"{escape(each.label)} since {each.start_seconds:.1f} s" for each in timeline.open_segments]
    return ", ".join(since) or "nothing"


def _dropped(counts: Counts) -> str:
    """How many frames were lost, and why."""
    reasons = ", ".join(f"{n} {why}" for why, n in counts.dropped.items() if n and why not in NOT_DUE)
    return f"{counts.lost} dropped" + (f" ({reasons})" if reasons else "")
