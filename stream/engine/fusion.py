"""Several networks as one, over one decode: the two-stream method (Simonyan and Zisserman, arXiv:1406.2199)."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from actionstream.engine.scorer import NetworkScorer, Row, Scorer
from actionstream.frame import Frame
from actionstream.models.errors import ActionstreamError
from actionstream.models.locate import Located, Model, locate
from actionstream.runtimes.opening import open_runtime
from actionstream.sampler import Sampler


@dataclass(frozen=True, slots=True)
class _Sampled:
    """A frame that one of the networks wants at least, as each wants it."""

    stream: str
    parts: list[Any]


class Fusion:
    """Scores that are the weighted mean of those of several networks, each with its own rhythm and modality.

    A frame has scores when the quickest network (the first of them) gives new ones and all have given some since the
    last reset; of the others it is their last. The labels of all are the same. Softmax or sigmoid come after the mean,
    as in TSN.
    """

    def __init__(self, scorers: Sequence[Scorer], weights: Sequence[float]):
        cards = [scorer.card for scorer in scorers]
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
        quickest = min(cards, key=lambda card: card.interval_seconds)
        context = max(card.context * card.interval_seconds for card in cards) / quickest.interval_seconds
        self.card = replace(quickest, context=math.ceil(context - 1e-6))
        self.chunk = min(scorer.chunk for scorer in scorers)
        self._scorers = list(scorers)
        self._leader = cards.index(quickest)
        self._weights = np.array(weights, dtype=np.float32) / sum(weights)
        self._last: dict[str, list[np.ndarray | None]] = {}

    def open(self, stream: str) -> None:
        for scorer in self._scorers:
            scorer.open(stream)
        self._forget(stream)

    def close(self, stream: str) -> None:
        for scorer in self._scorers:
            scorer.close(stream)
        del self._last[stream]

    def sample(self, frame: Frame) -> _Sampled | None:
        parts = [scorer.sample(frame) for scorer in self._scorers]
        return _Sampled(frame.stream, parts) if any(part is not None for part in parts) else None

    def score(self, sampled: Sequence[_Sampled]) -> list[Row]:
        nothing = Row()
        columns = []
        for number, scorer in enumerate(self._scorers):
            parts = [each.parts[number] for each in sampled]
            rows = iter(scorer.score([part for part in parts if part is not None]))
            columns.append([nothing if part is None else next(rows) for part in parts])
        return [self._fuse(each.stream, rows) for each, *rows in zip(sampled, *columns, strict=True)]

    def reset(self, stream: str) -> None:
        for scorer in self._scorers:
            scorer.reset(stream)

    def empty(self, stream: str) -> None:
        for scorer in self._scorers:
            scorer.empty(stream)
        self._forget(stream)

    def read(self, stream: str) -> Any:
        return [scorer.read(stream) for scorer in self._scorers], list(self._last[stream])

    def write(self, stream: str, kept: Any) -> None:
        parts, last = kept
        for scorer, part in zip(self._scorers, parts, strict=True):
            scorer.write(stream, part)
        self._last[stream] = list(last)

    def _forget(self, stream: str) -> None:
        self._last[stream] = [None] * len(self._scorers)

    def _fuse(self, stream: str, rows: Sequence[Row]) -> Row:
        reset = next((row.reset for row in rows if row.reset), None)
        if reset:
            self._forget(stream)
        last = self._last[stream]
        for number, row in enumerate(rows):
            if row.scores is not None:
                last[number] = row.scores
        known = [scores for scores in last if scores is not None]
        if len(known) < len(last) or rows[self._leader].scores is None:
            return Row(reset=reset)
        return Row(scores=self._weights @ np.stack(known), reset=reset)


def open_scorer(
    model: Model,
    *,
    weights: str | os.PathLike[str] | None = None,
    gap_seconds: float | None = None,
    **opening: Any,
) -> Scorer:
    """A model as the engine takes it: what `open_runtime` takes, or a file NAME.toml of networks to fuse.

        [[network]]
        model = "rgb.safetensors"
        weight = 1

        [[network]]
        model = "flow.safetensors"
        weight = 1.5

    Paths are relative to the file. `opening` goes to `open_runtime`.
    """
    found = locate(model, weights=weights)
    if found.kind != "fusion":
        return NetworkScorer(open_runtime(found, **opening), gap_seconds=gap_seconds)
    models, shares = _read_networks(found.file("fusion"))
    runtimes = [open_runtime(each, **opening) for each in models]
    # one for all, so that all begin anew together
    gap_seconds = gap_seconds or max(Sampler(each.card.frame_seconds).gap_seconds or 0 for each in runtimes)
    return Fusion([NetworkScorer(each, gap_seconds=gap_seconds) for each in runtimes], shares)


def _read_networks(path: Path) -> tuple[list[Located], list[float]]:
    """Models, and their weights."""
    try:
        contents = tomllib.loads(path.read_text(encoding="utf-8"))
        networks = contents["network"]
        if not networks or not isinstance(networks, list):
            raise ActionstreamError("there is none, or one without its double brackets")
        keys = {key for each in networks for key in each} - {"model", "weight"} | contents.keys() - {"network"}
        if keys:
            raise ActionstreamError(f"nobody knows {', '.join(sorted(keys))}")
        found = [(str(each["model"]), float(each.get("weight", 1))) for each in networks]
    except (KeyError, TypeError, ValueError) as error:
        raise ActionstreamError(
            f"{path} does not list networks to fuse: {error}; it has [[network]] with model = and weight = for each"
        ) from error
    return [locate(model, beside=path.parent) for model, _ in found], [weight for _, weight in found]
