"""The scores of whole videos: decoded once, in chunks; the model scores while the next frames are decoded."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from actionstream.engine.scored_stream import Prepared, ScoredStream
from actionstream.engine.scorer import Row, Scorer
from actionstream.frame import Frame
from actionstream.models.common.errors import ActionstreamError
from actionstream.sampler import Pace
from actionstream.sources import Source, SourceError
from actionstream.videos.prefetch import ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoScores:
    """The scores of a video, a row for each of its n snippets: those that the live engine gives.

    times_seconds     float64 (n,), increasing: of what the scores are about
    scores            float32 (n, K), before softmax or sigmoid
    rows_since_reset  int64 (n,): 1 where the state was empty before
    duration_seconds  to the end of the last frame
    cut_short         the error that ended the video early; None where it is complete
    """

    times_seconds: np.ndarray
    scores: np.ndarray
    rows_since_reset: np.ndarray
    duration_seconds: float
    cut_short: str | None = None

    @property
    def begins_anew(self) -> np.ndarray:
        """Bool (n,): the rows that are the first after a reset."""
        return np.diff(self.rows_since_reset, prepend=self.rows_since_reset[:1]) <= 0

    def after(self, context: int) -> VideoScores:
        """The scores without the first `context` rows after each reset (warm-up)."""
        good = self.rows_since_reset > context
        return replace(
            self,
            times_seconds=self.times_seconds[good],
            scores=self.scores[good],
            rows_since_reset=self.rows_since_reset[good],
        )


def score_video(source: Source, scorer: Scorer, *, look: Callable[[Frame], None] = lambda frame: None) -> VideoScores:
    """Score a source that ends, and close it; one that is too slow for the model gets a warning.

    look  is shown every frame, in another thread

    It needs memory for three chunks of snippets, one that is scored and two that wait, and for the rows, at the end
    twice.
    SourceError where the video cannot be read, ValueError where it has no duration, is too short for one snippet, or
    gets scores that are not finite.
    """
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # times, scores, rows since a reset
    num_frames, last_seconds = 0, 0.0
    pace = Pace(source.name, scorer.card.frame_seconds)

    def warn(what: str | None) -> None:
        if what is not None:
            source.warnings.append(what)

    def count(frame: Frame) -> None:
        nonlocal num_frames, last_seconds
        num_frames, last_seconds = num_frames + 1, frame.time_seconds
        warn(pace.push(frame.time_seconds))
        look(frame)

    age, cut_short = 0, None
    try:
        for chunk in scored_chunks(source, scorer, look=count):
            found = []
            for time_seconds, row in chunk:
                age = 0 if row.reset else age
                if row.scores is not None:
                    age += 1
                    found.append((time_seconds - scorer.card.delay_seconds, row.scores, age))
            if found:
                times, scores, ages = map(np.array, zip(*found, strict=True))
                finite = np.isfinite(scores).all(axis=1)
                if not finite.all():
                    raise ActionstreamError(
                        f"{source.name} gets scores that are not finite at {times[finite.argmin()]:.1f} s: the weights "
                        f"of {scorer.card.network} are damaged, or too large for half precision"
                    )
                parts.append((times, scores, ages))
    except SourceError as error:
        if not num_frames:
            raise
        cut_short = str(error)
    warn(pace.flush())
    if num_frames == 1:
        raise ActionstreamError(f"{source.name} has no duration, only one picture: nothing can happen in it")
    if not parts:
        raise ActionstreamError(
            f"{source.name} is too short: {num_frames} frames make no snippet for {scorer.card.network}"
        )
    times, scores, ages = (np.concatenate(column) for column in zip(*parts, strict=True))
    return VideoScores(
        times_seconds=times,
        scores=scores,
        rows_since_reset=ages,
        duration_seconds=source.ends_at(last_seconds),
        cut_short=cut_short,
    )


def scored_chunks(
    source: Source, scorer: Scorer, *, look: Callable[[Frame], None] = lambda frame: None
) -> Generator[list[tuple[float, Row]]]:
    """The times and rows of the sampled frames of a source, in chunks as they get ready."""
    stream = scorer.open()
    try:
        with closing(ahead(_prepared(source, stream, look), depth=2 * scorer.chunk)) as prepared:
            for chunk in _chunks(prepared, scorer.chunk):
                yield [(each.time_seconds, row) for each, row in zip(chunk, scorer.score(chunk), strict=True)]
    finally:
        stream.close()


def _prepared(source: Source, stream: ScoredStream, look: Callable[[Frame], None]) -> Generator[Prepared]:
    with closing(source):
        for frame in source:
            look(frame)
            prepared = stream.prepare(frame)
            if prepared.sampled:
                yield prepared


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of `size` items; the last one may be shorter, and comes before a SourceError that ends the items."""
    chunk, error = [], None
    try:
        for item in items:
            chunk.append(item)
            if len(chunk) == size:
                yield chunk
                chunk = []
    except SourceError as failure:
        error = failure
    if chunk:
        yield chunk
    if error is not None:
        raise error
