"""Runtimes: a model, the states of the streams it serves, and a step for those who have a frame now."""

from __future__ import annotations

import os
import warnings
from typing import Any, Protocol

import numpy as np

from models.checkpoint import Card

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


def open_runtime(model: str | os.PathLike[str], *, device: str = "auto", **loading: Any) -> Runtime:
    """The runtime of a model: on CUDA the one with graphs, if it agrees with the reference, else torch as it is.

    model    as models.load takes it, and `loading` the rest of what that takes
    device   "auto" (CUDA, Apple's MPS, else the CPU), "cpu", "cuda" or "mps"
    """
    from models.checkpoint import load
    from stream.runtimes.eager import TorchRuntime, choose_device

    network, card = load(model, **loading)
    if choose_device(device).type == "cuda" and network.streams:
        from kernels.cuda import has_cupy
        from stream.runtimes.graphs import GraphRuntime

        if has_cupy():
            try:
                return GraphRuntime.open(network, card, device=device)
            except RuntimeError as error:
                warnings.warn(
                    f"the runtime with CUDA graphs cannot be used here: {error}; labels come from plain torch, slower",
                    RuntimeWarning,
                    stacklevel=2,
                )
    return TorchRuntime(network, card, device=device)
