"""The catalogue's consensus functions (models/networks/consensus.py) in numpy, for where torch is not installed.

Each goes from scores (n, K) of n rows, at least one, to one row (K,).
"""

from __future__ import annotations

import numpy as np

from actionstream.models.card import softmax


def average(scores: np.ndarray) -> np.ndarray:
    """The mean over rows."""
    return scores.mean(axis=0)


def maximum(scores: np.ndarray) -> np.ndarray:
    """The maximum over rows, for each class."""
    return scores.max(axis=0)


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """The mean of the k >= 1 highest rows, for each class; of all where there are fewer."""
    if k < len(scores):
        scores = np.partition(scores, -k, axis=0)[-k:]
    return scores.mean(axis=0)


def attention_weighting(scores: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """The sum of the rows, weighted by a softmax over their logits (n,).

    With the catalogue's `AttentionWeighting` the logits are `features @ consensus.attention`, for the features (n, D)
    that the scores were made of.
    """
    return softmax(logits) @ scores
