"""Scores of videos by what was learnt from others: what decisions and figures are made of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from actionstream.detector.features import VideoFeatures
from actionstream.models.network import Network, State
from actionstream.videos.scores import VideoScores

ROWS_AT_ONCE = 4096


def folds_of(groups: Sequence[str], seconds: Sequence[float], num_folds: int) -> list[list[int]]:
    """The numbers of the videos of each fold: a group is in one fold, and folds are about equally long.

    There are as many folds as groups where these are fewer.
    """
    lengths: dict[str, float] = {}
    for group, each in zip(groups, seconds, strict=True):
        lengths[group] = lengths.get(group, 0.0) + each
    num_folds = min(num_folds, len(lengths))
    fold_of: dict[str, int] = {}
    total = [0.0] * num_folds
    for group in sorted(lengths, key=lambda group: (-lengths[group], group)):
        fold_of[group] = shortest = total.index(min(total))
        total[shortest] += lengths[group]
    return [[number for number, group in enumerate(groups) if fold_of[group] == fold] for fold in range(num_folds)]


@torch.inference_mode()
def score_features(memory: Network, video: VideoFeatures) -> VideoScores:
    """The scores of a video, as those of the whole network would be live."""
    memory.eval()
    parts: list[np.ndarray] = []
    ages: list[np.ndarray] = []
    for first, end in pairwise([*np.flatnonzero(video.begins_anew).tolist(), len(video.rows)]):
        state: State | None = None
        ages.append(np.arange(1, end - first + 1))
        for begin in range(first, end, ROWS_AT_ONCE):
            rows = torch.from_numpy(video.rows[begin : min(end, begin + ROWS_AT_ONCE)].astype(np.float32))
            scores, state = memory(rows[None, :, :, None, None], state)
            parts.append(scores[0].numpy())
    return VideoScores(
        times_seconds=video.times_seconds,
        scores=np.concatenate(parts),
        rows_since_reset=np.concatenate(ages),
        duration_seconds=video.duration_seconds,
    )
