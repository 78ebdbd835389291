"""Non-local blocks (Wang et al., CVPR 2018, arXiv:1711.07971, sections 3.2 and 3.3)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool3d

from actionstream.models.common.errors import ActionstreamError

Affinity = Literal["embedded-gaussian", "gaussian", "dot-product", "concatenation"]


class NonLocal(nn.Module):
    """x plus, at each place and time, a weighted mean of all places and times.

        volume = block(volume)                    (B, C, T, H, W), the same size out

    affinity  how the weights are computed: a softmax for the Gaussian kinds; for "dot-product" and "concatenation", a
              division by the number of keys

    Keys and values are max-pooled over 2 x 2 places, the bottleneck has C / 2 channels, and the batch norm of the last
    convolution starts at zero, so that the block starts as the identity.
    """

    def __init__(self, channels: int, affinity: Affinity = "embedded-gaussian"):
        super().__init__()
        if affinity not in get_args(Affinity):
            raise ActionstreamError(
                f"the affinity of a non-local block is {affinity!r}; it is one of {get_args(Affinity)}"
            )
        self.affinity = affinity
        inner = max(channels // 2, 1)
        self.g = nn.Conv3d(channels, inner, 1)
        if affinity != "gaussian":
            self.theta = nn.Conv3d(channels, inner, 1)
            self.phi = nn.Conv3d(channels, inner, 1)
        if affinity == "concatenation":
            self.pair = nn.Linear(2 * inner, 1, bias=False)
        self.out = nn.Sequential(nn.Conv3d(inner, channels, 1), nn.BatchNorm3d(channels))
        nn.init.zeros_(self.out[1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        values = _pooled(self.g(x)).flatten(2)
        mean = torch.einsum("bqk,bck->bcq", self._weights(x), values)
        return x + self.out(mean.unflatten(2, x.shape[2:]))

    def _weights(self, x: Tensor) -> Tensor:
        """(B, queries, keys)"""
        if self.affinity == "gaussian":
            queries, keys = x.flatten(2), _pooled(x).flatten(2)
        else:
            queries, keys = self.theta(x).flatten(2), _pooled(self.phi(x)).flatten(2)
        if self.affinity == "concatenation":  # a linear layer on a concatenation is a sum of two linear layers
            of_queries, of_keys = self.pair.weight[0].chunk(2)
            pairs = (of_queries @ queries).unsqueeze(2) + (of_keys @ keys).unsqueeze(1)
            return torch.relu(pairs) / keys.shape[2]
        products = queries.transpose(1, 2) @ keys
        return products / keys.shape[2] if self.affinity == "dot-product" else torch.softmax(products, dim=2)


def _pooled(x: Tensor) -> Tensor:
    return max_pool3d(x, (1, 2, 2)) if min(x.shape[-2:]) > 1 else x
