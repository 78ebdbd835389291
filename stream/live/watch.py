"""Watching sources: their frames through one engine, in batches of whoever has a frame now."""

from __future__ import annotations

import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

from actionstream.choices import Policy
from actionstream.engine.engine import Engine
from actionstream.live.batching import Batcher, Candidate
from actionstream.live.feed import POLICIES, Feed, Pair
from actionstream.models.common.errors import ActionstreamError
from actionstream.results import Counts, Event, Notice, Prediction, Skipped, Update
from actionstream.sinks.sink import Sink
from actionstream.sources import Source, SourceError, open_source
from actionstream.sources.connection import Connection
from actionstream.sources.source import reason

IDLE_SECONDS = 0.2


class WatchedStream:
    """A stream of a watch: its feed, its sinks, and what became of the frames that it gave."""

    def __init__(self, feed: Feed, sinks: Sequence[Sink]):
        self.feed = feed
        self.sinks = list(sinks)
        self.opened = False
        self.labelled = 0
        self.skipped: Counter[str] = Counter()
        self.failure: str | None = None

    def fail(self, error: Exception) -> None:
        """End because of an error, of which the first one counts."""
        told = isinstance(error, SourceError)
        self.failure = self.failure or (str(error) if told else f"{self.feed.name}: {reason(error)}")
        self.feed.stop()

    def counts(self) -> Counts:
        """Under the lock that guards what changes."""
        received, dropped = self.feed.counts()
        dropped += self.skipped
        waiting = received - self.labelled - dropped.total()
        return Counts(received=received, labelled=self.labelled, waiting=waiting, dropped=dropped)


class Watch:
    """Sources and the engine that labels them.

        watch = Watch(Engine())
        watch.add("rtsp://camera/stream", name="door")
        for update in watch:
            ...

    Iterating gives an `Update` for each frame of each source that is not dropped, for news of a connection, and a last
    one, with the notice "close", for each stream. It ends when all streams have, or with `keep_open` when `stop` is
    called. Each source is read, and its frames are prepared, in a thread of its own; `add`, `remove`, `stop` and the
    questions may be called from any thread; all else happens where it is iterated. Nothing is read before that.

    A source or a sink that fails, and a frame that cannot be prepared, ends its own stream, whose "close" gives the
    reason; the others go on.

    policy, connection, realtime, max_frames  see `Feed`
    idle                                      called now and then while nothing comes
    """

    def __init__(
        self,
        engine: Engine,
        *,
        policy: Policy = "auto",
        connection: Connection | None = None,
        realtime: bool = False,
        max_frames: int | None = None,
        keep_open: bool = False,
        idle: Callable[[], None] | None = None,
    ):
        if policy not in POLICIES:
            raise ActionstreamError(f"no policy {policy!r}; there are {', '.join(POLICIES)}")
        self.engine = engine
        self._connection = connection or Connection()
        self._feeding: dict[str, Any] = {"policy": policy, "realtime": realtime, "max_frames": max_frames}
        self._keep_open = keep_open
        self._batcher: Batcher[WatchedStream] = Batcher(engine.card.interval_seconds)
        self._changed = threading.Condition(threading.RLock())
        self._streams: dict[str, WatchedStream] = {}
        self._pending: deque[tuple[WatchedStream, Update]] = deque()
        self._idle = idle
        self._stopped = False

    def add(
        self,
        source: str | int | Path | Source,
        *,
        name: str | None = None,
        sinks: Callable[[str], Sequence[Sink]] | None = None,
        rate: float | None = None,
        realtime: bool | None = None,
    ) -> str:
        """Begin to watch a source; returns the name of its stream.

        source    what `open_source` takes, or a source
        name      of the stream; that of the source, made unique, unless given
        sinks     makes sinks from the name of the stream: they get each of its updates and are closed with it
        rate      frames a second of a folder of images
        realtime  of this source, where it is to be another than that of all

        Raises SourceError when it cannot be opened, and ValueError when the name is taken or all was stopped.
        """
        if not isinstance(source, Source):
            source = open_source(source, rate=rate, connection=self._connection)
        with self._changed:
            if self._stopped:
                raise ActionstreamError("this watch was stopped; make another one")
            if name in {*self._streams, *self.engine.streams}:
                raise ActionstreamError(f"a stream {name!r} is watched already; remove it first, or take another name")
            name = name or self._free_name(source.name)
            feeding = self._feeding if realtime is None else {**self._feeding, "realtime": realtime}
            feed = Feed(
                name,
                source,
                self._changed,
                connection=self._connection,
                interval_seconds=self.engine.card.frame_seconds,
                **feeding,
            )
            self._streams[name] = WatchedStream(feed, sinks(name) if sinks else ())
            self._changed.notify_all()
        return name

    def remove(self, name: str) -> None:
        """Stop watching a stream; its last update comes soon."""
        with self._changed:
            if name not in self._streams:
                known = ", ".join(map(repr, self._streams)) or "none"
                raise ActionstreamError(f"no stream {name!r} is watched (watched: {known})")
            feed = self._streams[name].feed
        feed.stop()

    @property
    def streams(self) -> list[str]:
        """The streams that are watched."""
        with self._changed:
            return list(self._streams)

    def counts(self, name: str) -> Counts:
        """What became of a stream's frames so far; none where it is not watched."""
        with self._changed:
            return self._streams[name].counts() if name in self._streams else Counts()

    def is_live(self, name: str) -> bool:
        """Whether the source of a stream that is watched comes at its own time; known once it has a frame."""
        with self._changed:
            return name in self._streams and self._streams[name].feed.source.live

    def __iter__(self) -> Generator[Update]:
        while True:
            while self._pending:
                stream, update = self._pending.popleft()
                self._tell(stream, update)
                yield update
            if not self._wait():
                return
            self._do_a_round()

    def stop(self) -> None:
        """From any thread: all streams end, and with their last updates the iteration."""
        with self._changed:
            self._stopped = True
            streams = list(self._streams.values())
            self._changed.notify_all()
        for stream in streams:
            stream.feed.stop()

    def close(self) -> None:
        """End what is still open, within two seconds."""
        self.stop()
        for _ in self:
            pass

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self) -> bool:
        """Until there is something to do; False when there is nothing more to come."""
        while True:
            self._start_feeds()
            with self._changed:
                streams = list(self._streams.values())
                if not streams and (self._stopped or not self._keep_open):
                    return False
                if any(stream.feed.has_waiting() or stream.feed.ended for stream in streams):
                    return True
                if not all(stream.feed.started for stream in streams):
                    continue  # one was added just now
                came = self._changed.wait(IDLE_SECONDS)  # not for ever, so that signals are seen
            if not came and self._idle is not None:
                self._idle()

    def _start_feeds(self) -> None:
        """Let those read that do not yet, unless they were stopped before."""
        with self._changed:
            streams = [each for each in self._streams.values() if not (each.feed.started or each.feed.ended)]
        for stream in streams:
            self.engine.open(stream.feed.name)
            stream.opened = True
            stream.feed.start(self.engine.prepare)

    def _do_a_round(self) -> None:
        """End who has ended, gather the notices, label a batch of the frames that wait: updates are pending then."""
        with self._changed:
            streams = dict(self._streams)
        for name, stream in streams.items():
            if stream.feed.ended and not stream.feed.has_waiting():
                self._end(name, stream)
                continue
            for notice in stream.feed.notices():
                self._pending.append((stream, Update(stream=name, notice=notice)))
        self._label(streams.values())

    def _label(self, streams: Iterable[WatchedStream]) -> None:
        """Those whose frames no network wants, and those who are served now."""
        waiting = {stream: pair for stream in streams if (pair := stream.feed.peek())}
        now = perf_counter()
        candidates = [
            Candidate(stream, now - pair.frame.available, stream.feed.newest)
            for stream, pair in waiting.items()
            if pair.prepared.due
        ]
        chosen, stale = self._batcher.choose(candidates)
        for stream in stale:
            stream.feed.drop(waiting[stream], "stale")
        idle = [stream for stream, pair in waiting.items() if not pair.prepared.due]
        taken = [(stream, pair) for stream in [*idle, *chosen] if (pair := stream.feed.take())]
        try:
            results = self._score(taken)
        except BaseException:  # a signal, too
            with self._changed:
                for stream, _ in taken:
                    stream.skipped["ended"] += 1
            raise
        for (stream, pair), result in zip(taken, results, strict=True):
            prediction = result if isinstance(result, Prediction) else None
            with self._changed:
                if isinstance(result, Skipped):
                    stream.skipped[result.reason] += 1
                else:
                    stream.labelled += 1
            if isinstance(result, Skipped) and result.error is not None:
                stream.fail(result.error)
            events = prediction.events if prediction else ()
            update = Update(stream=stream.feed.name, frame=pair.frame, prediction=prediction, events=events)
            self._pending.append((stream, update))

    def _score(self, taken: Sequence[tuple[WatchedStream, Pair]]) -> list[Prediction | Skipped]:
        """Through the engine; the batcher learns who was served and how long it took."""
        began = perf_counter()
        results = self.engine.score([pair for _, pair in taken])
        served = [stream for stream, pair in taken if pair.prepared.due]
        if served:
            self._batcher.served(served, perf_counter() - began)
        return results

    def _tell(self, stream: WatchedStream, update: Update) -> None:
        """Give an update to the sinks of its stream; one that fails ends the stream."""
        for sink in list(stream.sinks):
            try:
                sink.push(update)
            except Exception as error:  # noqa: BLE001  the others go on, whatever it is
                stream.sinks.remove(sink)
                stream.fail(error)
                with suppress(Exception):
                    sink.close()

    def _end(self, name: str, stream: WatchedStream) -> None:
        feed = stream.feed
        feed.stop()
        feed.join()
        events: list[Event] = []
        if stream.opened:
            try:
                events = self.engine.flush(name, feed.last_seconds)
            except Exception as error:  # noqa: BLE001  what ended it may be in the way again
                stream.fail(error)
            self.engine.close(name)
        with self._changed:
            del self._streams[name]
        self._batcher.forget(stream)
        if feed.error is not None:
            stream.fail(feed.error)
        self._tell(stream, self._last_update(stream, events))
        for sink in stream.sinks:
            try:
                sink.close()
            except Exception as error:  # noqa: BLE001  as above
                stream.fail(error)
        stream.sinks.clear()
        self._pending.append((stream, self._last_update(stream, events)))

    def _last_update(self, stream: WatchedStream, events: list[Event]) -> Update:
        feed = stream.feed
        with self._changed:
            counts = stream.counts()
        notice = Notice(
            stream=feed.name,
            event="close",
            time_seconds=feed.last_seconds,
            reason=stream.failure,
            counts=counts,
            warnings=tuple(feed.source.warnings),
        )
        return Update(stream=feed.name, events=tuple(events), notice=notice)

    def _free_name(self, wanted: str) -> str:
        taken = {*self._streams, *self.engine.streams}
        return next(name for n in count(1) if (name := wanted if n == 1 else f"{wanted} ({n})") not in taken)


def watch(
    *sources: str | int | Path | Source,
    model: str | os.PathLike[str] = "motion",
    policy: Policy = "auto",
    connection: Connection | None = None,
    realtime: bool = False,
    max_frames: int | None = None,
    rate: float | None = None,
    **options: Any,
) -> Iterator[Prediction]:
    """Predictions for the frames of sources, as they arrive.

    sources     video files, folders or globs of images, addresses such as "rtsp://camera/stream", camera numbers, or
                "-" for a video on standard input
    model       a packaged checkpoint, or the path of one
    policy      "newest": frames that nobody takes in time are dropped; "every": none is; "auto": newest where a
                source is live
    connection  timeouts of live sources, and how often they are tried again
    realtime    play files at their own speed
    max_frames  stop after this many frames of each source
    rate        frames a second of a folder of images; what its rate.txt says, else 30, unless given
    options     those of `Engine`: device, threshold, smoothing_seconds ...

    An event that is open when a source ends has no prediction to come with; it ends there.

    The first predictions of a stream, and those after a reset, mean nothing: the network has seen too little. Until its
    warm-up (the `context` of its card, in snippets) is over, their `label` is None, their `score` 0, and `warming_up`
    is true.

    Raises ValueError when a source, the model or an option is of no use, and SourceError, a ValueError, when a
    source ended before its time (after the predictions of all that there was).
    """
    session = Watch(
        Engine(model, **options),
        policy=policy,
        connection=connection,
        realtime=realtime,
        max_frames=max_frames,
    )
    if not sources:
        raise ActionstreamError("no source to watch; give a file, an address or a camera")
    for source in sources:
        session.add(source, rate=rate)

    def predictions() -> Iterator[Prediction]:
        failures: list[str] = []
        with session:
            for update in session:
                if update.prediction is not None:
                    yield update.prediction
                if update.notice is not None and update.notice.event == "close" and update.notice.reason:
                    failures.append(update.notice.reason)
        if failures:
            raise SourceError("; ".join(failures))

    return predictions()
