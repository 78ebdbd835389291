"""Streams to learn from: the features of long videos as they come live, piece by piece, and labels of each snippet.

Letters: n snippets of a video, B streams, T snippets of a piece, F features, K labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from actionstream.models.training.loss import Batch

NEAR_SECONDS = 8.0
"""A stream that is to see an action begins at most so long before it."""

Part = list[np.ndarray]
"""Features (n, F), targets (n, K) and weights (n,) of snippets that follow each other."""


@dataclass(frozen=True)
class LearntVideo:
    """The features of a video, and what happens in it.

    features       float16 (n, F), a memory map
    times_seconds  float64 (n,), increasing
    segments       float64 (m, 2): start and end in seconds
    labels         int64 (m,): which of the K labels
    ignored        float64 (p, 2): segments in which no label can be learnt
    """

    features: np.ndarray
    times_seconds: np.ndarray
    segments: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray

    def targets(self, times_seconds: np.ndarray, num_labels: int, soft_seconds: float) -> np.ndarray:
        """How much each label holds at each time, float32 (n, K): 0 to 1 over `soft_seconds` around each border."""
        table = np.zeros((len(times_seconds), num_labels), np.float32)
        slope = 1 / max(soft_seconds, 1e-6)
        for (start, end), label in zip(self.segments, self.labels, strict=True):
            first, last = np.searchsorted(times_seconds, (start - soft_seconds, end + soft_seconds))
            times = times_seconds[first:last]
            inside = np.minimum((times - start) * slope, (end - times) * slope) + 0.5
            np.maximum(table[first:last, label], inside.clip(0, 1), out=table[first:last, label])
        return table

    def weights(self, times_seconds: np.ndarray) -> np.ndarray:
        """How much each time counts, float32 (n,): 0 in what is ignored, else 1."""
        counts = np.ones(len(times_seconds), np.float32)
        for start, end in self.ignored:
            counts[slice(*np.searchsorted(times_seconds, (start, end)))] = 0
        return counts


@dataclass(frozen=True)
class Streams:
    """Batches of B streams that go on from batch to batch, as cameras do; a function of the seed alone.

    A stream plays a part of a video, at a speed of its own, then a part of another one, as when a camera is moved. Half
    of the parts begin anywhere in any video, the other half a little before a segment, with all labels equally often.

    num_snippets   of a piece (T)
    part_seconds   the longest part of a video
    speed          the logarithm of the speed is between - and + this
    reset          share of the pieces before which the state is emptied
    soft_seconds   see `LearntVideo.targets`
    """

    videos: Sequence[LearntVideo]
    num_labels: int
    batch_size: int
    num_steps: int
    seed: int
    num_snippets: int = 64
    part_seconds: float = 60.0
    speed: float = 0.2
    reset: float = 0.1
    soft_seconds: float = 0.5

    @cached_property
    def _there(self) -> list[list[tuple[int, int]]]:
        """The segments of each label that has some: the number of the video, and of the segment."""
        found: dict[int, list[tuple[int, int]]] = {}
        for number, video in enumerate(self.videos):
            for segment, label in enumerate(video.labels.tolist()):
                found.setdefault(label, []).append((number, segment))
        return [found[label] for label in sorted(found)]

    def __iter__(self) -> Iterator[Batch]:
        rows = [self._stream(np.random.default_rng((self.seed, row))) for row in range(self.batch_size)]
        for _ in range(self.num_steps):
            pieces, begins = zip(*map(next, rows), strict=True)
            features, targets, weights = map(np.stack, zip(*pieces, strict=True))
            clips = features[:, :, None, None].astype(np.float32)
            yield Batch(clips, targets, weights, begins=np.array(begins))

    def _stream(self, random: np.random.Generator) -> Iterator[tuple[Part, bool]]:
        """Pieces of T snippets without end, and whether the state is empty before."""
        waiting = self._part(random)
        begins = True
        while True:
            while len(waiting[0]) < self.num_snippets:
                waiting = [np.concatenate(each) for each in zip(waiting, self._part(random), strict=True)]
            yield [each[: self.num_snippets] for each in waiting], begins
            waiting = [each[self.num_snippets :] for each in waiting]
            begins = random.random() < self.reset

    def _part(self, random: np.random.Generator) -> Part:
        """A part of a video at a random speed."""
        if random.random() < 0.5 or not self._there:  # in the videos outside of a fold, nothing may happen
            lengths = np.array([len(video.features) for video in self.videos])
            video = self.videos[random.choice(len(lengths), p=lengths / lengths.sum())]
            first = float(random.uniform(0, len(video.features) - 1))
        else:
            label = self._there[random.integers(len(self._there))]
            number, segment = label[random.integers(len(label))]
            video = self.videos[number]
            start = video.segments[segment, 0] - random.uniform(0, NEAR_SECONDS)
            first = float(np.searchsorted(video.times_seconds, start).clip(0, len(video.features) - 1))
        speed = np.exp(random.uniform(-self.speed, self.speed))
        interval = float(np.median(np.diff(video.times_seconds)))
        num_rows = min(self.part_seconds / interval, (len(video.features) - 1 - first) / speed)
        places = first + speed * np.arange(int(num_rows) + 1)
        rows = places.astype(int)
        share = (places - rows)[:, None].astype(np.float32)
        after = np.minimum(rows + 1, len(video.features) - 1)
        features = (1 - share) * video.features[rows] + share * video.features[after]
        times = np.interp(places, np.arange(len(video.features)), video.times_seconds)
        return [features, video.targets(times, self.num_labels, self.soft_seconds), video.weights(times)]
