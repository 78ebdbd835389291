"""Average precision of a ranking, as the evaluators of different challenges define it."""

from __future__ import annotations

import numpy as np


def average_precision(hits: np.ndarray, num_positives: int) -> float:
    """The sum of the precision at each hit, over all positives; not interpolated (THUMOS14).

    hits  bool (N,): whether what was found is right, best score first
    """
    return float(_precision_at_hits(hits).sum() / num_positives)


def interpolated_average_precision(hits: np.ndarray, num_positives: int) -> float:
    """The same, with the best precision at that recall or more (Pascal VOC from 2010 on, ActivityNet)."""
    return float(np.maximum.accumulate(_precision_at_hits(hits)[::-1]).sum() / num_positives)


def _precision_at_hits(hits: np.ndarray) -> np.ndarray:
    places = np.flatnonzero(hits) + 1
    return np.arange(1, len(places) + 1) / places
