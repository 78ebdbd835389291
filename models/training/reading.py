"""The frames of a clip by their place in its video, or the maps of a file of features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from actionstream.models import video
from actionstream.models.common.errors import ActionstreamError, is_out_of_memory
from actionstream.models.training.datasets import Clip
from actionstream.models.video import FEATURES, FOLDER_RATE, SourceError


@dataclass(frozen=True)
class Stretch:
    """The frames of a clip in its video: places [first, last), `rate` of them a second (models.video.access)."""

    first: int
    last: int
    rate: float

    def __len__(self) -> int:
        return self.last - self.first


def stretch_of(clip: Clip) -> Stretch:
    """The stretch of a clip; SourceError where the video has no frame there, ValueError for a part of features."""
    if clip.path.suffix == FEATURES:
        if clip.seconds or clip.frames:
            raise ActionstreamError(
                f"{clip.path} has the features of a whole video, and the list asks for a part of it; give a list of "
                "videos"
            )
        return Stretch(0, len(_maps(clip.path)), FOLDER_RATE)
    index = video.index_of(clip.path)
    first, last = 0, index.num_places
    if clip.frames is not None:
        first, last = map(index.place_of, clip.frames)  # lists count pictures as they are stored
    elif clip.seconds is not None:
        first, last = (round(seconds * index.rate) for seconds in clip.seconds)
        last = min(max(last, first + 1), index.num_places)
    if first >= last:
        raise SourceError(f"{clip.path} has {index.num_places} frames, and none from {first} to {last}")
    return Stretch(first, last, index.rate)


def seconds_of(clip: Clip) -> float:
    """The duration of a clip; errors as of `stretch_of`."""
    stretch = stretch_of(clip)
    return len(stretch) / stretch.rate


def check_repeats(clip: Clip) -> None:
    """Raise SourceError where the video of a clip repeats its pictures too often for all its frames to be read."""
    if clip.path.suffix != FEATURES:
        video.check_repeats(clip.path, video.index_of(clip.path))


def read_frames(
    path: Path,
    places: Sequence[int],
    *,
    shape: Callable[[np.ndarray], np.ndarray] | None = None,
    remarks: set[str] | None = None,
) -> list[np.ndarray]:
    """Frames by their places, in the order asked for: RGB, uint8 (height, width, 3), or maps (h, w, D).

    See actionstream.models.video.read_frames, also for `shape` and `remarks`.
    """
    if path.suffix == FEATURES:
        maps = _maps(path)
        rows = (np.moveaxis(maps[min(place, len(maps) - 1)], 0, -1) for place in places)
        return [shape(row) if shape else row for row in rows]
    return video.read_frames(path, places, shape=shape, remarks=remarks)


def _maps(path: Path) -> np.ndarray:
    try:
        maps = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # numpy may raise anything for a corrupt header
        if is_out_of_memory(error):
            raise
        raise SourceError(f"{path} cannot be read as features: {str(error).splitlines()[0]}") from error
    if maps.ndim != 4 or not maps.size or maps.dtype.kind not in "fiu":
        raise SourceError(
            f"{path} is no file of features: these are numbers (T, D, h, w), and it is {maps.dtype} {maps.shape}"
        )
    return maps
