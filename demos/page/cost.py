"""Estimate the memory of a visitor's model from its card, before its weights are read."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from actionstream.models.card import Card
from actionstream.models.catalogue import create_empty
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import call_on_meta
from actionstream.models.preprocessing import LONGEST
from actionstream.models.weights.checkpoint import read_card
from actionstream.models.window import Window

LIVE_AT_ONCE = 3
"""Feature maps that are in memory at once: input, output and shortcut of a layer."""


@dataclass(frozen=True)
class Cost:
    """Bytes of the weights, of the state of one stream, and of the activations while one snippet is scored."""

    weights: int
    state: int
    work: int

    @property
    def all(self) -> int:
        return self.weights + self.state + self.work


def check_cost(path: str | os.PathLike[str], *, name: str, max_bytes: float) -> Cost:
    """The memory of a checkpoint's model with one stream; ActionstreamError where it exceeds `max_bytes`."""
    cost = cost_of(read_card(path))
    if cost.all > max_bytes:
        raise ActionstreamError(
            f"{name} takes {cost.all / 1e6:.0f} MB with one stream; the most are {max_bytes / 1e6:g} MB here"
        )
    return cost


def cost_of(card: Card) -> Cost:
    """Compute the cost on the meta device: it has only shapes, no data."""
    network = create_empty(card.network, **card.arguments).eval()
    live = network if network.streams else Window(network, num_frames=card.num_frames, stride=card.stride)
    size = card.preprocessing
    num_snippets = 1 if network.streams else card.num_frames
    largest = _Largest()
    with largest:
        call_on_meta(network, (1, num_snippets, network.in_channels, size.height, size.width))
    picture = LONGEST * (size.short_side or max(size.height, size.width)) ** 2 * network.in_channels
    return Cost(
        weights=sum(parameter.nbytes for parameter in network.parameters()),
        state=live.state_bytes(size.height, size.width),
        work=LIVE_AT_ONCE * largest.bytes + picture,
    )


class _Largest(TorchDispatchMode):
    """Records the bytes of the largest tensor that an operator returns."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if any(each.alias_info for each in func._schema.returns):  # a view takes no memory
            return result
        made = [each.nbytes for each in tree_leaves(result) if isinstance(each, torch.Tensor)]
        self.bytes = max(self.bytes, *made, 0)
        return result
