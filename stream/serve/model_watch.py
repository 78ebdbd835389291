"""The watch of a model: one engine, all cameras that it labels, and the thread in which that happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import perf_counter
from typing import Any

from actionstream.engine.engine import Engine
from actionstream.live.watch import Watch
from actionstream.live.watched_stream import Resume
from actionstream.models.common.errors import ActionstreamError, in_a_line
from actionstream.results import Counts, Notice, Update
from actionstream.serve.recorder import RecordedCamera, Recorder
from actionstream.sources import Source

SAVE_SECONDS = 3.0


class CameraSink:
    """Passes the updates of a camera to the recorder, and says when it is away."""

    def __init__(self, camera: RecordedCamera, recorder: Recorder, *, say: Callable[[str], None]):
        self.is_closed = False
        self._camera = camera
        self._recorder = recorder
        self._say = say
        self._away = False

    def push(self, update: Update) -> None:
        self._recorder.push(self._camera, update)
        notice = update.notice
        if notice is None:
            return
        if notice.event in ("connect", "reconnect"):
            if self._away:
                self._say(f"{self._camera.name} is back")
            self._away = False
        elif notice.event == "close":
            self.is_closed = True
        elif notice.event == "warning":
            self._say(f"{self._camera.name}: {notice.reason}")
        elif not self._away:  # of a month without a camera, the first try is enough
            self._away = True
            self._say(f"{self._camera.name}: {notice.reason}")

    def close(self) -> None:
        pass


class ModelWatch:
    """Labels all cameras of one model in one thread, until `stop`.

    failure  why the thread has ended, where it should not have
    left     what each stream would leave if it ended now; renewed every few seconds, for a restart of the service
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        self.failure: str | None = None
        self.left: dict[str, Resume] = {}
        self._turned = perf_counter()
        self._watch = Watch(engine, keep_open=True, idle=self._turn)
        self._sinks: dict[str, CameraSink] = {}
        self._thread = threading.Thread(target=self._run, name=f"watch of {engine.card.network}", daemon=True)
        self._thread.start()

    def add(self, name: str, source: Source, sink: CameraSink, **options: Any) -> None:
        """Begin to watch a camera; `options` are those of `Watch.add`."""
        # first here: the thread may end at any time, and then closes all sinks that are here
        self._sinks = {other: each for other, each in self._sinks.items() if not each.is_closed} | {name: sink}
        try:
            self._watch.add(source, name=name, sinks=lambda _: [sink], **options)
        except Exception:
            sink.is_closed = True
            raise

    def remove(self, name: str) -> None:
        """Stop to watch a camera; its sink is closed soon, or was a moment ago where its source has ended by itself."""
        with suppress(ActionstreamError):
            self._watch.remove(name)

    def hand_over(self, camera: RecordedCamera) -> None:
        """Stop to watch a camera that goes on elsewhere; its sink is closed as by `remove`."""
        with suppress(ActionstreamError):
            self._watch.hand_over(camera.name, camera.go_on)

    def reader_cpu_seconds(self, name: str) -> float:
        """CPU seconds of the processes that read a camera; 0 where it is not watched."""
        return self._watch.reader_cpu_seconds(name)

    @property
    def is_unused(self) -> bool:
        """Whether it has no cameras now."""
        return not self._watch.streams

    @property
    def quiet_seconds(self) -> float:
        """For how long the thread has not turned; a living one turns every few seconds."""
        return perf_counter() - self._turned

    def counts(self, name: str) -> Counts:
        """Counts of a camera's frames since it was added; all 0 where it is not watched."""
        return self._watch.counts(name)

    def stop(self) -> None:
        """End all streams, and wait for that; it takes about two seconds at most."""
        self._watch.stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            for _ in self._watch:  # each camera's sink gets its updates
                self._turn()
        except Exception as error:  # noqa: BLE001  the service begins anew
            self.failure = in_a_line(error)
            self._watch.stop()
        finally:
            for name, sink in self._sinks.items():
                if not sink.is_closed:
                    notice = Notice(stream=name, event="close", time_seconds=0.0, reason=self.failure)
                    sink.push(Update(stream=name, notice=notice))

    def _turn(self) -> None:
        """Called all the time, also without frames."""
        now = perf_counter()
        if now - self._turned < SAVE_SECONDS:
            return
        self._turned = now
        self.left = self._leave()

    def _leave(self) -> dict[str, Resume]:
        left: Mapping[str, Resume | None] = {name: self._watch.left(name) for name in self._watch.streams}
        return {name: resume for name, resume in left.items() if resume is not None}
