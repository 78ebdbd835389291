"""TSN's consensus functions (arXiv:1705.02953, section 3.3): from the scores of segments to the score of a video.

Letters: B videos, T segments, K classes, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from actionstream.models.common.errors import ActionstreamError


class Average(nn.Module):
    """The mean over segments."""

    needs_features = False

    def forward(self, scores: Tensor, features: Tensor | None = None) -> Tensor:
        """Scores (B, T, K) to (B, K), as every consensus; `features` (B, T, D) are read only where `needs_features`."""
        return scores.mean(dim=1)


class Maximum(nn.Module):
    """The maximum over segments, for each class."""

    needs_features = False

    def forward(self, scores: Tensor, features: Tensor | None = None) -> Tensor:
        return scores.amax(dim=1)


class TopK(nn.Module):
    """The mean of the k highest scores of each class; of all scores where there are fewer than k segments."""

    needs_features = False

    def __init__(self, k: int = 3):
        super().__init__()
        if k < 1:
            raise ActionstreamError(f"k is {k}; the mean is over 1 segment or more")
        self.k = k

    def forward(self, scores: Tensor, features: Tensor | None = None) -> Tensor:
        return scores.topk(min(self.k, scores.shape[1]), dim=1).values.mean(dim=1)


class LinearWeighting(nn.Module):
    """A weighted sum over segments; the weights are learned and start at 1 / T."""

    needs_features = False

    def __init__(self, num_segments: int):
        super().__init__()
        self.weight = nn.Parameter(torch.full((num_segments,), 1 / num_segments))

    def forward(self, scores: Tensor, features: Tensor | None = None) -> Tensor:
        if scores.shape[1] != len(self.weight):
            raise ActionstreamError(
                f"there is a weight for each of {len(self.weight)} segments, not for {scores.shape[1]}"
            )
        return torch.einsum("t,btk->bk", self.weight, scores)


class AttentionWeighting(nn.Module):
    """A weighted sum over segments; the weights are the softmax of w . feature, where w is learned and starts at 0."""

    needs_features = True

    def __init__(self, num_features: int):
        super().__init__()
        self.attention = nn.Parameter(torch.zeros(num_features))

    def forward(self, scores: Tensor, features: Tensor | None = None) -> Tensor:
        if features is None:
            raise ActionstreamError("attention weighting needs the features of the segments beside their scores")
        weights = torch.softmax(features @ self.attention, dim=1)
        return torch.einsum("bt,btk->bk", weights, scores)
