"""One network over many streams, or several as one: prepared frames in, and for each the scores that it gives."""

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
    """What a frame gave.

    scores  float32 (K,); None where it was not sampled, or went into a stack that is not due
    reset   why the state was emptied before it, if it was
    """

    scores: np.ndarray | None = None
    reset: str | None = None


class Scorer:
    """A network, or the weighted mean of the scores of several, each with its own rhythm and modality.

    The two-stream method (Simonyan and Zisserman, arXiv:1406.2199). A frame has scores when the quickest network (the
    first of them) gives new ones and all have given some since the last reset; of the others it is their last. The
    labels of all are the same. Softmax or sigmoid come after the mean, as in TSN.

    gap_seconds  one for all networks, so that all begin anew together; the longest of theirs, unless given
    chunk        how many sampled frames of one stream `score` does well to take, where there are as many
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

    def open(self) -> ScoredStream:
        """Begin a stream."""
        return ScoredStream(self._runtimes, self.gap_seconds)

    def score(self, prepared: Sequence[Prepared]) -> list[Row]:
        """Frames of different streams, a row for each, or successive frames of one stream."""
        in_time = len({id(each.stream) for each in prepared}) < len(prepared)
        cuts = [n for n, each in enumerate(prepared) if n and each.reset] if in_time else []
        rows: list[Row] = []
        for begin, end in pairwise([0, *cuts, len(prepared)]):
            rows += self._score_without_resets(prepared[begin:end], in_time)
        return rows

    def _score_without_resets(self, prepared: Sequence[Prepared], in_time: bool) -> list[Row]:
        """Those of a stream with a reset before the first one only."""
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
        """The scores that one of the networks gives; None where it has nothing to score."""
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
    """The card of the quickest network, with the longest warm-up of all in its rows; and which one that is."""
    quickest = min(cards, key=lambda card: card.interval_seconds)
    context = max(card.context * card.interval_seconds for card in cards) / quickest.interval_seconds
    return replace(quickest, context=math.ceil(context - 1e-6)), cards.index(quickest)
