"""The snippets of a clip as models.modality makes them live: pictures, stacks of pictures, stacks of flow."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from actionstream.models.modality import find_flow, to_grey
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.reading import read_frames


def read_snippets(
    path: Path,
    places: np.ndarray,
    preprocessing: Preprocessing,
    *,
    whole: bool = False,
    remarks: set[str] | None = None,
) -> np.ndarray:
    """Snippets of a video, each of N pictures at `places` (T, N) in it: uint8 (T, height, width, channels).

    whole    scaled but not cropped; else as the network takes them
    remarks  remarks on the video are added to them
    """
    numbers = np.unique(places).tolist()
    shape = preprocessing.scale if whole or preprocessing.is_flow else preprocessing.resize
    frames = _of_one_size(read_frames(path, numbers, shape=shape, remarks=remarks))
    pictures = dict(zip(numbers, frames, strict=True))
    rows: list[list[int]] = places.tolist()
    if not preprocessing.is_flow:
        return np.stack([np.concatenate([pictures[number] for number in row], axis=2) for row in rows])
    greys = {number: to_grey(picture) for number, picture in pictures.items()}
    pairs = {pair for row in rows for pair in pairwise(row)}
    flows = {(a, b): find_flow(greys[a], greys[b], preprocessing) for a, b in pairs}
    stacks = [np.concatenate([flows[pair] for pair in pairwise(row)], axis=2) for row in rows]
    return np.stack(stacks if whole else [preprocessing.crop(stack) for stack in stacks])


def _of_one_size(pictures: list[np.ndarray]) -> list[np.ndarray]:
    """Crop the middle of each picture to the smallest height and width: a video may change its size."""
    height, width = np.min([picture.shape[:2] for picture in pictures], axis=0)
    cut = []
    for picture in pictures:
        top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
        cut.append(picture[top : top + height, left : left + width])
    return cut
