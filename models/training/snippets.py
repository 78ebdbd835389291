"""The snippets of a clip as models.modality makes them live: pictures, stacks of pictures, stacks of flow."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from models.modality import find_flow, to_grey
from models.preprocessing import Preprocessing
from models.training.reading import read_frames


def read_snippets(path: Path, places: np.ndarray, preprocessing: Preprocessing, *, whole: bool = False) -> np.ndarray:
    """Snippets of a video, each of N pictures at `places` (T, N) in it: uint8 (T, height, width, channels).

    whole  at the scale of the preprocessing, with what it cuts off still around it; else as the network takes them
    """
    numbers = np.unique(places).tolist()
    frames = dict(zip(numbers, read_frames(path, numbers), strict=True))
    rows: list[list[int]] = places.tolist()
    if not preprocessing.is_flow:
        shape = preprocessing.scale if whole else preprocessing.resize
        pictures = {number: shape(frame) for number, frame in frames.items()}
        return np.stack([np.concatenate([pictures[number] for number in row], axis=2) for row in rows])
    greys = {number: to_grey(preprocessing.scale(frame)) for number, frame in frames.items()}
    pairs = {pair for row in rows for pair in pairwise(row)}
    flows = {(a, b): find_flow(greys[a], greys[b], preprocessing) for a, b in pairs}
    stacks = [np.concatenate([flows[pair] for pair in pairwise(row)], axis=2) for row in rows]
    return np.stack(stacks if whole else [preprocessing.crop(stack) for stack in stacks])
