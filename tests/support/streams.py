"""Streams that are cut into calls."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from actionstream.models.network import Network, State


@torch.no_grad()
def run(network: Network, x: Tensor, cuts: Iterable[int] = (), state: State | None = None) -> tuple[Tensor, State]:
    """The scores of frames (B, T, ...) in calls that begin at the cuts, and the last state."""
    rows = []
    for begin, end in zip((0, *cuts), (*cuts, x.shape[1]), strict=True):
        scores, state = network(x[:, begin:end], state)
        rows.append(scores)
    return torch.cat(rows, dim=1), state
