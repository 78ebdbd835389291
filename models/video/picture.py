"""Decoded pictures: an RGB image, and the input of a network, each made when somebody asks for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from actionstream.models.preprocessing import Box, Preprocessing, Resizable
from actionstream.models.video.upright import Converter

if TYPE_CHECKING:
    import av
    from av.filter import Graph

PLANAR = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "nv12"})
"""Formats of decoders that are scaled without an RGB image between."""
MOST_SHRINKING = 32
"""The largest ratio of one scaling step; FFmpeg's filters lose precision beyond."""
MOST_SHIFT = 0.15
"""Pixels of the network's input by which an edge may be off, as whole pixels are cut out."""


class Picture(Resizable):
    """A decoded picture of a video.

    height, width  as it is shown: rotated by its display matrix

    Any thread may ask for the image or for a resized copy.
    """

    def __init__(self, decoded: av.VideoFrame, maker: PictureMaker):
        self._decoded = decoded
        self._maker = maker
        self._image: np.ndarray | None = None
        turned = decoded.rotation % 180 != 0
        self.height, self.width = (decoded.width, decoded.height) if turned else (decoded.height, decoded.width)

    def image(self) -> np.ndarray:
        """RGB uint8 (height, width, 3); made once."""
        if self._image is None:
            self._image = self._maker.image(self._decoded)
        return self._image

    def resized(self, wanted: Preprocessing) -> np.ndarray:
        """What `wanted.resize` makes of the image, uint8 (wanted.height, wanted.width, 3).

        Planes of the usual formats are scaled down in one step, without an RGB image: values are off by 1.5 grey levels
        at most in the mean over a picture. All else, `wanted.resize` makes of the image.
        """
        direct = self._maker.resized(self._decoded, wanted)
        return wanted.resize(self.image()) if direct is None else direct


class PictureMaker:
    """Makes the pictures of one decoder; its scaling contexts serve them all."""

    def __init__(self) -> None:
        self._convert = Converter()
        self._scaled: dict[Preprocessing, _Scaled | None] = {}
        self._shape: tuple[object, ...] = ()
        self._lock = threading.Lock()  # a scaling context has one user at a time

    def __call__(self, decoded: av.VideoFrame) -> Picture:
        return Picture(decoded, self)

    def image(self, decoded: av.VideoFrame) -> np.ndarray:
        with self._lock:
            return self._convert(decoded)

    def resized(self, decoded: av.VideoFrame, wanted: Preprocessing) -> np.ndarray | None:
        """The input of a network, straight from the planes; None where that would not equal `wanted.resize`."""
        with self._lock:
            shape = decoded.width, decoded.height, decoded.format.name, decoded.rotation
            if shape != self._shape:
                self._shape = shape
                self._scaled.clear()
            if wanted not in self._scaled:
                self._scaled[wanted] = _scaled(decoded, wanted)
            scaled = self._scaled[wanted]
            return None if scaled is None else scaled(decoded)


class _Scaled:
    """Cuts pictures of one shape to a box of whole pixels, and scales them to RGB uint8 (height, width, 3)."""

    def __init__(self, decoded: av.VideoFrame, box: tuple[int, int, int, int], height: int, width: int):
        from av.video.reformatter import Interpolation, VideoReformatter

        left, top, right, bottom = box
        whole = box == (0, 0, decoded.width, decoded.height)
        self._cut = None if whole else _crop(decoded, left, top, right - left, bottom - top)
        # two steps: FFmpeg has no quick code for one that scales and keeps the colours of each pixel
        self._scale, self._paint = VideoReformatter(), VideoReformatter()
        self._bilinear = Interpolation.BILINEAR
        self._height, self._width = height, width

    def __call__(self, decoded: av.VideoFrame) -> np.ndarray:
        if self._cut is not None:
            self._cut.push(decoded)
            decoded = self._cut.pull()  # type: ignore[assignment]
        size = {"width": self._width, "height": self._height}
        planes = self._scale.reformat(decoded, **size, format="yuv444p", interpolation=self._bilinear, threads=1)
        small = self._paint.reformat(planes, format="rgb24", interpolation=self._bilinear, threads=1).to_ndarray()
        # FFmpeg's conversion without scaling, from which networks have learnt, rounds down, and this one to the nearest
        return small - (small > 0)


def _scaled(decoded: av.VideoFrame, wanted: Preprocessing) -> _Scaled | None:
    if decoded.format.name not in PLANAR or wanted.modality == "features" or "DISPLAYMATRIX" in decoded.side_data:
        return None
    box = wanted.box(decoded.height, decoded.width)
    shrinking = (box.right - box.left) / wanted.width, (box.bottom - box.top) / wanted.height
    if not all(1 <= ratio <= MOST_SHRINKING for ratio in shrinking):
        return None
    whole = _whole_pixels(decoded, box)
    off = [abs(a - b) / ratio for a, b, ratio in zip(whole, box, 2 * shrinking, strict=True)]
    return None if max(off) > MOST_SHIFT else _Scaled(decoded, whole, wanted.height, wanted.width)


def _whole_pixels(decoded: av.VideoFrame, box: Box) -> tuple[int, int, int, int]:
    """The nearest box of whole pixels that begins at a pixel with colours of its own."""
    luma, chroma = decoded.format.components[0], decoded.format.components[1]
    across = max(round(luma.width / chroma.width), 1)
    down = max(round(luma.height / chroma.height), 1)
    left, top = round(box.left / across) * across, round(box.top / down) * down
    return left, top, min(round(box.right), decoded.width), min(round(box.bottom), decoded.height)


def _crop(decoded: av.VideoFrame, left: int, top: int, width: int, height: int) -> Graph:
    """A filter that cuts pictures without a copy."""
    from av.filter import Graph

    graph = Graph()
    begin = graph.add_buffer(
        width=decoded.width, height=decoded.height, format=decoded.format, time_base=decoded.time_base
    )
    cut = graph.add("crop", f"{width}:{height}:{left}:{top}:exact=1")
    end = graph.add("buffersink")
    begin.link_to(cut)
    cut.link_to(end)
    graph.configure()
    return graph
