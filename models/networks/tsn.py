"""Temporal Segment Networks (Wang et al., ECCV 2016, arXiv:1608.00859): a video's score is a consensus of segments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from actionstream.models.catalogue import create
from actionstream.models.clip_network import ClipNetwork
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.networks.consensus import AttentionWeighting, Average, LinearWeighting, Maximum, TopK

Consensus = Literal["average", "maximum", "top-k", "linear", "attention"]


class TSN(ClipNetwork):
    """A network of single snippets, and a consensus over the snippets of a clip.

    network       a name that `create` takes, of a network that scores single snippets; `arguments` go to it
    consensus     see actionstream.models.networks.consensus
    num_segments  snippets of a clip where the consensus is "linear", which has a weight for each
    k             of "top-k"
    """

    def __init__(
        self,
        *,
        network: str = "tsn_resnet50",
        consensus: Consensus = "average",
        num_segments: int = 3,
        k: int = 3,
        num_classes: int = 400,
        in_channels: int = 3,
        **arguments: Any,
    ):
        super().__init__(num_classes=num_classes, in_channels=in_channels)
        self.segment = 1
        self.network = create(network, num_classes=num_classes, in_channels=in_channels, **arguments)
        if not self.network.streams or self.network.shift != "none":
            raise ActionstreamError(
                f"{network} with {arguments} does not score snippets one by one; TSN needs one that does"
            )
        num_features = next(m.in_features for m in reversed(list(self.network.modules())) if isinstance(m, nn.Linear))
        makers: dict[str, Callable[[], nn.Module]] = {
            "average": Average,
            "maximum": Maximum,
            "top-k": lambda: TopK(k),
            "linear": lambda: LinearWeighting(num_segments),
            "attention": lambda: AttentionWeighting(num_features),
        }
        if consensus not in makers:
            raise ActionstreamError(f"no consensus {consensus!r}; there are {', '.join(makers)}")
        self.consensus = makers[consensus]()

    def trunk(self, clip: Tensor) -> Tensor:  # type: ignore[override]
        """Snippets (B, T, C, H, W) to their feature maps (B, T, D, h, w)."""
        return self.network.trunk(clip)[0]

    def head(self, features: Tensor) -> Tensor:
        return self.second_part(self._summary(features))

    def first_part(self, frames: Tensor) -> Tensor:
        """Snippets (B, T, C, H, W) to scores (B, T, K), followed along the last dimension by features where needed."""
        return self._summary(self.trunk(frames))

    def _summary(self, maps: Tensor) -> Tensor:
        scores = self.network.head(maps)
        return torch.cat([scores, maps.mean(dim=(-2, -1))], dim=2) if self.consensus.needs_features else scores

    def second_part(self, features: Tensor) -> Tensor:
        scores, features = features.split([self.num_classes, features.shape[2] - self.num_classes], dim=2)
        return self.consensus(scores, features)
