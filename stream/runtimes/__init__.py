"""Runtimes: a model, the states of the streams it serves, and a step for those who have a frame now."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np

from actionstream.choices import RuntimeName
from actionstream.models.card import Card
from actionstream.models.errors import ActionstreamError

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


def open_runtime(
    model: str | os.PathLike[str],
    *,
    runtime: RuntimeName = "auto",
    device: str = "auto",
    num_threads: int | None = None,
    export_meanwhile: bool = False,
    **loading: Any,
) -> Runtime:
    """The runtime of a model.

    model             as models.load takes it, and `loading` the rest of what that takes; or an exported file
    runtime           "torch", as it is, the reference; "compile", by torch.compile; "graphs", CUDA graphs; "onnx", ONNX
                      Runtime, and "openvino", which export the model first if that has not been done; "auto": the
                      fastest that is there: "graphs" on CUDA, and on a CPU "onnx" if the model has been exported
    device            "auto" (CUDA, Apple's MPS, else the CPU), "cpu", "cuda" or "mps"
    num_threads       of a step on a CPU; a few unless given
    export_meanwhile  where "auto" finds no export: make one in the background, and change to it when it is there

    All but the reference are compared with it on a few pictures. ValueError for one that cannot be had, or is not the
    same; "auto" takes the next one then, with a RuntimeWarning.
    """
    from actionstream.runtimes import choice

    if runtime not in get_args(RuntimeName):
        raise ActionstreamError(f"no runtime {runtime!r}; there are {', '.join(get_args(RuntimeName))}")
    if num_threads is not None and num_threads < 1:
        raise ActionstreamError(f"{num_threads} threads; 1 or more")
    if choice.is_exported(model):
        if loading:
            raise ActionstreamError(f"{model} is exported, and has labels and weights of its own")
        return choice.open_exported(Path(model), runtime, device=device, num_threads=num_threads)
    if runtime == "auto":
        return choice.open_fastest(
            model, device=device, num_threads=num_threads, export_meanwhile=export_meanwhile, **loading
        )
    return choice.open_named(model, runtime, device=device, num_threads=num_threads, **loading)
