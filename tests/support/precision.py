"""How far float32 may be from the right scores: as far as eager PyTorch is from float64 here, and some more.

Sums come out in another order on another processor, with another number of threads, and in another library. A limit
that is a number of its own is too strict somewhere or says nothing; float64 is the same everywhere.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from actionstream.models.network import Network

FACTOR = 8
"""Times eager's own distance to float64. With other inputs, seeds, processors and orders of sums the distances of one
network were within a factor of three of each other; a fault is farther off by a factor of hundreds."""

LEAST = 4
"""Roundings (`eps`) that eager's distance is taken to have at least: of a few scores all may be right by chance."""

EXACT = 1e-10
"""What may differ in float64, where only the order of sums is another one: its rounding errors are below 1e-15, and
networks were not seen to make them a thousand times as large."""

CONTRACT = {torch.float32: 1e-5, torch.float64: 1e-12}
"""What the laws of a stream allow at most, between two ways to the same scores."""


def apart(found: Tensor | np.ndarray, expected: Tensor | np.ndarray) -> float:
    """max |found - expected| / max |expected|"""
    found, expected = (np.asarray(each, np.float64) for each in (found, expected))
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@torch.inference_mode()
def scores_in(dtype: torch.dtype, network: Network, frames: Tensor) -> np.ndarray:
    """Scores (B, T, K) of frames (B, T, C, H, W), or (B, K) of a clip, by a copy of the network in this precision."""
    scores = copy.deepcopy(network).to(dtype)(frames.to(dtype))
    return (scores[0] if network.streams else scores).double().numpy()


def float64_bound(
    network: Network,
    frames: Tensor,
    *,
    dtype: torch.dtype = torch.float32,
    of: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> tuple[np.ndarray, float]:
    """What comes out of the network in float64, and how far from it (`apart`) an answer in `dtype` may be.

    of  makes of the scores what is compared, as probabilities
    """
    exact, eager = (of(scores_in(each, network, frames)) for each in (torch.float64, dtype))
    return exact, FACTOR * max(apart(eager, exact), LEAST * torch.finfo(dtype).eps)
