"""The protocol of runtimes: a model, the states of its streams, and a step for a batch of streams."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from actionstream.models.card import Card

StateArrays = tuple[np.ndarray, ...]
"""The state of one stream, an array for each leaf."""


class Runtime(Protocol):
    """A runtime of the engine. It takes and returns numpy arrays, and owns the pool of states.

    software, precision  what runs the network, such as "onnx", and in which numbers, such as "float32"
    chunk                the best number of successive snippets of one stream for a step
    """

    card: Card
    software: str
    precision: str
    chunk: int

    def allocate(self) -> int:
        """Take a free slot and empty its state."""

    def free(self, slot: int) -> None:
        """Give a slot back."""

    def step(self, snippets: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """Score the next T snippets of B streams and update their states.

        snippets  uint8 (B, T, height, width, C), resized as the card's preprocessing says, not normalised
        slots     int64 (B,), a slot for each stream, each only once

        Returns scores (logits) float32 (B, T, K).
        """

    def reset(self, slot: int) -> None:
        """Empty the state in a slot."""

    def read(self, slot: int) -> StateArrays:
        """A copy of the state in a slot."""

    def write(self, slot: int, state: StateArrays) -> None:
        """Put a state that `read` returned into a slot."""
