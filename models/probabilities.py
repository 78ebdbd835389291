"""Probabilities of scores, in numpy; no score is too large."""

from __future__ import annotations

import numpy as np


def softmax(scores: np.ndarray) -> np.ndarray:
    """Finite scores (..., K) to float64 (..., K) with a sum of 1 in each row."""
    scores = np.asarray(scores, np.float64)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(scores: np.ndarray) -> np.ndarray:
    """Scores of any shape to float64 of that shape, each from 0 to 1."""
    powers = np.exp(-np.abs(np.asarray(scores, np.float64)))  # from 0 to 1, and never too large
    return np.where(np.asarray(scores) >= 0, 1, powers) / (1 + powers)
