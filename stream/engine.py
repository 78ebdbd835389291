"""The engine: frames of many streams in, a prediction for each that was sampled out."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter

import numpy as np

from stream.frame import Frame
from stream.prediction import Event, Prediction, Skipped
from stream.runtimes import Runtime, StateArrays, open_runtime
from stream.sampler import Sampler
from stream.scoring import EventDetector, Smoother
from stream.scoring.events import Threshold


@dataclass
class _Stream:
    """What the engine keeps of a stream beside its state in the runtime."""

    sampler: Sampler
    smoother: Smoother
    detector: EventDetector
    next_index: int = 0
    frames_since_reset: int = 0
    last_seconds: float = 0.0
    flushed: bool = False
    ended: list[Event] = field(default_factory=list)  # to be told with the next prediction


@dataclass(frozen=True)
class Snapshot:
    """A stream as it was at one moment, to go back to or to fork from."""

    _stream: _Stream
    _state: StateArrays


class Engine:
    """Labels streams of frames, each with a state of its own.

        engine = Engine()
        stream = engine.open()
        for time_seconds, image in frames:
            prediction = engine.push(stream, image, time_seconds)    # None for frames between two samples

    model                 a packaged checkpoint, the path of one, or a runtime
    device                "auto", "cpu", "cuda" or "mps"
    threshold             a label starts when its smoothed score reaches this: a number from 0 to 1, or a
                          mapping from labels to numbers with "*" for the others
    end_threshold         and ends below this; half of `threshold` unless given
    smoothing_seconds     how far back the smoothing reaches
    min_duration_seconds  a label is an event when it stays for this long
    gap_seconds           a pause in a stream after which its state is of no use (default: `Sampler`)

    Not for several threads at once: it does what it is asked, in the caller's thread.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Runtime = "motion",
        *,
        device: str = "auto",
        threshold: Threshold = 0.6,
        end_threshold: Threshold | None = None,
        smoothing_seconds: float = 0.3,
        min_duration_seconds: float = 0.2,
        gap_seconds: float | None = None,
    ):
        self._runtime = open_runtime(model, device=device) if isinstance(model, str | os.PathLike) else model
        self.card = self._runtime.card
        self._streams: dict[str, _Stream] = {}
        self._slots: dict[str, int] = {}
        self._fresh = _Stream(
            Sampler(self.card.interval_seconds, gap_seconds),
            Smoother(smoothing_seconds),
            EventDetector(
                "",
                self.card.labels,
                start=threshold,
                end=end_threshold,
                min_duration_seconds=min_duration_seconds,
            ),
        )

    @property
    def streams(self) -> list[str]:
        """The streams that are open."""
        return list(self._streams)

    def open(self, name: str | None = None) -> str:
        """Begin a stream; returns its name."""
        if name is None:
            name = next(n for n in map("stream {}".format, count()) if n not in self._streams)
        if name in self._streams:
            raise ValueError(f"a stream {name!r} is open already; close it first, or take another name")
        self._slots[name] = self._runtime.allocate()
        self._install(name, self._fresh)
        return name

    def push(self, stream: str, image: np.ndarray, time_seconds: float) -> Prediction | None:
        """The next frame of a stream: an RGB image, uint8 (height, width, 3), and its time on the source's clock.

        Returns the prediction; None when the sampler did not want the frame, and when the scores were not
        finite, which resets the stream.
        """
        index = self._get(stream).next_index
        frame = Frame(stream=stream, index=index, time_seconds=time_seconds, image=image)
        result = self.push_frames([frame])[0]
        return result if isinstance(result, Prediction) else None

    def push_frames(self, frames: Sequence[Frame]) -> list[Prediction | Skipped]:
        """Frames of different streams, whoever has one now, in one batch; a result for each."""
        if len({frame.stream for frame in frames}) < len(frames):
            raise ValueError("a batch has one frame of a stream; push the next one in the next batch")
        for frame in frames:
            if self._get(frame.stream).flushed:
                raise ValueError(f"stream {frame.stream!r} was flushed; reset() it before pushing more frames")
        resets: list[str | None] = []
        sampled: list[int] = []
        for position, frame in enumerate(frames):
            stream = self._streams[frame.stream]
            stream.next_index = frame.index + 1
            decision = stream.sampler.push(frame.time_seconds, frame.image.shape[:2], after_gap=frame.after_gap)
            resets.append(decision.reset)
            if decision.reset:
                self._start_anew(frame.stream)
            stream.last_seconds = frame.time_seconds
            if decision.sampled:
                sampled.append(position)
        results: list[Prediction | Skipped] = [Skipped(reason="between samples")] * len(frames)
        if not sampled:
            return results

        snippets = np.stack([self.card.preprocessing.resize(frames[position].image)[None] for position in sampled])
        slots = np.array([self._slots[frames[position].stream] for position in sampled])
        scores = self._runtime.step(snippets, slots)[:, -1]
        with np.errstate(invalid="ignore"):
            probabilities = self.card.probabilities(scores)
        for position, finite, row in zip(sampled, np.isfinite(scores).all(1), probabilities, strict=True):
            frame = frames[position]
            if finite:
                results[position] = self._score(frame, row, resets[position])
            else:  # its state may be as bad
                results[position] = Skipped(reason="scores not finite")
                self._streams[frame.stream].sampler.reset("scores not finite")
        return results

    def flush(self, stream: str) -> list[Event]:
        """The source has ended: end the events that are still open. The stream takes no more until `reset`."""
        entry = self._get(stream)
        entry.flushed = True
        ended, entry.ended = entry.ended, []
        return ended + entry.detector.flush(entry.last_seconds)

    def reset(self, stream: str) -> None:
        """Forget what a stream has seen: its next frame is a start."""
        entry = self._get(stream)
        entry.sampler.reset()
        entry.flushed = False

    def snapshot(self, stream: str) -> Snapshot:
        """The stream as it is now."""
        return Snapshot(copy.deepcopy(self._get(stream)), self._runtime.read(self._slots[stream]))

    def restore(self, stream: str, snapshot: Snapshot) -> None:
        """Make a stream what it, or another of this engine's model, was at a snapshot."""
        self._get(stream)
        self._runtime.write(self._slots[stream], snapshot._state)
        self._install(stream, snapshot._stream)

    def fork(self, stream: str, name: str | None = None) -> str:
        """Open a second stream that goes on from where `stream` is; returns its name."""
        snapshot = self.snapshot(stream)
        twin = self.open(name)
        self.restore(twin, snapshot)
        return twin

    def close(self, stream: str) -> None:
        """End a stream and give its slot back."""
        self._get(stream)
        del self._streams[stream]
        self._runtime.free(self._slots.pop(stream))

    def _install(self, name: str, entry: _Stream) -> None:
        entry = copy.deepcopy(entry)
        entry.detector.stream = name
        self._streams[name] = entry

    def _get(self, stream: str) -> _Stream:
        if stream not in self._streams:
            known = ", ".join(map(repr, self._streams)) or "none"
            raise ValueError(f"no stream {stream!r} is open (open: {known}); open() it first")
        return self._streams[stream]

    def _start_anew(self, name: str) -> None:
        """Empty the state of a stream; the events that were open end with its last frame."""
        stream = self._streams[name]
        stream.ended += stream.detector.flush(stream.last_seconds)
        stream.smoother.reset()
        stream.frames_since_reset = 0
        self._runtime.reset(self._slots[name])

    def _score(self, frame: Frame, probabilities: np.ndarray, reset: str | None) -> Prediction:
        stream = self._streams[frame.stream]
        events, stream.ended = stream.ended, []
        stream.frames_since_reset += 1
        smoothed = probabilities
        if stream.frames_since_reset > self.card.context:
            smoothed = stream.smoother.push(probabilities, frame.time_seconds)
            events = events + stream.detector.push(smoothed, frame.time_seconds)
        return Prediction(
            stream=frame.stream,
            frame=frame.index,
            time_seconds=frame.time_seconds,
            latency_ms=(perf_counter() - frame.available) * 1000,
            frames_since_reset=stream.frames_since_reset,
            reset=reset,
            names=self.card.labels,
            probabilities=probabilities,
            smoothed=smoothed,
            events=tuple(events),
        )
