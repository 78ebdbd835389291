"""What a runtime is: a model, the states of the streams it serves, and a step for those who have a frame now."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from actionstream.models.card import Card

StateArrays = tuple[np.ndarray, ...]
"""The state of one stream, an array for each leaf."""


class Runtime(Protocol):
    """What the engine asks of a runtime. It talks in numpy arrays and owns the pool of states.

    chunk  how many successive snippets of one stream a step does well to take, where there are as many
    """

    card: Card
    chunk: int

    def allocate(self) -> int:
        """A free slot, empty."""

    def free(self, slot: int) -> None:
        """Give a slot back."""

    def step(self, snippets: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """Score the next T snippets of B streams and move their states on.

        snippets  uint8 (B, T, height, width, C), resized as the card's preprocessing says, not normalised
        slots     int64 (B,), a slot for each stream, none twice

        Returns scores (logits) float32 (B, T, K).
        """

    def reset(self, slot: int) -> None:
        """Empty the state in a slot."""

    def read(self, slot: int) -> StateArrays:
        """A copy of the state in a slot."""

    def write(self, slot: int, state: StateArrays) -> None:
        """Put a state that `read` returned into a slot."""
