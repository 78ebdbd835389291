"""The scorer: one network, or a fusion of several, over many streams; it takes prepared frames and returns scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from actionstream.engine.scored_stream import Prepared, ScoredStream
from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.runtimes.runtime import Runtime
from actionstream.sampler import gap_after


@dataclass(frozen=True, slots=True)
class Row:
    """The result of a frame.

    scores  float32 (K,); None where the frame was not sampled, or is part of a stack that is not complete
    reset   why the state was emptied before the frame; None where it was not
    """

    scores: np.ndarray | None = None
    reset: str | None = None


class Scorer:
    """A network, or the weighted mean of the scores of several, each with its own rhythm and modality.

    The two-stream method (Simonyan and Zisserman, arXiv:1406.2199). A frame has scores when the quickest network (the
    first, if several are) gives new scores and each network has given some since the last reset; the mean takes the
    last scores of each. All networks have the same labels. Softmax or sigmoid come after the mean, as in TSN.

    gap_seconds  the same for all networks, so that they are reset together; default: the longest of their gaps
    chunk        the best number of successive frames of one stream for a call of `score`
    """

    def __init__(
        self, *runtimes: Runtime, weights: Sequence[float] | None = None, gap_seconds: float | None = None
    ) -> None:
        weights = [1.0] * len(runtimes) if weights is None else weights
        cards = [runtime.card for runtime in runtimes]
        _check_that_they_fuse(cards, weights)
        self.card, self._leader = _fused_card(cards)
        self.chunk = min(runtime.chunk for runtime in runtimes)
        self.gap_seconds = max(gap_after(card.frame_seconds) for card in cards) if gap_seconds is None else gap_seconds
        self._runtimes = runtimes
        self._weights = np.array(weights, dtype=np.float32) / sum(weights)

    @property
    def runs_with(self) -> set[tuple[str, str]]:
        """What runs the networks now, and in which numbers, such as {("onnx", "float32")}."""
        return {(runtime.software, runtime.precision) for runtime in self._runtimes}

    def open(self) -> ScoredStream:
        """Begin a stream."""
        return ScoredStream(self._runtimes, self.gap_seconds)

    def score(self, prepared: Sequence[Prepared]) -> list[Row]:
        """Score frames of different streams, or successive frames of one stream; returns a row for each."""
        in_time = len({id(each.stream) for each in prepared}) < len(prepared)
        cuts = [n for n, each in enumerate(prepared) if n and each.reset] if in_time else []
        rows: list[Row] = []
        for begin, end in pairwise([0, *cuts, len(prepared)]):
            rows += self._score_without_resets(prepared[begin:end], in_time)
        return rows

    def _score_without_resets(self, prepared: Sequence[Prepared], in_time: bool) -> list[Row]:
        """Score frames; of several frames of one stream only the first may have a reset."""
        for each in prepared:
            if each.reset:
                each.stream.empty()
        columns = [self._step(number, prepared, in_time) for number in range(len(self._runtimes))]
        rows = []
        for each, *found in zip(prepared, *columns, strict=True):
            each.stream.keep(each, found)
            known = [scores for scores in each.stream.last if scores is not None]
            complete = len(known) == len(found) and found[self._leader] is not None
            rows.append(Row(self._weights @ np.stack(known) if complete else None, each.reset))
        return rows

    def _step(self, number: int, prepared: Sequence[Prepared], in_time: bool) -> list[np.ndarray | None]:
        """The scores of one network; None for frames where it has nothing to score."""
        found: list[np.ndarray | None] = [None] * len(prepared)
        due = [(n, snippet) for n, each in enumerate(prepared) if (snippet := each.snippets[number]) is not None]
        if due:
            runtime = self._runtimes[number]
            snippets = np.stack([snippet for _, snippet in due])
            slots = np.array([prepared[n].stream.slots[number] for n, _ in due])
            if in_time:
                scores = runtime.step(snippets[None], slots[:1])[0]
            else:
                scores = runtime.step(snippets[:, None], slots)[:, 0]
            for (n, _), row in zip(due, scores, strict=True):
                found[n] = row
        return found


def _check_that_they_fuse(cards: Sequence[Card], weights: Sequence[float]) -> None:
    if not cards or len(weights) != len(cards):
        raise ActionstreamError(
            f"{len(cards)} networks with {len(weights)} weights: at least one, and a weight for each"
        )
    if not all(0 < weight < float("inf") for weight in weights):
        raise ActionstreamError(f"the weights are {', '.join(map(str, weights))}; they must be positive")
    for card in cards[1:]:
        if (card.labels, card.activation) != (cards[0].labels, cards[0].activation):
            raise ActionstreamError(
                f"{cards[0].network} and {card.network} cannot be fused: their {len(cards[0].labels)} and "
                f"{len(card.labels)} labels differ, or one has softmax and the other sigmoid"
            )


def _fused_card(cards: Sequence[Card]) -> tuple[Card, int]:
    """The card of the quickest network, with the longest warm-up of all, in rows; and the index of that network.

    The thresholds and durations of one network do not hold for the scores of several.
    """
    quickest = min(cards, key=lambda card: card.interval_seconds)
    context = max(card.context * card.interval_seconds for card in cards) / quickest.interval_seconds
    card = quickest if len(cards) == 1 else quickest.without_decisions()
    return replace(card, context=math.ceil(context - 1e-6)), cards.index(quickest)
