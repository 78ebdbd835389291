"""A watch: it passes the frames of several sources through one engine, in batches."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, count, zip_longest
from pathlib import Path
from time import perf_counter
from typing import Any

from actionstream.choices import Policy
from actionstream.engine.engine import Engine
from actionstream.engine.labelling import EventSettings
from actionstream.frame import Frame
from actionstream.live.batching import Batcher, Candidate
from actionstream.live.feed import POLICIES, Feed, Pair
from actionstream.live.gate import Gate
from actionstream.live.held_back import HeldBack
from actionstream.live.parts import Crop, Cut, PreparedParts, stream_of
from actionstream.live.watched_stream import Resume, WatchedStream
from actionstream.models.common.errors import ActionstreamError
from actionstream.packets import Packet
from actionstream.results import Counts, Event, Prediction, Skipped, Update
from actionstream.sinks.sink import Sink
from actionstream.sources import Source, open_source
from actionstream.sources.connection import Connection

IDLE_SECONDS = 0.2


class Watch:
    """Sources and the engine that labels them.

        watch = Watch(Engine())
        watch.add("rtsp://camera/stream", name="door")
        for update in watch:
            ...

    Iterating gives an `Update` for each frame that is not dropped, for each notice of a connection, and at last one
    with the notice "close" for each stream. It ends when all streams have ended; with `keep_open` it ends when `stop`
    is called. Each source has a thread that reads it and prepares its frames. Any thread may call `add`, `remove`,
    `hand_over`, `stop`, `streams`, `counts`, `reader_cpu_seconds` and `is_live`; all else happens in the thread that
    iterates. No source is read before the iteration.

    A source that is added with regions has a stream in the engine for each, "NAME/REGION", over one decode: an update
    for each, with the picture of the region. Notices, counts and sinks are those of the source.

    A source or a sink that fails, and a frame that cannot be prepared, end only their own stream; its "close" has the
    reason.

    policy, connection, realtime, max_frames  see `Feed`
    gate                                      whether frames are held back while a scene is still, see `Gate`:
                                              predictions of those that are scored later come without a frame
    idle                                      called about every IDLE_SECONDS while nothing comes
    """

    def __init__(
        self,
        engine: Engine,
        *,
        policy: Policy = "auto",
        connection: Connection | None = None,
        realtime: bool = False,
        max_frames: int | None = None,
        gate: bool = False,
        keep_open: bool = False,
        idle: Callable[[], None] | None = None,
    ):
        if policy not in POLICIES:
            raise ActionstreamError(f"no policy {policy!r}; there are {', '.join(POLICIES)}")
        self.engine = engine
        self._connection = connection or Connection()
        self._feeding: dict[str, Any] = {"policy": policy, "realtime": realtime, "max_frames": max_frames}
        self._gate = gate
        self._keep_open = keep_open
        self._batcher: Batcher[WatchedStream] = Batcher(engine.card.interval_seconds)
        self._changed = threading.Condition(threading.RLock())
        self._streams: dict[str, WatchedStream] = {}
        self._added: list[WatchedStream] = []  # whose feeds are not started yet
        self._ready: dict[str, None] = {}  # the streams with something new, so that a round looks at no other
        self._looked = perf_counter()  # at all streams
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
        regions: Mapping[str, Crop] | None = None,
        events: EventSettings | None = None,
        resume: Resume | None = None,
        packets: Callable[[Sequence[Packet]], object] | None = None,
        images: bool = True,
        gate: bool | None = None,
    ) -> str:
        """Begin to watch a source; returns the name of its stream.

        source    an argument of `open_source`, or a source
        name      name of the stream; default: the name of the source, made unique
        sinks     makes sinks from the name of the stream: they get each update of the stream and are closed with it
        rate      frames a second of a folder of images
        realtime  replaces the watch's `realtime` for this source
        regions   parts of the picture to watch instead of the whole, by name; each is a function that cuts it out
        events    how events are found, instead of the engine's settings
        resume    what an earlier watch of the source left, to go on with
        packets   called with the encoded pictures of the source, see `Feed`
        images    whether the image of each frame is there to stay; without them, a live source makes the input of the
                  network only, and `Update.frame.image` raises SourceError when it is asked for too late
        gate      replaces the watch's `gate` for this source

        Raises SourceError when the source cannot be opened, and ValueError when the name is taken or the watch was
        stopped.
        """
        if not isinstance(source, Source):
            source = open_source(source, rate=rate, connection=self._connection)
        with self._changed:
            if self._stopped:
                raise ActionstreamError("this watch was stopped; make another one")
            name = name or self._free_name(source.name)
            cuts = {stream_of(name, region): crop for region, crop in (regions or {}).items()}
            for taken in {name, *cuts} & {*self._streams, *self.engine.streams}:
                raise ActionstreamError(f"a stream {taken!r} is watched already; remove it first, or take another name")
            feeding = self._feeding if realtime is None else {**self._feeding, "realtime": realtime}
            feed = Feed(
                name,
                source,
                self._changed,
                connection=self._connection,
                interval_seconds=self.engine.card.frame_seconds,
                time_now=resume.time_now if resume else None,
                packets=packets,
                images=images,
                ready=partial(self._ready.__setitem__, name, None),
                **feeding,
            )
            self._streams[name] = stream = WatchedStream(
                feed,
                sinks(name) if sinks else (),
                regions=cuts,
                events=events,
                resume=resume,
                gate=self._hold_back if (self._gate if gate is None else gate) else None,
            )
            self._added.append(stream)
            self._changed.notify_all()
        return name

    def _hold_back(self) -> HeldBack:
        return HeldBack(Gate.of(self.engine.card))

    def remove(self, name: str) -> None:
        """Stop watching a stream; its last update comes soon."""
        self._stream(name).feed.stop()

    def hand_over(self, name: str, heir: Callable[[Resume | None], None]) -> None:
        """Stop watching a stream that goes on elsewhere: sampled frames are labelled first, and its events stay open.

        heir  gets what the stream leaves, in the thread that iterates, before the last update; not called where the
              stream fails
        """
        stream = self._stream(name)
        stream.heir = heir
        stream.feed.finish()

    def _stream(self, name: str) -> WatchedStream:
        with self._changed:
            if name not in self._streams:
                known = ", ".join(map(repr, self._streams)) or "none"
                raise ActionstreamError(f"no stream {name!r} is watched (watched: {known})")
            return self._streams[name]

    def left(self, name: str) -> Resume | None:
        """What a stream would leave if it ended now: before its first prediction, what it began with.

        For the thread that iterates.
        """
        with self._changed:
            stream = self._streams.get(name)
            if stream is None or not stream.labelled:
                return None if stream is None else stream.resume
            left_at, last_seconds = time.time(), stream.feed.last_seconds
        snapshots = {part: self.engine.snapshot(part) for part in stream.parts}
        return Resume(snapshots, last_seconds, left_at)

    @property
    def streams(self) -> list[str]:
        """The streams that are watched."""
        with self._changed:
            return list(self._streams)

    def counts(self, name: str) -> Counts:
        """Counts of a stream's frames so far; all 0 where it is not watched."""
        with self._changed:
            return self._streams[name].counts() if name in self._streams else Counts()

    def reader_cpu_seconds(self, name: str) -> float:
        """CPU seconds of the processes that read the source of a stream; 0 where it is not watched."""
        with self._changed:
            stream = self._streams.get(name)
        return 0.0 if stream is None else stream.feed.source.cpu_seconds

    def is_live(self, name: str) -> bool:
        """Whether the source of a watched stream is live; known after its first frame."""
        with self._changed:
            return name in self._streams and self._streams[name].feed.source.live

    def __iter__(self) -> Generator[Update]:
        while True:
            while self._pending:
                stream, update = self._pending.popleft()
                stream.tell(update)
                yield update
            if not self._wait():
                return
            self._do_a_round()

    def stop(self) -> None:
        """Stop all streams; the iteration ends after their last updates. Any thread may call this."""
        with self._changed:
            self._stopped = True
            streams = list(self._streams.values())
            self._changed.notify_all()
        for stream in streams:
            stream.feed.stop()

    def close(self) -> None:
        """Stop all streams and wait for their end, about two seconds at most."""
        self.stop()
        for _ in self:
            pass

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self) -> bool:
        """Wait until there is something to do; returns False when all streams have ended."""
        while True:
            self._start_feeds()
            with self._changed:
                if not self._streams and (self._stopped or not self._keep_open):
                    return False
                came = bool(self._ready or self._added) or self._changed.wait(IDLE_SECONDS)  # so that signals come
                if perf_counter() > self._looked + IDLE_SECONDS:  # at a feed that does not return after a stop
                    self._looked = perf_counter()
                    self._ready.update(dict.fromkeys(self._streams))
                ready = bool(self._ready) and not self._added
            if not came and self._idle is not None:
                self._idle()
            if ready:
                return True

    def _start_feeds(self) -> None:
        """Start the feeds that are new, unless they were stopped."""
        with self._changed:
            added = [each for each in self._added if not each.feed.ended]
            self._added.clear()
        for stream in added:
            for part in stream.parts:
                self.engine.open(part, events=stream.events)
                if stream.resume is not None and part in stream.resume.snapshots:
                    self.engine.restore(part, stream.resume.snapshots[part])
            stream.opened = True
            stream.feed.start(Cut(stream.regions, self.engine.prepare, gate=stream.gate))

    def _do_a_round(self) -> None:
        """Close streams that have ended, collect notices, label a batch; the updates go to `_pending`."""
        with self._changed:
            streams = {name: self._streams[name] for name in self._ready if name in self._streams}
            self._ready.clear()
            notices = [(name, notice) for name, stream in streams.items() for notice in stream.feed.notices()]
        for name, notice in notices:
            self._pending.append((streams[name], Update(stream=name, notice=notice)))
        for name, stream in list(streams.items()):
            if stream.feed.ended and not stream.feed.has_waiting():
                self._end(name, streams.pop(name))
        self._label(streams.values())
        with self._changed:  # these go on in the next round
            more = [name for name, each in streams.items() if each.feed.has_waiting() or each.feed.ended]
            self._ready.update(dict.fromkeys(more))

    def _label(self, streams: Iterable[WatchedStream]) -> None:
        """Label the chosen streams, and take the frames that need no network.

        The lock is taken for all streams at once: where the threads of many feeds wait for it, each release is a switch
        to another thread, and on a machine with other work these add up to seconds.
        """
        with self._changed:
            waiting = {stream: pair for stream in streams if (pair := stream.feed.peek())}
        now = perf_counter()
        candidates = [
            Candidate(stream, now - pair.frame.available, stream.feed.newest, len(stream.parts))
            for stream, pair in waiting.items()
            if pair.prepared.due
        ]
        chosen, stale = self._batcher.choose(candidates)
        idle = [stream for stream, pair in waiting.items() if not pair.prepared.due]
        with self._changed:
            for stream in stale:
                stream.feed.drop(waiting[stream], "stale")
            taken = [(stream, pair) for stream in [*idle, *chosen] if (pair := stream.feed.take())]
        try:
            results = self._score(taken)
        except BaseException:  # including a signal
            with self._changed:
                for stream, _ in taken:
                    stream.skipped["ended"] += 1
            raise
        with self._changed:
            for (stream, _), scored in zip(taken, results, strict=True):
                stream.count([result for _, result in scored])
        for (stream, _), scored in zip(taken, results, strict=True):
            for frame, result in scored:
                self._pending.append((stream, _update(result, frame.stream, frame)))
                if isinstance(result, Skipped) and result.error is not None:  # of one part: it ends the stream
                    stream.fail(result.error)

    def _score(self, taken: Sequence[tuple[WatchedStream, Pair]]) -> list[list[tuple[Frame, Prediction | Skipped]]]:
        """Score all parts of a batch in the engine, and report the streams and the duration to the batcher."""
        for stream, pair in taken:
            if any(part.earlier for part in pair.prepared.parts):
                self._score_earlier(stream, pair.prepared)
        began = perf_counter()
        frames = [[part.of(pair.frame) for part in pair.prepared.parts] for _, pair in taken]
        prepared = [part.prepared for _, pair in taken for part in pair.prepared.parts]
        results = iter(self.engine.score(list(zip(chain(*frames), prepared, strict=True))))
        served = [stream for stream, pair in taken if pair.prepared.due]
        if served:
            rows = sum(len(stream.parts) for stream in served)
            self._batcher.served(served, perf_counter() - began, rows=rows)
        return [[(frame, next(results)) for frame in parts] for parts in frames]

    def _score_earlier(self, stream: WatchedStream, prepared: PreparedParts) -> None:
        """Score the frames that were held back, and are due now: all parts at once, one frame of each after the other.

        The other streams wait for it: a second of frames at most, or the memory of the model.
        """
        for together in zip_longest(*(part.earlier for part in prepared.parts)):
            pairs = [pair for pair in together if pair is not None]
            for (frame, _), result in zip(pairs, self.engine.score(pairs), strict=True):
                self._pending.append((stream, _update(result, frame.stream, None)))
                if isinstance(result, Skipped) and result.error is not None:
                    stream.fail(result.error)

    def _end(self, name: str, stream: WatchedStream) -> None:
        feed = stream.feed
        feed.stop()
        feed.join()
        events: list[Event] = []
        goes_on = stream.heir is not None and stream.failure is None and feed.error is None
        if goes_on and stream.heir is not None:
            stream.heir(self.left(name))
        if stream.opened:
            for part in stream.parts:
                try:
                    events += () if goes_on else self.engine.flush(part, feed.last_seconds)
                except Exception as error:  # noqa: BLE001  the error that ended the stream may come again
                    stream.fail(error)
                self.engine.close(part)
        with self._changed:
            del self._streams[name]
        self._batcher.forget(stream)
        if feed.error is not None:
            stream.fail(feed.error)
        with self._changed:
            notice = stream.last_notice()
        stream.tell(Update(stream=name, events=tuple(events), notice=notice))
        stream.close_sinks()
        notice = replace(notice, reason=stream.failure)
        self._pending.append((stream, Update(stream=name, events=tuple(events), notice=notice)))

    def _free_name(self, wanted: str) -> str:
        taken = {*self._streams, *self.engine.streams}
        return next(name for n in count(1) if (name := wanted if n == 1 else f"{wanted} ({n})") not in taken)


def _update(result: Prediction | Skipped, stream: str, frame: Frame | None) -> Update:
    prediction = result if isinstance(result, Prediction) else None
    return Update(stream=stream, frame=frame, prediction=prediction, events=prediction.events if prediction else ())
