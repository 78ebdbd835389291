"""The frames of a clip by their place: from a video, without decoding more than is needed, a folder of pictures, or a
file of features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from models.training.datasets import Clip
from models.video import FEATURES, pictures_in

FOLDER_RATE = 30.0  # frames a second of a file of features, and of a folder of pictures where it does not say
RATE_FILE = "rate.txt"
"""In a folder of pictures: how many of them are a second."""


@dataclass(frozen=True)
class Stretch:
    """The frames of a clip in its video: [first, last) at `rate` a second."""

    first: int
    last: int
    rate: float

    def __len__(self) -> int:
        return self.last - self.first


class _Index(NamedTuple):
    """What a file says of its frames without decoding them, in the order of their times.

    times  pts of each frame, in units of the stream; None where they do not increase, so that place / rate is the time
    """

    num_frames: int
    rate: float
    times: np.ndarray | None


class BrokenVideo(ValueError):
    """A video that cannot be read."""


def stretch_of(clip: Clip) -> Stretch:
    """Where a clip is in its video. BrokenVideo where that has no frame there, ValueError for a part of features."""
    if clip.path.suffix == FEATURES and (clip.seconds or clip.frames):
        raise ValueError(
            f"{clip.path} has the features of a whole video, and the list asks for a part of it; give a list of videos"
        )
    index = _index(clip.path)
    first, last = 0, index.num_frames
    if clip.frames is not None:
        first, last = clip.frames[0], min(clip.frames[1], last)
    elif clip.seconds is not None:
        first, last = (round(seconds * index.rate) for seconds in clip.seconds)
        last = min(max(last, first + 1), index.num_frames)
    if first >= last:
        raise BrokenVideo(f"{clip.path} has {index.num_frames} frames, and none from {first} to {last}")
    return Stretch(first, last, index.rate)


def read_frames(path: Path, places: Sequence[int]) -> list[np.ndarray]:
    """Frames by their places in the video, in the order asked for: RGB, uint8 (height, width, 3), or maps (h, w, D).

    Where a file has less than it says, its last frame stands for those that are missing. BrokenVideo where it has none.
    """
    if path.is_dir():
        files = _pictures(path)
        try:
            return [np.asarray(Image.open(files[min(place, len(files) - 1)]).convert("RGB")) for place in places]
        except OSError as error:
            raise BrokenVideo(f"{path} has a picture that cannot be read: {error}") from error
    if path.suffix == FEATURES:
        maps = _maps(path)
        return [np.moveaxis(maps[min(place, len(maps) - 1)], 0, -1) for place in places]
    found = _decode(path, sorted(set(places)))
    return [found[place] for place in places]


def every_frame(path: Path) -> Iterator[np.ndarray]:
    """All frames of a video that can be decoded, one after the other. BrokenVideo where there is none."""
    import av

    frame = None
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except (av.FFmpegError, OSError, IndexError) as error:
        if frame is None:
            raise BrokenVideo(f"{path} cannot be read as a video: {error}") from error
    if frame is None:
        raise BrokenVideo(f"{path} has no frames")


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise BrokenVideo(f"no file {folder}")
    files = pictures_in(folder)
    if not files:
        raise BrokenVideo(f"{folder} has no pictures in it")
    return files


def _rate_of_folder(folder: Path) -> float:
    file = folder / RATE_FILE
    if not file.is_file():
        return FOLDER_RATE
    try:
        rate = float(file.read_text(encoding="utf-8"))
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise BrokenVideo(f"{file} says no number of frames a second")
    return rate


def _maps(path: Path) -> np.ndarray:
    try:
        maps = np.load(path, mmap_mode="r")
    except (ValueError, OSError, EOFError) as error:
        raise BrokenVideo(f"{path} cannot be read as features: {error}") from error
    if maps.ndim != 4 or not len(maps):
        raise BrokenVideo(f"{path} is no file of features: these are (T, D, h, w), and it is {maps.shape}")
    return maps


def rate_of(path: Path) -> float:
    """Frames a second of a video, or of a folder of pictures."""
    return _index(path).rate


@lru_cache(maxsize=4096)
def _index(path: Path) -> _Index:
    if not path.is_file():
        return _Index(len(_pictures(path)), _rate_of_folder(path), None)
    if path.suffix == FEATURES:
        return _Index(len(_maps(path)), FOLDER_RATE, None)
    import av

    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            rate = float(stream.average_rate or stream.guessed_rate or 30)
            stamps = [packet.pts for packet in container.demux(stream) if packet.size]
    except (av.FFmpegError, OSError, IndexError) as error:
        raise BrokenVideo(f"{path} cannot be read as a video: {error}") from error
    times = np.sort(np.array([stamp for stamp in stamps if stamp is not None], dtype=np.int64))
    steady = len(times) == len(stamps) and (np.diff(times) > 0).all()
    return _Index(len(stamps), rate, times if steady else None)


def _decode(path: Path, places: Sequence[int]) -> dict[int, np.ndarray]:
    """Decode from the key frame before the first place up to the last one."""
    import av

    index = _index(path)
    wanted, found = set(places), {}
    last: av.VideoFrame | None = None
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            if index.times is not None and places[0] > 0:
                container.seek(int(index.times[min(places[0], len(index.times) - 1)]), stream=stream)
            for count, last in enumerate(container.decode(stream)):
                place = count
                if index.times is not None and last.pts is not None:
                    place = int(np.searchsorted(index.times, last.pts))
                if place in wanted:
                    found[place] = last.to_ndarray(format="rgb24")
                if place >= places[-1]:
                    break
    except (av.FFmpegError, OSError) as error:
        if last is None:
            raise BrokenVideo(f"{path} cannot be decoded: {error}") from error
    if last is None:
        raise BrokenVideo(f"{path} has no frames where it says")
    if missing := wanted - found.keys():
        found |= dict.fromkeys(missing, last.to_ndarray(format="rgb24"))
    return found
