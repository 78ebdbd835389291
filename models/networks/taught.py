"""A network that a few examples teach: frozen backbones, a ring of their last features, and one linear layer.

The linear layer reads windows of several lengths that end at the snippet. Each window is cut into ordered parts, and a
part is described by the mean of its features: the order of the parts tells an action from its reverse. The ring is a
leaf of the state; so it streams like every other network.

Letters: B streams, T snippets, N snippets of the ring, F features, L lengths, P parts,
K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field, Strict
from torch import Tensor, nn
from torch.nn import functional

from actionstream.kernels import read, replace
from actionstream.models.common.checked import NumFrames, checked
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import State
from actionstream.models.networks.frozen_backbones import FrozenBackbones, Small, part_weights

MOST_RING = 2**24
"""The most values of a stream's ring, 64 MB; eight seconds of 1,024 features have 61,440."""


@checked
class _Windows:
    """The bounds of a taught network's arguments, which a card may have from anywhere."""

    lengths: Annotated[tuple[NumFrames, ...], Strict(False), Field(min_length=1, max_length=64)]
    num_parts: Small
    num_features: Annotated[int, Field(ge=1, le=65_536)]

    def __post_init__(self) -> None:
        if max(self.lengths) * self.num_features > MOST_RING:
            raise ActionstreamError(
                f"a ring of {max(self.lengths)} snippets of {self.num_features} features; expected "
                f"{MOST_RING:,} values at most"
            )


class Taught(FrozenBackbones):
    """Frozen backbones, a ring of their last features, and a linear layer over the ordered parts of windows.

    backbones, num_features, in_channels  see `FrozenBackbones`
    lengths                               of the windows, in snippets; the ring has the longest (N)
    num_parts                             of a window (P)

    Class 0 is "none of these": a window's score of a class is its margin over it, and the network's score is the
    highest of all windows.
    """

    def __init__(
        self,
        *,
        backbones: Sequence[dict[str, Any]],
        num_features: int = 1024,
        lengths: Sequence[int] = (8, 16, 24),
        num_parts: int = 6,
        num_classes: int = 2,
        in_channels: int = 6,
    ):
        windows = _Windows(lengths=tuple(lengths), num_parts=num_parts, num_features=num_features)
        super().__init__(
            backbones=backbones, num_features=num_features, num_classes=num_classes, in_channels=in_channels
        )
        self.lengths = windows.lengths
        self.num_parts = num_parts
        self.linear = nn.Linear(num_features * num_parts, num_classes)

    def remember(self, features: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Features (B, T, F) to the ordered parts of the windows that end there (B, T, P F, L, 1), and the new leaves.

        The leaves are the ring, and the number of snippets so far, up to the length of the ring.
        """
        ring, age = self.empty_memory(len(features)) if state is None else state
        is_first = (read(age) == 0).unsqueeze(2)
        past = torch.where(is_first, features[:, :1], read(ring))  # the first snippet stands in for those before it
        rows = torch.cat([past, features], dim=1)
        num_snippets, length = features.shape[1], past.shape[1]
        windows = torch.stack([rows[:, t + 1 : t + 1 + length] for t in range(num_snippets)], dim=1)
        parts = self._weights().to(rows.dtype) @ windows
        described = parts.unflatten(2, (-1, self.num_parts)).flatten(3).transpose(2, 3).unsqueeze(4)
        new_age = (read(age) + num_snippets).clamp(max=length)
        return described, (replace(ring, rows[:, -length:]), replace(age, new_age))

    def head(self, features: Tensor) -> Tensor:
        """The ordered parts of windows (B, T, P F, L, 1) to scores (B, T, K)."""
        scores = self.linear(features.squeeze(4).transpose(2, 3))
        return (scores - scores[..., :1]).amax(dim=2)

    def set_linear(self, weights: Tensor, offset: Tensor, lengths: Sequence[int]) -> None:
        """Another linear layer, weights (K, P F) and offset (K,), for windows of other lengths."""
        self.lengths = tuple(lengths)
        self.num_classes = len(offset)
        self.linear = nn.Linear(weights.shape[1], len(offset))
        self.linear.load_state_dict({"weight": weights, "bias": offset})

    def empty_memory(self, num_streams: int) -> tuple[Tensor, Tensor]:
        """The features of the last snippets, and the number of snippets so far, up to the ring's length."""
        ring = self.signs.new_zeros(num_streams, max(self.lengths), self.num_features)
        return ring, self.signs.new_zeros(num_streams, 1, dtype=torch.float32)  # bfloat16 cannot count beyond 256

    def _weights(self) -> Tensor:
        """The weights (L P, N) of the ring's snippets in each part of each window."""
        longest = max(self.lengths)
        like = self.signs
        return torch.cat(
            [
                functional.pad(part_weights(self.num_parts, length, like), (longest - length, 0))
                for length in self.lengths
            ]
        )
