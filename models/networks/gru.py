"""Gated recurrent units over features, as in MiniROAD (An et al., ICCV 2023): an embedding, a GRU, a linear layer.

Letters: B streams, T snippets, C features, D hidden units, K classes.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from actionstream.kernels import read, replace
from actionstream.models.common.checked import checked
from actionstream.models.network import Network, State


@checked
class _Sizes:
    """The bounds of the arguments, which a card may have from anywhere."""

    in_channels: Annotated[int, Field(ge=1, le=65_536)]
    num_hidden: Annotated[int, Field(ge=1, le=8_192)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    input_dropout: Annotated[float, Field(ge=0, lt=1)]


class GRU(Network):
    """A network of features; its state is the output of the GRU for the last snippet.

    in_channels    features of a snippet; the mean of each map counts
    num_hidden     units of the embedding and of the GRU (D)
    dropout        of the embedding, and before the linear layer
    input_dropout  of the features
    """

    def __init__(
        self,
        *,
        num_classes: int = 2,
        in_channels: int = 1024,
        num_hidden: int = 256,
        dropout: float = 0.5,
        input_dropout: float = 0.5,
    ):
        sizes = _Sizes(in_channels=in_channels, num_hidden=num_hidden, dropout=dropout, input_dropout=input_dropout)
        super().__init__(num_classes=num_classes, in_channels=in_channels, shift="none", n_div=8, shift_padding="zero")
        self.num_hidden = sizes.num_hidden
        self.embedding = nn.Sequential(
            nn.Dropout(input_dropout),
            nn.Linear(in_channels, num_hidden),
            nn.LayerNorm(num_hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.gru = nn.GRUCell(num_hidden, num_hidden)  # nn.GRU has a second list of its weights, which exports warn of
        self.classifier = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(num_hidden, num_classes))

    def trunk(self, frames: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Features (B, T, C, h, w) to the output of the GRU (B, T, D, 1, 1), and its last row (B, D), the new leaf."""
        (leaf,) = self.empty_state(len(frames), 1, 1) if state is None else state
        seen, weights = self.embedding(frames.mean((-2, -1))), tuple(self.gru.parameters())
        found, last = torch.gru(seen, read(leaf).unsqueeze(0), weights, True, 1, 0.0, self.training, False, True)
        return found[..., None, None], (replace(leaf, last.squeeze(0)),)

    def head(self, features: Tensor) -> Tensor:
        return self.classifier(features.flatten(2))

    def empty_state(self, num_streams: int, height: int, width: int) -> tuple[Tensor, ...]:
        return (next(self.gru.parameters()).new_zeros(num_streams, self.num_hidden),)
