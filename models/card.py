"""Card: the metadata of a checkpoint, and the functions that turn its scores into probabilities."""

from __future__ import annotations

import json
from dataclasses import asdict, field, replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field

from actionstream.models.catalogue import find_entry
from actionstream.models.common.checked import (
    LabelNames,
    NumFrames,
    Plain,
    Seconds,
    Share,
    ShortText,
    checked,
    parse_json,
)
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.preprocessing import Preprocessing


def _plain(value: Any) -> Any:
    """An argument in a form that survives JSON: sequences and sets become tuples."""
    if isinstance(value, set | frozenset):
        value = sorted(value)
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def _arguments(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in values.items()}


ROWS_PER_CLIP = 8
"""New scores that a live window computes per clip; between two of them the last one is repeated."""
DECISIONS = ("thresholds", "min_durations", "max_dips")
Durations = Annotated[dict[ShortText, Annotated[float, Field(ge=0, le=3600)]], Field(max_length=100_000)]


@checked
class Card:
    """The metadata of a checkpoint.

    network           a name that `actionstream.models.create` takes
    arguments         the arguments of `create`; "shift" is the shift of the training
    labels            a name for each of the K scores
    activation        turns scores into probabilities: "softmax" (one label at a time) or "sigmoid" (any number)
    preprocessing     from a picture to the network's input
    interval_seconds  the time between two snippets in training
    frame_seconds     the time between the pictures of a stacked snippet; interval_seconds unless given
    context           snippets after a reset before the scores mean something
    covers            snippets, up to its own, that a score is about; more than 1 where whole actions are scored
    delay_snippets    a score is about the snippet that came so many snippets before its own
    thresholds        the smoothed probability at which an event of a label starts; for labels that have one
    min_durations     the seconds that its probability stays up before it starts; for labels that have them
    max_dips          the seconds that its probability stays down before it ends; for labels that have them
    segment_smoothing_seconds
                      of the probabilities in which the segments of a whole video are found, see `SegmentFinder`
    num_frames        frames of the network's clips, and of its Window when it runs live; 1 for a streaming network
    stride            stride of the Window: the number of rows for which one score is repeated
    licence           of the weights
    training          how the weights were trained: command, seed, data, date
    accuracy          measured values, by name
    """

    network: ShortText
    arguments: Annotated[Plain, AfterValidator(_arguments)]
    labels: LabelNames
    preprocessing: Preprocessing
    interval_seconds: Seconds
    frame_seconds: Annotated[float, Field(ge=0)] = 0.0
    activation: Literal["softmax", "sigmoid"] = "softmax"
    context: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    covers: NumFrames = 1
    delay_snippets: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    thresholds: Annotated[dict[ShortText, Share], Field(max_length=100_000)] = field(default_factory=dict)
    min_durations: Durations = field(default_factory=dict)
    max_dips: Durations = field(default_factory=dict)
    segment_smoothing_seconds: Annotated[float, Field(ge=0, le=3600)] = 0.3
    num_frames: NumFrames = 1
    stride: NumFrames = 1
    licence: ShortText = "unknown"
    training: Plain = field(default_factory=dict)
    accuracy: Plain = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.frame_seconds == 0:
            object.__setattr__(self, "frame_seconds", self.interval_seconds)
        if self.frame_seconds > self.interval_seconds:
            raise ActionstreamError(
                f"frame_seconds is {self.frame_seconds}; expected interval_seconds, {self.interval_seconds}, at most"
            )
        for name in DECISIONS:
            if unknown := set(getattr(self, name)) - set(self.labels):
                raise ActionstreamError(f"{name} has {min(unknown)!r}, which is no label of the card")

    def without_decisions(self) -> Card:
        """This card without thresholds and durations, which hold for the scores of one network alone."""
        nothing: dict[str, Any] = {name: {} for name in DECISIONS}
        return replace(self, **nothing)

    @property
    def shift(self) -> str:
        """The temporal shift that the weights were trained with."""
        return {**find_entry(self.network).arguments, **self.arguments}.get("shift", "none")

    @property
    def delay_seconds(self) -> float:
        """The time from what a score is about to its own snippet."""
        return self.delay_snippets * self.interval_seconds

    def to_json(self) -> str:
        """As JSON; `from_json` reads it."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, source: object = "the card") -> Card:
        """Read what `to_json` wrote; anything else raises ActionstreamError, which begins with `source`."""
        return parse_json(text, cls, source)

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Scores (..., K) to probabilities (..., K), float32."""
        return (sigmoid if self.activation == "sigmoid" else softmax)(scores).astype(np.float32)


def check_shift(*, trained: str, wanted: str, insist: bool) -> None:
    """Raise ActionstreamError for weights that were trained with another shift, unless `insist`."""
    if trained == wanted or insist:
        return
    reason = {
        ("bi", "uni"): "they expect an eighth of the channels from the next frame, which a live stream does not have, "
        "and their scores online would be wrong",
    }.get((trained, wanted), "the shifted channels would not carry what they expect")
    raise ActionstreamError(
        f'these weights were trained with shift "{trained}" and cannot run with "{wanted}": {reason}. '
        f"Train or fine-tune with shift={wanted!r}, or pass insist=True to run them all the same"
    )


def softmax(scores: np.ndarray) -> np.ndarray:
    """Finite scores (..., K) to float64 (..., K) with a sum of 1 in each row."""
    scores = np.asarray(scores, np.float64)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(scores: np.ndarray) -> np.ndarray:
    """Scores of any shape to float64 of that shape, each from 0 to 1."""
    powers = np.exp(-np.abs(np.asarray(scores, np.float64)))  # from 0 to 1, so it cannot overflow
    return np.where(np.asarray(scores) >= 0, 1, powers) / (1 + powers)
