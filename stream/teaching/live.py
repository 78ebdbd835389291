"""Teaching live: what a fit says of the features of a stream, and examples out of their recent past.

Letters: n snippets, F features, P parts, L lengths, K classes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import median

import numpy as np

from actionstream.models.card import softmax
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.labels import NOTHING
from actionstream.scoring import Smoother
from actionstream.teaching.examples import Example
from actionstream.teaching.fit import Fit
from actionstream.teaching.windows import describe

USUAL_SECONDS = 2.0
"""The duration of a correction while there is no example to go by."""


class Head:
    """The linear layer of a fit: scores as the saved checkpoint gives them, whose weights are float16."""

    def __init__(self, fit: Fit):
        self.labels = fit.labels
        self._lengths = fit.lengths
        self._weights = fit.weights.astype(np.float16).astype(np.float32)
        self._offset = fit.offset.astype(np.float16).astype(np.float32)

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """Features (n, F) of all snippets since a reset, or of the last 8 s, to the scores (K,) of the last one.

        See `Taught`: the first snippet stands in for those before it, and class 0 is NOTHING.
        """
        missing = max(self._lengths) - len(rows)
        if missing > 0:
            rows = np.concatenate([np.repeat(rows[:1], missing, axis=0), rows])
        num_parts = self._weights.shape[1] // rows.shape[1]
        windows = np.stack([describe(rows[-length:], num_parts) for length in self._lengths])
        scores = windows @ self._weights.T + self._offset
        return (scores - scores[:, :1]).max(axis=0)

    def scores_of_all(self, rows: np.ndarray) -> np.ndarray:
        """Features (n, F) of all snippets since a reset to the scores of each, float32 (n, K)."""
        longest = max(self._lengths)
        scores = [self.scores(rows[max(0, end - longest) : end]) for end in range(1, len(rows) + 1)]
        return np.stack(scores).astype(np.float32)


class LiveFeatures:
    """The last features of one stream. It takes no lock of its own: one thread at a time may use it.

    interval_seconds   between two snippets
    context            see Card
    longest            window, in snippets
    kept_seconds       of features, for examples
    smoothing_seconds  of probabilities, see `Engine`
    """

    def __init__(
        self,
        *,
        interval_seconds: float,
        context: int,
        longest: int,
        kept_seconds: float,
        smoothing_seconds: float = 0.3,
    ):
        self._context = context
        self._longest = longest
        self._times: deque[float] = deque(maxlen=max(longest, 1 + round(kept_seconds / interval_seconds)))
        self._rows: deque[np.ndarray] = deque(maxlen=self._times.maxlen)
        self._num_since_reset = 0
        self._head: Head | None = None
        self._smoother = Smoother(smoothing_seconds)

    def push(
        self, features: np.ndarray, time_seconds: float, head: Head | None, *, reset: bool = False
    ) -> np.ndarray | None:
        """Take the features (F,) of the next snippet; returns smoothed probabilities (K,) by `head`.

        head   may be another one for each snippet
        reset  whether the state of the backbones was empty before the snippet

        Returns None without a head, and while it warms up.
        """
        self._times.append(time_seconds)
        self._rows.append(features)
        self._num_since_reset = 1 if reset else self._num_since_reset + 1
        if reset or head is not self._head:
            self._smoother.reset()
            self._head = head
        if head is None or self._num_since_reset <= self._context:
            return None
        rows = np.stack(list(self._rows)[-min(self._num_since_reset, self._longest) :])
        return self._smoother.push(softmax(head.scores(rows)).astype(np.float32), time_seconds)

    def between(self, begin_seconds: float, end_seconds: float) -> np.ndarray:
        """The features of an example, float16 (1, n, F): of the snippets of this time, as seen."""
        pairs = zip(self._times, self._rows, strict=True)
        return _features([row for time, row in pairs if begin_seconds <= time <= end_seconds])

    def last(self, num_snippets: int) -> np.ndarray:
        """The features of an example, float16 (1, n, F): of the last snippets, as seen."""
        return _features(list(self._rows)[-num_snippets:])

    def begin_of_last(self, num_snippets: int) -> float:
        """The time of the first one of the last snippets."""
        return self._times[-min(num_snippets, len(self._times))]


def correction_length(examples: Sequence[Example], label: str, *, interval_seconds: float, longest: int) -> int:
    """How many of the last snippets a correction takes: as many as the median example of the label has.

    For NOTHING, and for a label without an example, the median of all actions.
    """
    of_label = [each.num_snippets for each in examples if each.label == label != NOTHING]
    lengths = of_label or [each.num_snippets for each in examples if each.label != NOTHING]
    return min(round(median(lengths)) if lengths else round(USUAL_SECONDS / interval_seconds), longest)


def _features(rows: Sequence[np.ndarray]) -> np.ndarray:
    if not rows:
        raise ActionstreamError("the clip has no frames; expected a second or more while the camera runs")
    return np.stack(rows).astype(np.float16)[None]
