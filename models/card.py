"""What a checkpoint says of itself, and what makes probabilities of its scores."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from actionstream.models.catalogue import find_entry
from actionstream.models.errors import ActionstreamError
from actionstream.models.preprocessing import Preprocessing


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a checkpoint says of itself.

    network           a name that `actionstream.models.create` takes
    arguments         and its arguments; "shift" says how it was trained
    labels            a name for each of the K scores
    activation        what makes probabilities of scores: "softmax" (one label at a time) or "sigmoid"
    preprocessing     from a picture to the network's input
    interval_seconds  the time between two snippets in training
    frame_seconds     the time between the pictures of a snippet, where it is a stack of them; the same unless given
    context           snippets after a reset before the scores mean something
    num_frames        of the clips that the network takes, and live of its Window; 1 where it streams
    stride            rows of the Window for which a score stands
    licence           of the weights
    training          how they were made: command, seed, data, date
    accuracy          what was measured, by name
    """

    network: str
    arguments: dict[str, Any]
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    interval_seconds: float
    frame_seconds: float = 0.0
    activation: Literal["softmax", "sigmoid"] = "softmax"
    context: int = 0
    num_frames: int = 1
    stride: int = 1
    licence: str = "unknown"
    training: dict[str, Any] = field(default_factory=dict)
    accuracy: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.activation not in ("softmax", "sigmoid"):
            raise ActionstreamError(f'activation is {self.activation!r}; it is "softmax" or "sigmoid"')
        if not 0 < self.interval_seconds < float("inf"):
            raise ActionstreamError(f"interval_seconds is {self.interval_seconds}; it must be positive")
        if self.frame_seconds == 0:
            object.__setattr__(self, "frame_seconds", self.interval_seconds)
        if not 0 < self.frame_seconds <= self.interval_seconds:
            raise ActionstreamError(
                f"frame_seconds is {self.frame_seconds}; it is positive, and at most interval_seconds, "
                f"{self.interval_seconds}"
            )
        if self.context < 0 or not isinstance(self.arguments, dict):
            raise ActionstreamError(
                f"context is {self.context}, arguments {self.arguments}; a number from 0 on, and a dict"
            )
        if self.num_frames < 1 or self.stride < 1:
            raise ActionstreamError(f"clips of {self.num_frames} frames, stride {self.stride}: both are 1 or more")
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "arguments", {name: _plain(value) for name, value in self.arguments.items()})

    @property
    def shift(self) -> str:
        """The temporal shift that the weights were trained with."""
        return {**find_entry(self.network).arguments, **self.arguments}.get("shift", "none")

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Card:
        values = json.loads(text)
        return cls(**{**values, "preprocessing": Preprocessing(**values["preprocessing"])})

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Scores (..., K) to probabilities (..., K), float32."""
        return (sigmoid if self.activation == "sigmoid" else softmax)(scores).astype(np.float32)


def _plain(value: Any) -> Any:
    """An argument as JSON can keep it, and the same when it comes back: sequences and sets are tuples."""
    if isinstance(value, set | frozenset):
        value = sorted(value)
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def check_shift(*, trained: str, wanted: str, insist: bool) -> None:
    """Refuse weights for a shift they were not trained with."""
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
    powers = np.exp(-np.abs(np.asarray(scores, np.float64)))  # from 0 to 1, and never too large
    return np.where(np.asarray(scores) >= 0, 1, powers) / (1 + powers)
