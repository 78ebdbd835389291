"""The command `frames`: videos as folders of pictures, for where decoding takes longer than training."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.progress import track

from models.training.datasets import VIDEOS
from models.training.reading import BrokenVideo, every_frame

QUALITY = 95


def extract_frames(source: Path, target: Path, *, short_side: int | None) -> None:
    """Write each video under `source` as a folder of 00001.jpg, 00002.jpg ... in the same place under `target`.

    A folder that is there already is left as it is, and one is there only when it is whole. Videos that cannot be read
    are named in the end.
    """
    videos = sorted(path for path in source.rglob("*") if path.suffix.lower() in VIDEOS and path.is_file())
    if not videos:
        raise ValueError(f"{source} has no videos in it ({', '.join(VIDEOS)})")
    if target.resolve().is_relative_to(source.resolve()):
        raise ValueError(f"{target} is inside {source}; write the frames to another folder")
    broken, written = [], 0
    for video in track(videos, description="frames", console=Console(stderr=True), transient=True):
        folder = target / video.relative_to(source).with_suffix("")
        if folder.is_dir():
            continue
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            _extract(video, partial, short_side)
        except BrokenVideo as error:
            broken.append(str(error))
            shutil.rmtree(partial)
            continue
        os.replace(partial, folder)
        written += 1
    print(f"{target}: {written} of {len(videos)} videos written, {len(videos) - written - len(broken)} were there")
    for message in broken:
        print(f"left out: {message}")


def _extract(video: Path, folder: Path, short_side: int | None) -> None:
    for number, frame in enumerate(every_frame(video), start=1):
        picture = Image.fromarray(frame)
        if short_side is not None and min(picture.size) > short_side:
            ratio = short_side / min(picture.size)
            picture = picture.resize([round(length * ratio) for length in picture.size], Image.Resampling.BILINEAR)
        picture.save(folder / f"{number:05}.jpg", quality=QUALITY)
