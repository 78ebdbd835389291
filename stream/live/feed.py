"""A feed: a thread that reads a source and prepares its frames, and the queue of these frames."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from time import perf_counter
from typing import Literal, NamedTuple, get_args

from actionstream.choices import Policy
from actionstream.frame import Frame
from actionstream.live.parts import PreparedParts
from actionstream.live.reconnect import Reconnect
from actionstream.models.video.limits import QUEUE_BYTES
from actionstream.packets import Packet
from actionstream.results import Notice
from actionstream.sampler import Pace, Shortfall
from actionstream.sources.connection import Connection
from actionstream.sources.source import Source, SourceError

POLICIES = get_args(Policy)
READ_AHEAD = 4  # frames in the queue, with the policy "every"; fewer where they have more than QUEUE_BYTES
STOP_SECONDS = 2.0


class Pair(NamedTuple):
    """A frame, and its parts, prepared."""

    frame: Frame
    prepared: PreparedParts


class Feed:
    """Reads a source until it ends, and reconnects where it is live.

    policy            "newest": the source never waits; a new sampled frame replaces the one in the queue, one that
                      is not sampled does not. "every": the source waits and loses no frame. "auto": newest where the
                      source is live
    realtime          play a source that is not live at its own speed
    max_frames        stop after this many frames
    interval_seconds  between two frames of the model: a source that is much slower gets a warning
    time_now          the time of the first frame, where a stream goes on that an earlier process began; default: 0
    packets           called with the encoded pictures of each frame, also of those that are dropped, in the thread that
                      reads; their times are those of the stream
    images            whether the image of each frame is there to stay, see `Source.with_images`
    ready             called when the feed has a frame or a notice, or has ended; with the lock of `changed`
    changed           a condition that is notified when the queue changes; its lock guards the shared state

    received      frames of the source so far, including lost ones
    dropped       frames that are dropped, by reason
    error         the error that ended the feed, if one did
    last_seconds  the time of the last frame; when a file has ended, the end of that frame

    Times and indices go on after a reconnect: the gap is as long as the time that has passed. All frames are prepared
    in order; the snippet and reset of a dropped frame go into the next sampled one.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        changed: threading.Condition,
        *,
        policy: Policy = "auto",
        connection: Connection,
        realtime: bool = False,
        max_frames: int | None = None,
        interval_seconds: float = math.inf,
        time_now: Callable[[], float] | None = None,
        packets: Callable[[Sequence[Packet]], object] | None = None,
        images: bool = True,
        ready: Callable[[], object] = lambda: None,
    ):
        self.name = name
        self.source = source
        self.dropped: Counter[str] = Counter()
        self.error: Exception | None = None
        self.last_seconds = 0.0
        self._taken_in = 0
        self._warned = 0  # warnings of the source that have a notice
        self._connected = False
        self._first: tuple[float, float] | None = None  # `available` and time of the first frame
        self._shift_seconds = 0.0
        self._after_gap = False  # of the next frame
        self._waiting: deque[Pair | Notice] = deque()
        self._dropped: PreparedParts | None = None  # the last dropped sampled frame, until the next sampled one
        self._changed = changed
        self._policy = policy
        self._connection = connection
        self._realtime = realtime
        self._time_now = time_now
        self._max_frames = math.inf if max_frames is None else max_frames
        self._pace = Pace(source.name, interval_seconds)
        self._shortfall = Shortfall(source.name)
        self._sampled = 0
        self._prepare: Callable[[Frame], PreparedParts]
        self._packets = packets
        self._ready = ready
        source.with_packets = packets is not None
        source.with_images = images
        self._stopped = threading.Event()
        self._finishing = False
        self._preparing = threading.Lock()
        self._stopped_at: float | None = None
        self._done = False
        self._thread = threading.Thread(target=self._run, name=f"feed of {name}", daemon=True)

    def start(self, prepare: Callable[[Frame], PreparedParts]) -> None:
        """Start to read and prepare frames, if the feed is not started or stopped."""
        if not (self.started or self._stopped.is_set()):
            self._prepare = prepare
            self._thread.start()

    @property
    def started(self) -> bool:
        return self._thread.ident is not None

    @property
    def ended(self) -> bool:
        """Whether no more frames come: the source has ended, or does not return within STOP_SECONDS after a stop."""
        if self._stopped_at is None:
            return self._done
        return self._done or self._thread.ident is None or perf_counter() > self._stopped_at + STOP_SECONDS

    def has_waiting(self) -> bool:
        """Whether the queue has a frame or a notice."""
        return bool(self._waiting)

    @property
    def newest(self) -> bool:
        """Whether a new sampled frame replaces the one in the queue."""
        return self.source.live if self._policy == "auto" else self._policy == "newest"

    @property
    def received(self) -> int:
        return self.counts()[0]

    def counts(self) -> tuple[int, Counter[str]]:
        """Frames of the source so far, and dropped ones by reason; both include frames that the source lost."""
        with self._changed:
            lost = self.source.lost.copy()  # one copy: the source may add to it
            return self._taken_in + lost.total(), self.dropped + lost

    def peek(self) -> Pair | None:
        """The next frame, without taking it; None while a notice is before it."""
        with self._changed:
            first = self._waiting[0] if self._waiting else None
        return first if isinstance(first, Pair) else None

    def take(self) -> Pair | None:
        """Take the next frame; where the source waits, its latency counts as if it were prepared just now."""
        with self._changed:
            pair = self.peek()
            if pair is None:
                return None
            self._waiting.popleft()
            self._changed.notify_all()
        if self.newest or self._realtime:
            return pair
        return pair._replace(frame=replace(pair.frame, available=perf_counter() - pair.prepared.seconds))

    def drop(self, pair: Pair, reason: str) -> None:
        """Drop a frame, if it is still next in the queue."""
        with self._changed:
            if self.peek() is pair:
                self._waiting.popleft()
                self._count_dropped(pair, reason)
                self._changed.notify_all()

    def notices(self) -> list[Notice]:
        """Take the notices that are before the next frame."""
        with self._changed:
            notices: list[Notice] = []
            while self._waiting and isinstance(notice := self._waiting[0], Notice):
                notices.append(notice)
                self._waiting.popleft()
        return notices

    def stop(self) -> None:
        """Stop reading, and drop all frames in the queue; any thread may call this."""
        with self._changed:
            self._finishing = False
            self._drop_waiting("ended")
        self._stop_reading()

    def finish(self) -> None:
        """Stop reading, and let all frames that are sampled be taken; any thread may call this."""
        is_free = self._preparing.acquire(timeout=STOP_SECONDS)  # the picture goes away with the reader
        self._finishing = not self._stopped.is_set()
        self._stop_reading()
        if is_free:
            self._preparing.release()

    def _stop_reading(self) -> None:
        with self._changed:
            self._stopped.set()
            self._stopped_at = self._stopped_at or perf_counter()
            self._say_ready()
        try:
            self.source.stop()
        except Exception as error:  # noqa: BLE001  the feed ends in any case
            self.error = self.error or error

    def join(self) -> None:
        """Wait for the thread of a feed that has ended."""
        if self._done:
            self._thread.join()

    def _drop_waiting(self, reason: str) -> None:
        for each in self._waiting:
            if isinstance(each, Pair):
                self._count_dropped(each, reason)
        self._waiting = deque(each for each in self._waiting if isinstance(each, Notice))

    def _count_dropped(self, pair: Pair, reason: str) -> None:
        if pair.prepared.sampled:
            self.dropped[reason] += 1
            self._dropped = pair.prepared
        else:
            self.dropped[pair.prepared.not_sampled] += 1  # this is no loss

    def _run(self) -> None:
        try:
            with closing(self.source):
                self._read_until_it_ends()
        except Exception as error:  # noqa: BLE001  any error ends this stream, and its watch reports it
            self.error = error
        finally:
            self._warn(self._pace.flush())
            with self._changed:
                self._done = True
                self._say_ready()

    def _read_until_it_ends(self) -> None:
        reconnect = Reconnect(self._connection)
        while True:
            before, error = self._taken_in, None
            try:
                with closing(self._played()) as frames:
                    for frame in frames:
                        self._put(frame)
                        if self._stopped.is_set() or self._taken_in >= self._max_frames:
                            return
            except SourceError as failure:
                error = failure
            if self._stopped.is_set():
                return
            if not self.source.live:
                if error is not None:
                    raise error
                self.last_seconds = self.source.ends_at(self.last_seconds)
                return
            error = error or SourceError(f"{self.name} has ended")
            had_frames = self._taken_in > before
            seconds = reconnect.wait_after(error, had_frames=had_frames, patient=self.source.patient)
            self._note("disconnect" if self._connected else "retry", f"{error}; trying again in {seconds:.1f} s")
            if self._stopped.wait(seconds):
                return

    def _played(self) -> Generator[Frame]:
        """The frames of one connection; with `realtime`, a file plays at its own speed."""
        begin: float | None = None
        for frame in self.source:
            if self._realtime and not self.source.live:
                begin = perf_counter() - frame.time_seconds if begin is None else begin
                self._stopped.wait(begin + frame.time_seconds - perf_counter())
                frame = replace(frame, available=perf_counter())
            yield frame

    def _put(self, frame: Frame) -> None:
        if not self._connected:
            self._connect(frame)
        if self._packets is not None and frame.packets:
            shift = self._shift_seconds
            self._packets([each._replace(time_seconds=each.time_seconds + shift) for each in frame.packets])
        frame = replace(
            frame,
            stream=self.name,
            index=self._taken_in,
            time_seconds=frame.time_seconds + self._shift_seconds,
            after_gap=frame.after_gap or self._after_gap,
            packets=(),
        )
        self._after_gap = False
        self._warn(self._pace.push(frame.time_seconds))
        if self.newest:
            self._warn(self._shortfall.push(frame.time_seconds, self._sampled, self.dropped["newer"]))
        with self._preparing:
            if self._finishing:
                return  # it belongs to who goes on
            try:
                prepared = None if self._is_stopped else self._prepare(frame)
            except Exception:
                with self._changed:
                    self._taken_in += 1
                    self.dropped["failed"] += 1
                raise
        with self._changed:
            while not self.newest and self._is_full(frame) and not self._stopped.is_set():
                self._changed.wait()
            self._taken_in += 1
            self._sampled += prepared is not None and prepared.sampled
            if prepared is None or self._is_stopped:
                self.dropped["ended"] += 1
                return
            self.last_seconds = frame.time_seconds
            if self.newest:
                waits = any(isinstance(each, Pair) and each.prepared.sampled for each in self._waiting)
                if waits and not prepared.sampled:
                    self.dropped[prepared.not_sampled] += 1
                    return
                self._drop_waiting("newer")
            if prepared.sampled and self._dropped is not None:
                prepared, self._dropped = prepared.after(self._dropped), None
            self._waiting.append(Pair(frame, prepared))
            self._say_ready()

    @property
    def _is_stopped(self) -> bool:
        """Whether no frame is wanted any more."""
        return self._stopped.is_set() and not self._finishing

    def _is_full(self, frame: Frame) -> bool:
        """Whether a frame has to wait before it goes into the queue; never where the queue has no frame."""
        pictures = [each.frame.num_bytes for each in self._waiting if isinstance(each, Pair)]
        if len(self._waiting) >= READ_AHEAD:
            return True
        return bool(pictures) and sum(pictures) + frame.num_bytes > QUEUE_BYTES

    def _connect(self, frame: Frame) -> None:
        """Shift the times of a connection at its first frame, so that they go on from the times of the stream."""
        returned = self._first is not None
        if self._first is None:
            begin = frame.time_seconds if self._time_now is None else self._time_now()
            self._first = frame.available, begin
            self._shift_seconds = begin - frame.time_seconds
        else:
            self._after_gap = True
            passed = self._first[1] + frame.available - self._first[0]
            # stream time can be ahead of the wall clock, where a source sent frames faster than real time
            self._shift_seconds = max(passed, self.last_seconds + 1 / self.source.rate) - frame.time_seconds
        self.last_seconds = frame.time_seconds + self._shift_seconds
        if self.source.live:
            self._note("reconnect" if returned else "connect")
        self._connected = True

    def _warn(self, what: str | None) -> None:
        """Add a warning about the source; there is a notice of each that the source has."""
        if what is not None:
            self.source.warnings.append(what)
        while self._warned < len(self.source.warnings):
            self._warned += 1
            self._note("warning", self.source.warnings[self._warned - 1])

    def _note(
        self, event: Literal["connect", "reconnect", "disconnect", "retry", "warning"], reason: str | None = None
    ) -> None:
        notice = Notice(stream=self.name, event=event, time_seconds=self.last_seconds, reason=reason)
        with self._changed:
            if event != "warning":
                self._connected = event in ("connect", "reconnect")
            self._waiting.append(notice)
            self._say_ready()

    def _say_ready(self) -> None:
        self._ready()
        self._changed.notify_all()
