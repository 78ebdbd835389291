"""The engine: it takes frames of many streams and returns a prediction for each sampled frame."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from time import perf_counter
from typing import Any

import numpy as np

from actionstream.choices import RuntimeName
from actionstream.engine.fusion import open_scorer
from actionstream.engine.labelling import EventSettings, Labelling
from actionstream.engine.scored_stream import Prepared, ScoredStream
from actionstream.engine.scorer import Row, Scorer
from actionstream.frame import Frame
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.locate import Located, Model
from actionstream.models.preprocessing import Resizable
from actionstream.results import Event, Prediction, Skipped
from actionstream.runtimes.runtime import Runtime
from actionstream.scoring.events import Seconds, Threshold


@dataclass
class LabelledStream:
    """A stream of the engine: the part that scores frames, and the part that makes predictions from scores."""

    scored: ScoredStream
    labelling: Labelling


@dataclass(frozen=True)
class Snapshot:
    """A copy of a stream at one moment, for `restore`."""

    _scored: Any
    _labelling: Labelling

    @property
    def open_events(self) -> set[str]:
        """The ids of the events that have started and not ended."""
        return self._labelling.detector.open_ids

    def without_events(self) -> Snapshot:
        """A copy without open events: labels that are still up start anew."""
        labelling = copy.deepcopy(self._labelling)
        labelling.detector.flush(labelling.last_seconds - labelling.delay_seconds)
        return replace(self, _labelling=labelling)


class Engine:
    """Labels streams of frames, each with a state of its own.

        engine = Engine()
        stream = engine.open()
        for time_seconds, image in frames:
            prediction = engine.push(stream, image, time_seconds)    # None for frames between two samples

    model                 what `open_scorer` takes, a runtime, or a scorer
    runtime, device       see `open_runtime`
    threshold             a label starts when its smoothed score reaches this: a number from 0 to 1, or a
                          mapping from labels to numbers with "*" for the others; default: the card's, else 0.6
    end_threshold         a label ends when its smoothed score falls below this; default: half of `threshold`
    smoothing_seconds     time constant of the smoothing
    min_duration_seconds  a label is an event when it stays for this long; a number, or a mapping as for `threshold`;
                          default: the card's, else 0.2
    background            the label that means that nothing happens, which is no event; default: see `find_background`
    gap_seconds           a pause in a stream after which its state is of no use (default: `Sampler`)
    clock                 seconds since 1970, for the wall-clock times of results

    For one stream `push` is enough. A program with a thread for each stream calls `prepare` in that thread, and `score`
    in one thread for all streams; all other methods belong to the scoring thread, too.
    """

    def __init__(
        self,
        model: Model | Runtime | Scorer = "motion",
        *,
        runtime: RuntimeName = "auto",
        device: str = "auto",
        threshold: Threshold | None = None,
        end_threshold: Threshold | None = None,
        smoothing_seconds: float = 0.3,
        min_duration_seconds: Seconds | None = None,
        background: str | None = None,
        gap_seconds: float | None = None,
        clock: Callable[[], float] = time.time,
    ):
        if isinstance(model, Scorer):
            if gap_seconds is not None:
                raise ActionstreamError("gap_seconds belongs to the scorer that was given; give it there")
            self._scorer = model
        elif isinstance(model, str | os.PathLike | Located):
            self._scorer = open_scorer(model, runtime=runtime, device=device, gap_seconds=gap_seconds)
        else:
            self._scorer = Scorer(model, gap_seconds=gap_seconds)
        self.card = self._scorer.card
        self._streams: dict[str, LabelledStream] = {}
        self._clock = clock
        self.events = EventSettings(
            threshold=threshold,
            end_threshold=end_threshold,
            smoothing_seconds=smoothing_seconds,
            min_duration_seconds=min_duration_seconds,
            background=background,
        )
        self.thresholds = self.events.thresholds(self.card)
        self._fresh = self.events.labelling(self.card)

    @property
    def gap_seconds(self) -> float:
        """A pause after which the state of a stream is of no use."""
        return self._scorer.gap_seconds

    @property
    def streams(self) -> list[str]:
        """The streams that are open."""
        return list(self._streams)

    def open(self, name: str | None = None, *, events: EventSettings | None = None) -> str:
        """Begin a stream; returns its name.

        events  how its events are found, instead of the engine's settings
        """
        if name is None:
            name = next(n for n in map("stream {}".format, count()) if n not in self._streams)
        if name in self._streams:
            raise ActionstreamError(f"a stream {name!r} is open already; close it first, or take another name")
        fresh = events.labelling(self.card) if events else self._fresh
        self._streams[name] = LabelledStream(self._scorer.open(), _renamed(fresh, name))
        return name

    def push(self, stream: str, image: np.ndarray | Resizable, time_seconds: float) -> Prediction | None:
        """The next frame of a stream: an RGB image, uint8 (height, width, 3), and its time on the source's clock.

        The `picture` of a frame saves the image.

        Returns the prediction; None when the sampler did not pick the frame, or when the scores are not finite.
        Scores that are not finite, and an error, reset the stream; the error is raised.
        """
        index = self._get(stream).labelling.next_index
        frame = Frame(stream=stream, index=index, time_seconds=time_seconds, picture=image)
        result = self.push_frames([frame])[0]
        if isinstance(result, Skipped) and result.error is not None:
            raise result.error
        return result if isinstance(result, Prediction) else None

    def push_frames(self, frames: Sequence[Frame]) -> list[Prediction | Skipped]:
        """Prepare and score a batch, one frame of each of several streams; returns a result for each frame.

        If a frame cannot be prepared, its result has the error; the other frames are scored.
        """
        self._check(frames)
        failed: dict[str, Skipped] = {}
        pairs = []
        for frame in frames:
            try:
                pairs.append((frame, self.prepare(frame)))
            except Exception as error:  # noqa: BLE001  the other streams go on
                failed[frame.stream] = self._failed(frame, error)
        results = iter(self.score(pairs))
        return [failed[frame.stream] if frame.stream in failed else next(results) for frame in frames]

    def prepare(self, frame: Frame) -> Prepared:
        """Prepare the next frame of a stream for `score`: sample it, make a snippet, resize.

        Each stream may have a thread of its own for this, also while a batch is scored.
        """
        return self._get(frame.stream).scored.prepare(frame)

    def score(self, pairs: Sequence[tuple[Frame, Prepared]]) -> list[Prediction | Skipped]:
        """Score a batch, one prepared frame of each of several streams; returns a result for each frame.

        The caller may drop a frame, and then passes the next sampled one through `Prepared.after`.
        """
        self._check([frame for frame, _ in pairs])
        began = perf_counter()
        rows = self._scorer.score([prepared for _, prepared in pairs])
        model_ms = (perf_counter() - began) * 1000
        results: list[Prediction | Skipped] = []
        for (frame, prepared), row in zip(pairs, rows, strict=True):
            preprocess_ms = prepared.seconds * 1000
            waiting_ms = max(0.0, (began - frame.available) * 1000 - preprocess_ms)
            split_ms = {"waiting": waiting_ms, "preprocess": preprocess_ms, "model": model_ms}
            try:
                results.append(self._result(frame, prepared, row, split_ms))
            except Exception as error:  # noqa: BLE001  as above
                results.append(self._failed(frame, error))
        return results

    def _check(self, frames: Sequence[Frame]) -> None:
        if len({frame.stream for frame in frames}) < len(frames):
            raise ActionstreamError("a batch has one frame of a stream; push the next one in the next batch")
        for frame in frames:
            if self._get(frame.stream).labelling.flushed:
                raise ActionstreamError(f"stream {frame.stream!r} was flushed; reset() it before pushing more frames")

    def _failed(self, frame: Frame, error: Exception) -> Skipped:
        stream = self._get(frame.stream)
        stream.scored.reset()
        stream.labelling.next_index = frame.index + 1
        return Skipped(reason="failed", error=error)

    def _result(self, frame: Frame, prepared: Prepared, row: Row, split_ms: dict[str, float]) -> Prediction | Skipped:
        """The result of a frame from its row of scores."""
        stream = self._get(frame.stream)
        labelling = stream.labelling
        labelling.next_index = frame.index + 1
        if row.reset:
            labelling.start_anew(row.reset)
        labelling.last_seconds = frame.time_seconds
        if row.scores is None:
            return Skipped(reason="inside a stack" if prepared.sampled else prepared.not_sampled)
        if np.isfinite(row.scores).all():
            wall_seconds = self._clock() - (perf_counter() - frame.available)
            return labelling.push(frame, row.scores, self.card, split_ms, wall_seconds)
        stream.scored.empty()  # the state may have NaN, too
        labelling.start_anew("scores not finite")
        return Skipped(reason="scores not finite")

    def flush(self, stream: str, time_seconds: float | None = None) -> list[Event]:
        """End the open events, as the source has ended; the stream takes no more frames until `reset`.

        time_seconds  end of the last frame; default: the time of the last frame
        """
        return self._get(stream).labelling.flush(time_seconds)

    def reset(self, stream: str) -> None:
        """Clear a stream: the next frame that is prepared is a "start"."""
        entry = self._get(stream)
        entry.labelling.flushed = False
        entry.scored.reset()

    def adjust(self, stream: str, *, threshold: Threshold, smoothing_seconds: float) -> None:
        """Change the settings of one stream, from its next frame on."""
        labelling = self._get(stream).labelling
        labelling.detector.set_thresholds(threshold)
        labelling.smoother.set_seconds(smoothing_seconds)

    def snapshot(self, stream: str) -> Snapshot:
        """A copy of the stream after the frame that was scored last; frames prepared since are not in it."""
        entry = self._get(stream)
        return Snapshot(entry.scored.read(), copy.deepcopy(entry.labelling))

    def restore(self, stream: str, snapshot: Snapshot) -> None:
        """Put a snapshot into a stream; the snapshot may be of another stream with the same model."""
        entry = self._get(stream)
        entry.scored.write(snapshot._scored)
        entry.labelling = _renamed(snapshot._labelling, stream)

    def fork(self, stream: str, name: str | None = None) -> str:
        """Open a copy of a stream, as `snapshot` has it; returns its name."""
        snapshot = self.snapshot(stream)
        twin = self.open(name)
        self.restore(twin, snapshot)
        return twin

    def close(self, stream: str) -> None:
        """End a stream and give its slot back."""
        scored = self._get(stream).scored
        del self._streams[stream]
        scored.close()

    def _get(self, stream: str) -> LabelledStream:
        if stream not in self._streams:
            known = ", ".join(map(repr, self._streams)) or "none"
            raise ActionstreamError(f"no stream {stream!r} is open (open: {known}); open() it first")
        return self._streams[stream]


def _renamed(labelling: Labelling, stream: str) -> Labelling:
    """A copy for a stream of another name."""
    twin = copy.deepcopy(labelling)
    twin.detector.stream = stream
    return twin
