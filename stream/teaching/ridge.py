"""Ridge regression with exact predictions for groups that are left out.

Letters: N rows, D values of a row, K targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONSTANT = 10.0
"""The constant that is appended to each row; it is so large that the penalty hardly holds the offset back."""


@dataclass(frozen=True, eq=False)
class Ridge:
    """A fit.

    weights   float64 (K, D)
    offset    float64 (K,)
    left_out  float64 (N, K): the prediction for each row by the fit to all rows of the other groups
    """

    weights: np.ndarray
    offset: np.ndarray
    left_out: np.ndarray


def fit_ridge(
    rows: np.ndarray, targets: np.ndarray, groups: np.ndarray, *, penalties: Sequence[float], counts: np.ndarray
) -> list[Ridge]:
    """Fit targets (N, K) to rows (N, D), once for each penalty.

    groups     int (N,): rows of one group are left out together
    penalties  of the squared weights, as shares of the squared lengths of all rows
    counts     (N,): a row counts as much as this number of rows

    The predictions of a fit without group g follow from the one fit to all: with the hat matrix H,
    e_g = (1 - H_gg)^-1 (y_g - H_g y) are the errors (Cook and Weisberg, 1982, section 2.2).
    """
    by_count = np.sqrt(counts)[:, None]
    scale = np.sqrt((counts @ (rows.astype(np.float64) ** 2).sum(axis=1)) / counts.sum())
    x = np.concatenate([rows / scale, np.full((len(rows), 1), CONSTANT)], axis=1) * by_count
    y = targets * by_count
    values, vectors = np.linalg.eigh(x @ x.T)
    values, turned = values.clip(min=0), vectors.T @ y
    of_groups = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    fits = []
    for penalty in penalties:
        damped = 1 / (values + penalty * counts.sum())
        errors = y - vectors @ ((values * damped)[:, None] * turned)
        left_out = np.empty_like(y)
        for own in of_groups:
            hat = (vectors[own] * (values * damped)) @ vectors[own].T
            left_out[own] = y[own] - np.linalg.solve(np.eye(len(own)) - hat, errors[own])
        weights = (vectors @ (damped[:, None] * turned)).T @ x
        fits.append(Ridge(weights[:, :-1] / scale, weights[:, -1] * CONSTANT, left_out / by_count))
    return fits
