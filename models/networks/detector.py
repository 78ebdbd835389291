"""A live detector of actions: frozen backbones, and a small network of features that remembers what they have seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from actionstream.models.catalogue import create
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import State
from actionstream.models.networks.frozen_backbones import FrozenBackbones


class Detector(FrozenBackbones):
    """Frozen backbones, and a memory: a streaming network of features, which alone is trained.

    backbones, num_features, in_channels  see `FrozenBackbones`
    memory                                the name of the memory in the catalogue
    arguments                             for the memory, besides the numbers of features and classes
    """

    def __init__(
        self,
        *,
        backbones: Sequence[dict[str, Any]],
        num_features: int = 1024,
        memory: str = "moving_averages",
        arguments: dict[str, Any] | None = None,
        num_classes: int = 2,
        in_channels: int = 6,
    ):
        super().__init__(
            backbones=backbones, num_features=num_features, num_classes=num_classes, in_channels=in_channels
        )
        self.memory = create(memory, **(arguments or {}), in_channels=num_features, num_classes=num_classes)
        if not self.memory.streams:
            raise ActionstreamError(f"{memory} cannot be the memory of a detector: it needs whole clips")

    def remember(self, features: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Features (B, T, F) to what the memory gives to its head, and its state."""
        return self.memory.trunk(features[..., None, None], state)

    def head(self, features: Tensor) -> Tensor:
        return self.memory.head(features)

    def empty_memory(self, num_streams: int) -> tuple[Tensor, ...]:
        return self.memory.empty_state(num_streams, 1, 1)
