"""The engine: frames of many streams in, a prediction for each that was sampled out."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from time import perf_counter
from typing import Any, cast

import numpy as np

from actionstream.engine.fusion import Fusion, open_scorer
from actionstream.engine.scorer import NetworkScorer, Row, Scorer
from actionstream.frame import NOT_YET, Frame
from actionstream.models.errors import ActionstreamError
from actionstream.models.locate import Located, Model
from actionstream.results import Event, Prediction, Skipped
from actionstream.runtimes.runtime import Runtime, RuntimeName
from actionstream.scoring import EventDetector, Smoother
from actionstream.scoring.events import Threshold


@dataclass
class _Stream:
    """What the engine keeps of a stream beside what its scorer does."""

    smoother: Smoother
    detector: EventDetector
    next_index: int = 0
    frames_since_reset: int = 0
    last_seconds: float = 0.0
    flushed: bool = False
    reset: str | None = None  # to be told with the next prediction, as what follows
    ended: list[Event] = field(default_factory=list)


@dataclass(frozen=True)
class Snapshot:
    """A stream as it was at one moment, to go back to or to fork from."""

    _stream: _Stream
    _scorer: Any


class Engine:
    """Labels streams of frames, each with a state of its own.

        engine = Engine()
        stream = engine.open()
        for time_seconds, image in frames:
            prediction = engine.push(stream, image, time_seconds)    # None for frames between two samples

    model                 what `open_scorer` takes, a runtime, or a scorer
    runtime, device       see `open_runtime`
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
        model: Model | Runtime | Scorer = "motion",
        *,
        runtime: RuntimeName = "auto",
        device: str = "auto",
        threshold: Threshold = 0.6,
        end_threshold: Threshold | None = None,
        smoothing_seconds: float = 0.3,
        min_duration_seconds: float = 0.2,
        gap_seconds: float | None = None,
    ):
        self._scorer: Scorer
        if isinstance(model, str | os.PathLike | Located):
            self._scorer = open_scorer(model, runtime=runtime, device=device, gap_seconds=gap_seconds)
        elif isinstance(model, NetworkScorer | Fusion):
            if gap_seconds is not None:
                raise ActionstreamError("gap_seconds is for the networks of a scorer; give it to each of them")
            self._scorer = model
        else:
            self._scorer = NetworkScorer(cast(Runtime, model), gap_seconds=gap_seconds)
        self.card = self._scorer.card
        self._streams: dict[str, _Stream] = {}
        self._fresh = _Stream(
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
            raise ActionstreamError(f"a stream {name!r} is open already; close it first, or take another name")
        self._scorer.open(name)
        self._install(name, self._fresh)
        return name

    def push(self, stream: str, image: np.ndarray, time_seconds: float) -> Prediction | None:
        """The next frame of a stream: an RGB image, uint8 (height, width, 3), and its time on the source's clock.

        Returns the prediction; None when the sampler did not want the frame, and when the scores were not
        finite, which resets the stream. So does an error, which is raised.
        """
        index = self._get(stream).next_index
        frame = Frame(stream=stream, index=index, time_seconds=time_seconds, image=image)
        result = self.push_frames([frame])[0]
        if isinstance(result, Skipped) and result.error is not None:
            raise result.error
        return result if isinstance(result, Prediction) else None

    def sample(self, frame: Frame) -> Frame:
        """What `push_frames` does first with the next frame of a stream, ahead of time.

        Another thread may do it, one for each stream, while a batch is pushed. A snapshot is of the network's state as
        it is, but of the sampler as it is ahead.
        """
        return replace(frame, sampled=self._scorer.sample(frame))

    def push_frames(self, frames: Sequence[Frame]) -> list[Prediction | Skipped]:
        """Frames of different streams, whoever has one now, in one batch; a result for each.

        Where the frame of a stream cannot be prepared, its result has the error, and the others have their predictions.
        """
        if len({frame.stream for frame in frames}) < len(frames):
            raise ActionstreamError("a batch has one frame of a stream; push the next one in the next batch")
        for frame in frames:
            if self._get(frame.stream).flushed:
                raise ActionstreamError(f"stream {frame.stream!r} was flushed; reset() it before pushing more frames")
        began = perf_counter()
        sampled = [self._sampled(frame) for frame in frames]
        ready = perf_counter()
        rows = iter(self._scorer.score([each for each in sampled if not (each is None or isinstance(each, Skipped))]))
        done = perf_counter()
        results: list[Prediction | Skipped] = []
        for frame, wanted in zip(frames, sampled, strict=True):
            self._streams[frame.stream].next_index = frame.index + 1
            if isinstance(wanted, Skipped):
                results.append(wanted)
                continue
            split = {
                "waiting": (began - frame.available) * 1000,
                "preprocess": (ready - began) * 1000,
                "model": (done - ready) * 1000,
            }
            row = None if wanted is None else next(rows)
            try:
                results.append(self._result(frame, row, split))
            except Exception as error:  # noqa: BLE001  as in `_sampled`
                results.append(self._failed(frame, error))
        return results

    def _sampled(self, frame: Frame) -> Any:
        """The frame as the scorer takes it; its result where that fails, so that other streams go on."""
        if frame.sampled is not NOT_YET:
            return frame.sampled
        try:
            return self.sample(frame).sampled
        except Exception as error:  # noqa: BLE001  whatever it is
            return self._failed(frame, error)

    def _failed(self, frame: Frame, error: Exception) -> Skipped:
        self._scorer.reset(frame.stream)
        return Skipped(reason="failed", error=error)

    def _result(self, frame: Frame, row: Row | None, split_ms: dict[str, float]) -> Prediction | Skipped:
        """What becomes of a frame with its row; None where it was not sampled."""
        stream = self._streams[frame.stream]
        if row is not None and row.reset:
            self._start_anew(stream, row.reset)
        stream.last_seconds = frame.time_seconds
        if row is None or row.scores is None:
            return Skipped(reason="between samples" if row is None else "inside a stack")
        if np.isfinite(row.scores).all():
            return self._score(frame, row.scores, split_ms)
        self._scorer.empty(frame.stream)  # its state may be as bad
        self._start_anew(stream, "scores not finite")
        return Skipped(reason="scores not finite")

    def flush(self, stream: str, time_seconds: float | None = None) -> list[Event]:
        """The source has ended: end the events that are still open. The stream takes no more until `reset`.

        time_seconds  when its last frame ceased to be shown; the time of that frame, unless given
        """
        entry = self._get(stream)
        entry.flushed = True
        ended, entry.ended = entry.ended, []
        return ended + entry.detector.flush(entry.last_seconds if time_seconds is None else time_seconds)

    def reset(self, stream: str) -> None:
        """Forget what a stream has seen: its next frame is a start."""
        self._get(stream).flushed = False
        self._scorer.reset(stream)

    def adjust(self, stream: str, *, threshold: Threshold, smoothing_seconds: float) -> None:
        """Other settings for one stream, from its next frame on."""
        entry = self._get(stream)
        entry.detector.set_thresholds(threshold)
        entry.smoother.set_seconds(smoothing_seconds)

    def snapshot(self, stream: str) -> Snapshot:
        """The stream as it is now."""
        return Snapshot(copy.deepcopy(self._get(stream)), self._scorer.read(stream))

    def restore(self, stream: str, snapshot: Snapshot) -> None:
        """Make a stream what it, or another of this engine's model, was at a snapshot."""
        self._get(stream)
        self._scorer.write(stream, snapshot._scorer)
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
        self._scorer.close(stream)

    def _install(self, name: str, entry: _Stream) -> None:
        entry = copy.deepcopy(entry)
        entry.detector.stream = name
        self._streams[name] = entry

    def _get(self, stream: str) -> _Stream:
        if stream not in self._streams:
            known = ", ".join(map(repr, self._streams)) or "none"
            raise ActionstreamError(f"no stream {stream!r} is open (open: {known}); open() it first")
        return self._streams[stream]

    def _start_anew(self, stream: _Stream, why: str) -> None:
        """The state of a stream has been emptied; the events that were open end with its last frame."""
        stream.reset = why
        stream.ended += stream.detector.flush(stream.last_seconds)
        stream.smoother.reset()
        stream.frames_since_reset = 0

    def _score(self, frame: Frame, scores: np.ndarray, split_ms: dict[str, float]) -> Prediction:
        stream = self._streams[frame.stream]
        probabilities = self.card.probabilities(scores)
        reset, stream.reset = stream.reset, None
        events, stream.ended = stream.ended, []
        stream.frames_since_reset += 1
        smoothed = probabilities
        warming_up = stream.frames_since_reset <= self.card.context
        if not warming_up:
            smoothed = stream.smoother.push(probabilities, frame.time_seconds)
            events = events + stream.detector.push(smoothed, frame.time_seconds)
        latency_ms = (perf_counter() - frame.available) * 1000
        return Prediction(
            stream=frame.stream,
            frame=frame.index,
            time_seconds=frame.time_seconds,
            latency_ms=latency_ms,
            split_ms={**split_ms, "scoring": latency_ms - sum(split_ms.values())},
            frames_since_reset=stream.frames_since_reset,
            reset=reset,
            names=self.card.labels,
            scores=scores,
            probabilities=probabilities,
            smoothed=smoothed,
            events=tuple(events),
            warming_up=warming_up,
        )
