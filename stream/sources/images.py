"""Pictures in files as a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from actionstream.frame import Frame
from actionstream.models.video import (
    PICTURE_SUFFIXES,
    SourceError,
    by_number,
    checked_rate,
    is_animated,
    is_hidden,
    read_picture,
    read_pictures,
)
from actionstream.sources.packet_log import jpeg_packet
from actionstream.sources.source import Source


class PictureSource(Source):
    """Pictures that are no video: the packets of frames are JPEGs of them."""

    def _frame(self, index: int, time_seconds: float, image: np.ndarray) -> Frame:
        packets = (jpeg_packet(image, time_seconds),) if self.with_packets else ()
        return Frame(stream=self.name, index=index, time_seconds=time_seconds, picture=image, packets=packets)


class ImageSource(PictureSource):
    """Image files at a fixed rate, sorted by name; numbers in names are sorted as numbers."""

    def __init__(self, name: str, paths: Sequence[Path], *, rate: float):
        super().__init__(name)
        self.rate = checked_rate(rate)
        there = (path for path in paths if path.suffix.lower() in PICTURE_SUFFIXES and not is_hidden(path))
        self._paths = sorted(there, key=by_number)
        if not self._paths:
            raise SourceError(f"{name} has no images in it; they end in {', '.join(PICTURE_SUFFIXES)}")
        self.seconds = len(self._paths) / rate

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for position, path in enumerate(self._paths):
            try:
                image = read_picture(path)
            except SourceError as error:
                self.warnings.append(str(error))
                continue
            yield self._frame(index, position / self.rate, image)
            index += 1
        if index == 0:
            raise SourceError(self.warnings.pop())
        first = self._paths[0]
        if is_animated(first):
            self.warnings.append(f"{first.name} has several pictures, and one is read; give only this file to read all")


class AnimationSource(PictureSource):
    """The pictures of one file: an animated WebP or PNG, each with its own duration, or the pages of a TIFF."""

    def __init__(self, name: str, path: Path):
        super().__init__(name)
        self._path = path

    def __iter__(self) -> Iterator[Frame]:
        self.seconds = 0.0
        try:
            for index, (image, shown_seconds) in enumerate(read_pictures(self._path)):
                yield self._frame(index, self.seconds, image)
                self.rate = 1 / shown_seconds
                self.seconds += shown_seconds
        except SourceError as error:
            if not self.seconds:
                raise
            raise SourceError(f"{self.name} is cut short: {error}") from error
