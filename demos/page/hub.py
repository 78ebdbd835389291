"""One engine for the streams of all visitors; each batch takes the streams that have a frame now."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from actionstream.choices import RuntimeName
from actionstream.engine.engine import Engine, Snapshot
from actionstream.engine.labelling import EventSettings
from actionstream.engine.scored_stream import Prepared
from actionstream.frame import Frame
from actionstream.live.watch import Watch
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.locate import Model
from actionstream.results import Counts, Event, Prediction, Skipped
from actionstream.runtimes.runtime import Runtime
from actionstream.sinks.sink import Sink
from actionstream.sources import Source
from actionstream.sources.connection import Connection

CONNECTION = Connection(retries=3)
"""Few retries, since a visitor waits for the address."""


@dataclass(frozen=True)
class Settings:
    """The settings of a stream that a visitor may change: see `Engine`."""

    threshold: float = 0.6
    smoothing_seconds: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ActionstreamError(f"the threshold is {self.threshold}; it is a number from 0 to 1")
        if not 0 <= self.smoothing_seconds <= 10:
            raise ActionstreamError(f"the smoothing time is {self.smoothing_seconds} s; it is a number from 0 to 10")


class SharedEngine(Engine):
    """A thread-safe engine with settings for each stream.

    Preparing frames takes no lock: reader threads prepare while another thread scores.
    """

    def __init__(self, model: Model | Runtime, *, runtime: RuntimeName = "auto", device: str = "auto"):
        super().__init__(model, runtime=runtime, device=device)
        self._lock = threading.RLock()
        self._settings: dict[str, Settings] = {}

    def set(self, stream: str, settings: Settings) -> None:
        """Set the settings of a stream; the stream may be opened later."""
        with self._lock:
            self._settings[stream] = settings
            if stream in self._streams:
                self._apply(stream)

    def open(self, name: str | None = None, *, events: EventSettings | None = None) -> str:
        with self._lock:
            name = super().open(name, events=events)
            self._apply(name)
            return name

    def score(self, pairs: Sequence[tuple[Frame, Prepared]]) -> list[Prediction | Skipped]:
        with self._lock:
            return super().score(pairs)

    def flush(self, stream: str, time_seconds: float | None = None) -> list[Event]:
        with self._lock:
            return super().flush(stream, time_seconds)

    def reset(self, stream: str) -> None:
        with self._lock:
            super().reset(stream)

    def snapshot(self, stream: str) -> Snapshot:
        with self._lock:
            return super().snapshot(stream)

    def restore(self, stream: str, snapshot: Snapshot) -> None:
        with self._lock:
            super().restore(stream, snapshot)

    def close(self, stream: str) -> None:
        with self._lock:
            super().close(stream)

    def forget(self, stream: str) -> None:
        """Remove the settings of a stream that ends."""
        with self._lock:
            self._settings.pop(stream, None)

    def _apply(self, stream: str) -> None:
        if settings := self._settings.get(stream):
            self.adjust(stream, threshold=settings.threshold, smoothing_seconds=settings.smoothing_seconds)


class Hub:
    """An engine and its one thread, which gives it frames and gives predictions to the sinks."""

    def __init__(self, engine: SharedEngine):
        self.engine = engine
        self.failure: str | None = None
        self._watch = Watch(engine, connection=CONNECTION, keep_open=True)
        self._thread = threading.Thread(target=self._run, name="hub", daemon=True)
        self._thread.start()

    def add(self, name: str, source: Source, sink: Sink, settings: Settings, *, realtime: bool) -> None:
        """Label the frames of a source; predictions go to the sink."""
        self.engine.set(name, settings)
        self._watch.add(source, name=name, sinks=lambda _: [sink], realtime=realtime)

    def remove(self, name: str) -> None:
        """End a stream, unless it has ended; its slot is freed soon after."""
        with suppress(ValueError):
            self._watch.remove(name)
        self.engine.forget(name)

    def counts(self, name: str) -> Counts:
        return self._watch.counts(name)

    @property
    def streams(self) -> list[str]:
        """The streams that are watched or have a slot."""
        return list({*self._watch.streams, *self.engine.streams})

    def close(self, seconds: float = 5.0) -> None:
        """End all streams; wait at most `seconds` for it."""
        self._watch.stop()
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            for _ in self._watch:  # the sinks have the updates already
                pass
        except Exception as error:  # noqa: BLE001  all visitors see any error
            self.failure = f"the engine has failed: {' '.join(str(error).split()) or type(error).__name__}"
