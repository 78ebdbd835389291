"""Exponential moving averages of embedded features, fast and slow ones, and a layer over how they differ.

The differences say what has changed in the last moment and in the last seconds; the slowest average says where that
happens. What is kept is given, and need not be learnt from few examples, as the gates of a GRU must be.

Letters: B streams, T snippets, t snippets of a block, C features, N averages, D hidden units, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field, Strict
from torch import Tensor, nn
from torch.nn import functional

from actionstream.kernels import read, replace
from actionstream.models.common.checked import checked
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Network, State

BLOCK = 64
"""Snippets that are averaged at once: the weights of a block of t snippets are (N, t, t + 1)."""
Span = Annotated[float, Field(ge=0.1, le=1e6)]


@checked
class _Sizes:
    """The bounds of the arguments, which a card may have from anywhere."""

    in_channels: Annotated[int, Field(ge=1, le=65_536)]
    spans: Annotated[tuple[Span, ...], Strict(False), Field(min_length=1, max_length=32)]
    num_hidden: Annotated[int, Field(ge=1, le=8_192)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    input_dropout: Annotated[float, Field(ge=0, lt=1)]

    def __post_init__(self) -> None:
        if any(after <= before for before, after in pairwise(self.spans)):
            raise ActionstreamError(f"spans are {self.spans}; expected numbers that rise")


class MovingAverages(Network):
    """A network of features; its state is the averages after the last snippet.

    in_channels    features of a snippet (C); the mean of each map counts
    spans          time constants of the averages in snippets, in rising order (N)
    num_hidden     units of the embedding, and of the layer over the differences (D)
    dropout        of the embedding, and of that layer
    input_dropout  of the features
    """

    def __init__(
        self,
        *,
        num_classes: int = 2,
        in_channels: int = 1024,
        spans: Sequence[float] = (2.0, 4.0, 8.0, 16.0, 32.0),
        num_hidden: int = 256,
        dropout: float = 0.5,
        input_dropout: float = 0.5,
    ):
        sizes = _Sizes(
            in_channels=in_channels,
            spans=tuple(spans),
            num_hidden=num_hidden,
            dropout=dropout,
            input_dropout=input_dropout,
        )
        super().__init__(num_classes=num_classes, in_channels=in_channels, shift="none", n_div=8, shift_padding="zero")
        self.num_hidden = num_hidden
        self.decays = [math.exp(-1 / span) for span in sizes.spans]
        self.embedding = nn.Sequential(nn.Dropout(input_dropout), *_layer(in_channels, num_hidden, dropout))
        self.comparison = nn.Sequential(*_layer(num_hidden * (len(sizes.spans) + 1), num_hidden, dropout))
        self.classifier = nn.Linear(num_hidden, num_classes)

    def trunk(self, frames: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Features (B, T, C, h, w) to (B, T, D, 1, 1), and the new leaf (B, N, D + 1).

        The last channel of the leaf averages the constant 1: it is the weight of all snippets since the state was
        empty, by which the others are divided.
        """
        (leaf,) = self.empty_state(len(frames), 1, 1) if state is None else state
        seen, past = self.embedding(frames.mean((-2, -1))), read(leaf)
        parts = []
        for block in functional.pad(seen.to(past.dtype), (0, 1), value=1.0).split(BLOCK, dim=1):
            rows = torch.cat([past.unsqueeze(2), block.unsqueeze(1).expand(-1, past.shape[1], -1, -1)], dim=2)
            parts.append(self._weights(block.shape[1], past) @ rows)
            past = parts[-1][:, :, -1]
        sums = torch.cat(parts, dim=2)
        averages = (sums[..., :-1] / sums[..., -1:]).to(seen.dtype)
        levels = torch.cat([seen.unsqueeze(1), averages], dim=1)
        differences = torch.cat([levels[:, :-1] - levels[:, 1:], levels[:, -1:]], dim=1)
        found: Tensor = self.comparison(differences.transpose(1, 2).flatten(2))
        return found[..., None, None], (replace(leaf, past),)

    def head(self, features: Tensor) -> Tensor:
        return self.classifier(features.flatten(2))

    def empty_state(self, num_streams: int, height: int, width: int) -> tuple[Tensor, ...]:
        like = self.classifier.weight
        # small steps of a slow average vanish in half precision
        dtype = torch.promote_types(like.dtype, torch.float32)
        return (like.new_zeros(num_streams, len(self.decays), self.num_hidden + 1, dtype=dtype),)

    def _weights(self, num_snippets: int, like: Tensor) -> Tensor:
        """The weights (N, t, t + 1) of the average before a block, and of its snippets, in the average at each."""
        ends = torch.arange(1, num_snippets + 1, device=like.device, dtype=like.dtype)
        ages = ends.unsqueeze(1) - torch.arange(num_snippets + 1, device=like.device, dtype=like.dtype)
        decays = like.new_tensor(self.decays)[:, None, None]
        weights = decays ** ages.clamp(min=0) * (ages >= 0)
        return torch.cat([weights[..., :1], weights[..., 1:] * (1 - decays)], dim=2)


def _layer(num_inputs: int, num_hidden: int, dropout: float) -> list[nn.Module]:
    return [nn.Linear(num_inputs, num_hidden), nn.LayerNorm(num_hidden), nn.ReLU(), nn.Dropout(dropout)]
