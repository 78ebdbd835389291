"""The temporal aggregation module of bLVNet-TAM (Fan et al., NeurIPS 2019, arXiv:1912.00869, section 3.2)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from actionstream.kernels import temporal_shift
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Carry, Network, TemporalShift

Temporal = Literal["shift", "aggregation"]
"""The temporal layers of a network whose `shift` is "uni" or "bi"."""


class TemporalAggregation(nn.Module):
    """relu(a * previous + b * x + c * next), with a weight for each channel: a temporal shift that is learned.

    direction  "bi" as in the paper; "uni" leaves out the next snippet and streams; its state is all channels of the
               previous snippet (times a)
    relu       whether the sum ends with a ReLU, as in the paper, where x has been through one
    """

    def __init__(self, channels: int, direction: Literal["uni", "bi"], *, relu: bool = True):
        super().__init__()
        self.causal = direction == "uni"
        self.relu = relu
        self.previous = self._weights(channels, 0.0)
        self.current = self._weights(channels, 1.0)
        self.next = None if self.causal else self._weights(channels, 0.0)

    @staticmethod
    def _weights(channels: int, value: float) -> nn.Conv2d:
        convolution = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
        nn.init.constant_(convolution.weight, value)
        return convolution

    def forward(self, x: Tensor, carry: Carry) -> Tensor:
        if self.next is None:
            before, leaf = temporal_shift(
                self.previous(x), carry.take(), num_snippets=carry.num_snippets, n_div=1, direction="uni"
            )
            carry.put(leaf)
            return self._end(before + self.current(x))
        both = torch.cat([self.next(x), self.previous(x)], dim=1)
        moved, _ = temporal_shift(both, num_snippets=carry.num_snippets, n_div=2, direction="bi")
        after, before = moved.chunk(2, dim=1)
        return self._end(before + self.current(x) + after)

    def _end(self, x: Tensor) -> Tensor:
        return torch.relu(x) if self.relu else x


def check_temporal(temporal: str) -> None:
    """Raise ActionstreamError for what is no kind of temporal layer."""
    if temporal not in get_args(Temporal):
        raise ActionstreamError(f'temporal is {temporal!r}; it is "shift" or "aggregation"')


def make_temporal(
    network: Network, temporal: Temporal, channels: int, *, relu: bool
) -> TemporalShift | TemporalAggregation | None:
    """The temporal layer for one place in a network; None where it has none."""
    if network.shift == "none" or temporal == "shift":
        return network.make_shift()
    return TemporalAggregation(channels, network.shift, relu=relu)
