"""Still scenes: a held picture under the noise of a real camera, and what else changes where nothing moves.

They are endless and made picture by picture; a disturbance takes such a scene and gives another one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from fractions import Fraction
from itertools import count, islice
from pathlib import Path

import numpy as np
from PIL import Image

from actionstream.models.common.errors import ActionstreamError
from actionstream.sources import open_source

Scene = Iterator[np.ndarray]
"""RGB images, uint8 (height, width, 3)."""
NOISE_FRAMES = 300  # of the still video, at most: an hour of it would fill the memory
STILL_LEVELS = 24
"""Grey levels by which a pixel of a still video differs from its median, at most: what moves differs by more."""
NOISE_PATTERNS = 8  # of sensor noise, each seen through a window at random: normal numbers for each pixel take long


def read_noise(video: Path) -> np.ndarray:
    """The noise of a video of a still scene, int16 (n, height, width, 3): its frames minus their median.

    ActionstreamError where something moves in it.
    """
    with closing(open_source(video)) as source:
        frames = np.stack([frame.image for frame in islice(source, NOISE_FRAMES)]).astype(np.int16)
    noise = frames - np.median(frames, axis=0).astype(np.int16)
    if (worst := int(np.abs(noise).max())) > STILL_LEVELS:
        raise ActionstreamError(
            f"a pixel of {video.name} differs by {worst} grey levels from its median; expected {STILL_LEVELS} at most: "
            "take a video in which nothing moves"
        )
    return noise


def held(image: np.ndarray, noise: np.ndarray, rng: np.random.Generator) -> Scene:
    """The image under noise (n, height, width, 3).

    The noise is played forwards and backwards, flipped at random at each turn, and mirrored to the size of the image.
    """
    short = [max(0, side - have) for side, have in zip(image.shape[:2], noise.shape[1:3], strict=True)]
    noise = np.pad(noise, ((0, 0), (0, short[0]), (0, short[1]), (0, 0)), mode="symmetric")
    noise = noise[:, : image.shape[0], : image.shape[1]]
    while True:
        flips = tuple(axis for axis in (1, 2) if rng.integers(2))
        for each in np.flip(noise, flips):
            yield (image + each).clip(0, 255).astype(np.uint8)
        noise = noise[::-1]


def night(scene: Scene, rate: float, rng: np.random.Generator) -> Scene:
    """A dark picture, and the noise of a sensor at high gain: a standard deviation of 12 grey levels in each pixel."""
    patterns = np.zeros(0)
    for image in scene:
        rows, columns = image.shape[:2]
        if not patterns.size:
            patterns = rng.normal(0, 12, (NOISE_PATTERNS, rows + 64, columns + 64, 1)).astype(np.float32)
        row, column = rng.integers(64, size=2)
        noise = patterns[rng.integers(NOISE_PATTERNS), row : row + rows, column : column + columns]
        yield (0.4 * image + noise).clip(0, 255).astype(np.uint8)


def coded(scene: Scene, rate: float, rng: np.random.Generator, *, crf: int = 32, key_frames: int = 30) -> Scene:
    """The scene after H.264: the picture jumps at each key frame."""
    import av

    encoder: av.VideoCodecContext | None = None
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_type = "SLICE"  # threads of frames would keep the last ones
    for image in scene:
        rows, columns = (side // 2 * 2 for side in image.shape[:2])
        if encoder is None:
            encoder = av.CodecContext.create("libx264", "w")
            encoder.width, encoder.height, encoder.pix_fmt = columns, rows, "yuv420p"
            encoder.framerate = Fraction(round(rate))
            encoder.options = {
                **{"crf": str(crf), "g": str(key_frames), "keyint_min": str(key_frames)},
                **{"sc_threshold": "0", "preset": "veryfast", "tune": "zerolatency"},
            }
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:rows, :columns]), format="rgb24")
        for packet in encoder.encode(frame):
            for picture in decoder.decode(packet):
                yield picture.to_ndarray(format="rgb24")


def coded_night(scene: Scene, rate: float, rng: np.random.Generator) -> Scene:
    return coded(night(scene, rate, rng), rate, rng)


def poorly_coded(scene: Scene, rate: float, rng: np.random.Generator) -> Scene:
    """H.264 at the worst quality that anyone watches, with a key frame each two thirds of a second."""
    return coded(scene, rate, rng, crf=40, key_frames=10)


def clouds(scene: Scene, rate: float, rng: np.random.Generator) -> Scene:
    """Daylight that goes up and down by a quarter each minute."""
    return _with_gain(scene, lambda index: 1 + 0.25 * math.sin(2 * math.pi * index / rate / 60))


def exposure(scene: Scene, rate: float, rng: np.random.Generator) -> Scene:
    """An automatic exposure that takes a step, by a fifth at most, each 20 seconds."""
    return _with_gain(scene, lambda index: (1.0, 0.9, 1.1, 0.95)[int(index / rate / 20) % 4])


def _with_gain(scene: Scene, gain: Callable[[int], float]) -> Scene:
    for index, image in enumerate(scene):
        yield (image * np.float32(gain(index))).clip(0, 255).astype(np.uint8)


def flicker(scene: Scene, rate: float, rng: np.random.Generator) -> Scene:
    """Lamps on alternating current before a rolling shutter: bands of 4 percent that go through the picture."""
    for index, image in enumerate(scene):
        heights = np.linspace(0, 1, len(image), dtype=np.float32)[:, None, None]
        bands = 1 + 0.04 * np.sin(2 * np.pi * (1.6 * heights + 0.37 * index))
        yield (image * bands).clip(0, 255).astype(np.uint8)


def rain(scene: Scene, rate: float, rng: np.random.Generator) -> Scene:
    """Forty streaks in each picture, in other places each time."""
    for image in scene:
        wet = image.copy()
        for row, column, length in zip(
            rng.integers(image.shape[0], size=40),
            rng.integers(image.shape[1], size=40),
            rng.integers(10, 30, size=40),
            strict=True,
        ):
            streak = wet[row : row + length, column]
            streak[:] = np.minimum(streak.astype(np.int16) + 50, 255)
        yield wet


def shaking(scene: Scene, rate: float, rng: np.random.Generator) -> Scene:
    """A mast in the wind: the picture moves by 0.7 pixels (standard deviation) in each direction."""
    for image in scene:
        right, down = rng.normal(0, 0.7, 2)
        size, shift = (image.shape[1], image.shape[0]), (1, 0, right, 0, 1, down)
        yield np.array(Image.fromarray(image).transform(size, Image.Transform.AFFINE, shift, Image.Resampling.BILINEAR))


def lamp(scene: Scene, rate: float, rng: np.random.Generator) -> Scene:
    """A lamp that lights the left half of the picture for half of each 30 seconds."""
    for index, image in zip(count(), scene, strict=False):
        lit = image.copy()
        if index / rate % 30 >= 15:
            half = lit[:, : lit.shape[1] // 2]
            half[:] = (half * np.float32(1.4)).clip(0, 255).astype(np.uint8)
        yield lit


DISTURBANCES: dict[str, Callable[[Scene, float, np.random.Generator], Scene]] = {
    "none": lambda scene, rate, rng: scene,
    "night": night,
    "coded": coded,
    "coded night": coded_night,
    "poorly coded": poorly_coded,
    "clouds": clouds,
    "exposure": exposure,
    "flicker": flicker,
    "rain": rain,
    "shaking": shaking,
    "lamp": lamp,
}
"""What changes where nothing moves, by name: takes a scene, its pictures a second, and a random generator."""
