"""Image files as a source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from stream.frame import Frame
from stream.sources.source import Source, SourceError, reason

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")


class ImageSource(Source):
    """Image files at a fixed rate, in the order of their names, with numbers in them as numbers."""

    def __init__(self, name: str, paths: list[Path], *, rate: float = 30.0):
        super().__init__(name)
        if not (rate > 0 and rate < float("inf")):
            raise SourceError(f"the rate of images is {rate} a second; it must be positive")
        self.rate = rate
        self._paths = sorted((path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES), key=_by_number)
        if not self._paths:
            raise SourceError(f"{name} has no images in it; they end in {', '.join(IMAGE_SUFFIXES)}")
        self.seconds = len(self._paths) / rate

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for position, path in enumerate(self._paths):
            try:
                with Image.open(path) as opened:
                    image = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
            except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
                why = "it is none, or broken" if isinstance(error, UnidentifiedImageError) else reason(error)
                self.warnings.append(f"{path.name} is not an image that can be read: {why}")
                continue
            yield Frame(stream=self.name, index=index, time_seconds=position / self.rate, image=image)
            index += 1
        if index == 0:
            raise SourceError(self.warnings.pop())


def _by_number(path: Path) -> list[tuple[int, str]]:
    """A key that sorts 2.png before 10.png."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
