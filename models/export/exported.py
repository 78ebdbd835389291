"""The metadata of an exported file, which let it run without torch and without the network's definition.

Letters in shapes: B streams, T snippets of each, C channels, K classes.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, Strict

from actionstream.models.card import Card
from actionstream.models.common.checked import NumFrames, ShortText, checked, parse_json
from actionstream.models.common.choices import Takes
from actionstream.models.common.errors import ActionstreamError

KEY = "actionstream"
"""The key of the entry in the file's metadata."""
Precision = Literal["float32", "int8"]
NUM_CHECKED = 4
TOLERANCE: dict[Precision, float] = {"float32": 1e-3, "int8": 0.1}
"""For the probabilities of a self-check. int8 rounds differently on each machine, but saturation is far off."""


MOST_STATE = 2**30
"""The most values in the state of a stream: 4 GiB."""
Shape = Annotated[tuple[Annotated[int, Field(ge=1, le=2**20)], ...], Field(max_length=8), Strict(False)]
Score = Annotated[float, Field(ge=-3.4e38, le=3.4e38)]
Scores = Annotated[tuple[Score, ...], Field(max_length=100_000), Strict(False)]


@checked
class Exported:
    """The card of the checkpoint, and how the file is called:

        scores, new_state_0, new_state_1, ... = file(input, state_0, state_1, ...)

    takes       what the input, named as this, is: "pixels" uint8 (B, T, height, width, channels), resized as the card
                says; "pictures" uint8 (B, T, any height, any width, 3), resized in the file; "frames" float32
                (B, T, C, height, width), normalised
    chunk       T
    state       the shape of each leaf for one stream. The tensors are float32, B first; a new stream is all zeros
    streams     whether scores are float32 (B, T, K), a row for each snippet; else (B, K), of whole clips of T frames
    precision   of weights and activations
    checkpoint  the key of its checkpoint, see `actionstream.models.export.cache.key`
    check       the scores (NUM_CHECKED, K) of `check_snippets` as one stream, for the self-check of a runtime; empty
                for a network that takes clips
    """

    card: Card
    takes: Takes
    chunk: NumFrames
    state: Annotated[tuple[Shape, ...], Field(max_length=1000), Strict(False)]
    streams: bool
    precision: Precision = "float32"
    checkpoint: ShortText = ""
    check: Annotated[tuple[Scores, ...], Field(max_length=NUM_CHECKED), Strict(False)] = ()

    def __post_init__(self) -> None:
        if (values := sum(map(prod, self.state))) > MOST_STATE:
            raise ActionstreamError(f"the state of a stream has {values:,} values; expected {MOST_STATE:,} at most")

    @property
    def state_names(self) -> list[str]:
        """The names of the state inputs; the outputs have the prefix "new_"."""
        return [f"state_{number}" for number in range(len(self.state))]

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "card": json.loads(self.card.to_json())}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, path: Path) -> Exported:
        """Read what `to_json` wrote into a file; anything else raises ActionstreamError, which names the file."""
        return parse_json(text, cls, f"the metadata of {path} (export it anew)")


def check_snippets(card: Card) -> np.ndarray:
    """The input of a self-check: moving waves, uint8 (NUM_CHECKED, height, width, channels)."""
    size = card.preprocessing
    time, row, column, channel = np.meshgrid(
        *map(np.arange, (NUM_CHECKED, size.height, size.width, size.channels)), indexing="ij", sparse=True
    )
    wave = np.sin(0.9 * time + 11 * row / size.height + 2 * channel) + np.cos(1.3 * time - 17 * column / size.width)
    return (127.5 + 60 * wave).astype(np.uint8)
