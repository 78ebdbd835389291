"""Controls: how many clips of held-out groups are classified correctly without their movement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from actionstream.models.training.datasets import Clip, leave_one_out
from actionstream.models.training.reading import read_frames, stretch_of

BINS = 4
"""Ordered parts of a clip; the linear classifier on frozen features sees the mean of each."""


def shape_features(clip: Clip) -> np.ndarray:
    """The logarithms of picture height, picture width and number of frames, with squares and products, (9,)."""
    height, width = read_frames(clip.path, [0])[0].shape[:2]
    logs = np.log([height, width, len(stretch_of(clip))])
    return np.concatenate([logs, np.outer(logs, logs)[np.triu_indices(3)]])


def binned_features(features: np.ndarray) -> np.ndarray:
    """Features (n, D) of the frames of a clip to the means of BINS parts of it, (BINS * D,)."""
    if len(features) < BINS:
        features = features[np.linspace(0, len(features) - 1, BINS).round().astype(int)]
    return np.concatenate([part.mean(axis=0) for part in np.array_split(features, BINS)])


def count_right(clips: Sequence[Clip], features: Sequence[np.ndarray]) -> dict[str, int]:
    """Correctly classified clips of each group, by a linear classifier trained on the other groups of its set."""
    rows = dict(zip(((clip.path, clip.labels) for clip in clips), features, strict=True))
    labels = sorted({clip.labels[0] for clip in clips})
    groups = sorted({clip.group for clip in clips})
    right = {}
    for number, group in enumerate(groups, start=1):
        training, held_out = leave_one_out(clips, number)
        known, asked = (np.stack([rows[clip.path, clip.labels] for clip in side]) for side in (training, held_out))
        truth, wanted = ([labels.index(clip.labels[0]) for clip in side] for side in (training, held_out))
        right[group] = int((read_out(known, truth, asked) == wanted).sum())
    return right


def read_out(known: np.ndarray, truth: Sequence[int], asked: np.ndarray, *, decay: float = 1e-2) -> np.ndarray:
    """Classes (M,) of `asked` (M, D) by multinomial logistic regression on `known` (N, D), standardised, L2 decay."""
    mean, std = known.mean(axis=0), known.std(axis=0) + 1e-6
    x, y = torch.from_numpy((known - mean) / std).float(), torch.tensor(truth)
    model = nn.Linear(x.shape[1], max(truth) + 1)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    optimiser = torch.optim.LBFGS(model.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = functional.cross_entropy(model(x), y) + decay / 2 * model.weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    with torch.inference_mode():
        return model(torch.from_numpy((asked - mean) / std).float()).argmax(dim=1).numpy()
